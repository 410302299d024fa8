"""What an interruption does to a run, however it comes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Stopper:
    """Live: the first interruption stops sending and waits for the answers in flight, which are paid; the second leaves
    them. Batch: batches live on at the provider, so the first ends the run.

    how: what to do to interrupt a second time, as in "Press Ctrl-C". live: whether live requests are under way, as they are
    at times in a batch run too.
    """

    def __init__(self, *, live: bool, how: str = "Press Ctrl-C") -> None:
        self.live = live
        self._how = how
        self._task: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._say: Callable[[str], None] | None = None
        self.interrupted = False

    def keep_going(self) -> bool:
        return not self.interrupted

    async def watch(self, work: Coroutine[Any, Any, None], say: Callable[[str], None]) -> None:
        """Run the work to its end, or until it was stopped. say: how to say something beside the progress bar."""
        import asyncio

        self._loop, self._say = asyncio.get_running_loop(), say
        self._task = asyncio.ensure_future(work)
        if self.interrupted:  # while the run was being prepared: nothing is in flight
            self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            if not self.interrupted:
                raise

    def stop(self) -> None:
        """Interrupt. To be called in the loop's own thread, as from its signal handlers."""
        again, self.interrupted = self.interrupted, True
        if self._say is None or self._task is None:
            return
        if self.live and not again:
            self._say(f"Stopping: waiting for the answers in flight, which are paid. {self._how} again to leave them.")
        else:
            self._task.cancel()

    def stop_once(self) -> None:
        """Interrupt, unless that was done already. A terminal that closes tells its processes so more than once, and means
        no haste by it."""
        if not self.interrupted:
            self.stop()

    def stop_from_outside(self) -> None:
        """Interrupt from another thread, also one in which no work has begun yet."""
        if self._loop is None:
            self.interrupted = True
        if self._loop is not None:  # looked at again: the work may have begun in this moment
            with suppress(RuntimeError):  # it is over, and its loop closed
                self._loop.call_soon_threadsafe(self.stop)

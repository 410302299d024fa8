"""What an interruption does to a run, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio


class Interruption:
    """Whether a run was interrupted, and what follows from it.

    Live: the first interruption stops sending and waits for the answers in flight, which are paid; the second abandons
    them. Batch: batches continue at the provider, so the first ends the run.

    how: how the user interrupts a second time, as in "Press Ctrl-C". live: whether live requests are under way, as at
    times in a batch run too. paid: whether they cost money.
    """

    def __init__(self, *, live: bool, how: str = "Press Ctrl-C", paid: bool = True) -> None:
        self.live = live
        self._paid = paid
        self._how = how
        self._task: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._say: Callable[[str], None] | None = None
        self.interrupted = False

    def keep_going(self) -> bool:
        return not self.interrupted

    async def watch(self, begin: Callable[[], Coroutine[Any, Any, None]], say: Callable[[str], None]) -> None:
        """Run the work that begin gives, to its end or until it is stopped. say: says it beside the progress bar."""
        import asyncio

        self._loop, self._say = asyncio.get_running_loop(), say
        self._task = asyncio.ensure_future(begin())
        if self.interrupted:  # while the run was being prepared: nothing is in flight
            self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            if not self.interrupted:
                raise

    def stop(self) -> None:
        """Interrupt. Call it in the loop's own thread, as its signal handlers do."""
        again, self.interrupted = self.interrupted, True
        if self._say is None or self._task is None:
            return
        if self.live and not again:
            self._say(
                f"Stopping: waiting for the answers in flight{', which are paid' if self._paid else ''}. "
                f"{self._how} again to abandon them."
            )
        else:
            if self.live:
                self._say(
                    "The requests in flight are abandoned: "
                    f"{'they may be charged, and ' if self._paid else ''}the next run asks them again."
                )
            self._task.cancel()

    def stop_once(self) -> None:
        """Interrupt, unless that has happened already: a closing terminal signals its processes more than once, without
        meaning haste."""
        if not self.interrupted:
            self.stop()

    def stop_threadsafe(self) -> None:
        """Interrupt from another thread, even before the work has begun."""
        if self._loop is None:
            self.interrupted = True
        if self._loop is not None:  # checked again: the work may have begun in this moment
            with suppress(RuntimeError):  # the work is over and its loop closed
                self._loop.call_soon_threadsafe(self.stop)

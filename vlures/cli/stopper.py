"""What Ctrl-C does, and the other ways to tell a command to end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vlures.runs.interrupt import Stopper

if TYPE_CHECKING:
    import asyncio


def run_heeding_signals(stopper: Stopper, work: Coroutine[Any, Any, None], say: Callable[[str], None]) -> None:
    """Run the work to its end, or until Ctrl-C, a wish to terminate or the end of the terminal stops it."""
    import asyncio

    from vlures.runs.event_loop import RunningTimeLoop

    async def watch() -> None:
        with _heeding(stopper, asyncio.get_running_loop()):
            await stopper.watch(work, say)

    with asyncio.Runner(loop_factory=RunningTimeLoop) as runner:
        runner.run(watch())


@contextmanager
def _heeding(stopper: Stopper, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    handlers: dict[int, Callable[[], None]] = {signal.SIGINT: stopper.stop, signal.SIGTERM: stopper.stop}
    # Under nohup the end of the terminal is nothing to us.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = stopper.stop_once
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)

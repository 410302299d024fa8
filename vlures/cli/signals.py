"""Ctrl-C and the other signals that end a command."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vlures.runs.interrupt import Interruption

if TYPE_CHECKING:
    import asyncio


def run_until_signal(interruption: Interruption, work: Coroutine[Any, Any, None], say: Callable[[str], None]) -> None:
    """Run the work to its end, or until Ctrl-C, SIGTERM or a closing terminal stops it."""
    import asyncio

    from vlures.runs.event_loop import RunningTimeLoop

    async def watch() -> None:
        with _handling_signals(interruption, asyncio.get_running_loop()):
            await interruption.watch(work, say)

    with asyncio.Runner(loop_factory=RunningTimeLoop) as runner:
        runner.run(watch())


@contextmanager
def _handling_signals(interruption: Interruption, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    handlers: dict[int, Callable[[], None]] = {signal.SIGINT: interruption.stop, signal.SIGTERM: interruption.stop}
    # Under nohup a closing terminal must not stop the command.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = interruption.stop_once
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)

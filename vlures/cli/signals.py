"""Ctrl-C and the other signals that end a command."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vlures.runs.interrupt import Interruption

if TYPE_CHECKING:
    import asyncio


def run_until_signal(
    interruption: Interruption, begin: Callable[[], Coroutine[Any, Any, None]], say: Callable[[str], None]
) -> None:
    """Run the work to its end, or until Ctrl-C, SIGTERM or a closing terminal stops it.

    A signal that comes before the loop can handle it is kept until then: raised in the middle of the loop's
    construction it would leave half a loop behind.
    """
    import asyncio

    from vlures.runs.event_loop import RunningTimeLoop

    handlers = _handlers(interruption)

    async def watch() -> None:
        with _handled_by(asyncio.get_running_loop(), handlers):
            await interruption.watch(begin, say)

    with _noted(handlers), asyncio.Runner(loop_factory=RunningTimeLoop) as runner:
        runner.run(watch())


def _handlers(interruption: Interruption) -> dict[int, Callable[[], None]]:
    handlers: dict[int, Callable[[], None]] = {signal.SIGINT: interruption.stop, signal.SIGTERM: interruption.stop}
    # Under nohup a closing terminal must not stop the command.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = interruption.stop_once
    return handlers


@contextmanager
def _noted(handlers: dict[int, Callable[[], None]]) -> Iterator[None]:
    """Until a loop handles them, signals are noted: Interruption.stop does no more before the work has begun."""
    before = {number: signal.getsignal(number) for number in handlers}
    for number, handler in handlers.items():
        signal.signal(number, lambda *_, handler=handler: handler())
    try:
        yield
    finally:
        for number, handler_before in before.items():
            if handler_before is not None:  # one that Python has not set cannot be set again
                signal.signal(number, handler_before)


@contextmanager
def _handled_by(loop: asyncio.AbstractEventLoop, handlers: dict[int, Callable[[], None]]) -> Iterator[None]:
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)

"""Blocking calls, in threads beside the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar, cast

T = TypeVar("T")


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """The call's result, from a thread that does not hold up the program's end as asyncio's own do."""
    return await _hand_over(call, lambda work: threading.Thread(target=work, daemon=True).start())


class CallingThreads:
    """Daemon threads that are kept for the next call: as many as there have been calls at a time. A thread whose call
    was given up is free again when that call ends."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._count = 0

    async def call(self, call: Callable[[], T]) -> T:
        """The call's result. It begins at once."""

        def call_and_be_idle() -> T:
            try:
                return call()
            finally:
                self._idle.release()

        return await _hand_over(call_and_be_idle, self._begin)

    def close(self) -> None:
        """End each thread once its call has ended."""
        for _ in range(self._count):
            self._work.put(None)

    def _begin(self, work: Callable[[], None]) -> None:
        self._work.put(work)
        if not self._idle.acquire(blocking=False):
            self._count += 1
            threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()


async def _hand_over(call: Callable[[], T], begin: Callable[[Callable[[], None]], None]) -> T:
    """The call's result, once `begin` has run the work in some thread."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error else done.set_result(cast("T", result))

    def work() -> None:
        result, failure = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 (raised for the caller)
            failure = error
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, result, failure)

    begin(work)
    return await done

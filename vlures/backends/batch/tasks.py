"""The tasks of one run of the batch driver, counted, and a way to wait until one of them ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress


class JobTasks:
    """A task group whose members say when they are done."""

    def __init__(self) -> None:
        self.group = asyncio.TaskGroup()
        self.active = 0
        """Tasks that have not ended."""
        self._parked = 0
        self._ended = asyncio.Event()

    @property
    def all_parked(self) -> bool:
        """Whether every active task waits to create its batch again. True also where none is active."""
        return self.active <= self._parked

    def start(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def counted() -> None:
            try:
                await work()
            finally:
                self.active -= 1
                self._ended.set()

        self.active += 1
        return self.group.create_task(counted())

    @contextmanager
    def parked(self) -> Iterator[None]:
        """While a task waits to create its batch again."""
        self._parked += 1
        try:
            yield
        finally:
            self._parked -= 1

    async def next_end(self, timeout_s: float | None) -> bool:
        """Wait until a task ends. False if none did in time."""
        self._ended.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
                return True
        return False

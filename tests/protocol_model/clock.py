"""Time that passes only when nothing else is left to do: a clock, and an event loop that takes one step when told
to."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import count
from typing import Any

START_S = 1_800_000_000.25
"""Between two whole seconds, because the journal's times are cut to those."""


@dataclass(slots=True)
class Clock:
    """The time of the world and of the machine that runs the command."""

    wall_s: float = START_S
    """Since 1970, the same for all."""
    awake_s: float = 0.0
    """Of the machine that runs the command; it stands still while that sleeps."""

    def go_to(self, awake_s: float) -> None:
        if awake_s > self.awake_s:
            self.wall_s += awake_s - self.awake_s
            self.awake_s = awake_s

    def reset(self) -> None:
        self.wall_s, self.awake_s = START_S, 0.0


def datetime_of(clock: Clock) -> type[datetime]:
    """The class `datetime`, by this clock."""

    class Virtual(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Virtual:
            return cls.fromtimestamp(clock.wall_s, tz)

    return Virtual


@dataclass(eq=False)
class StepLoop(asyncio.AbstractEventLoop):
    """An event loop without the outside world. What would go to a thread runs as a step of its own."""

    clock: Clock
    complaints: list[dict[str, Any]] = field(default_factory=list)
    _ready: deque[asyncio.Handle] = field(default_factory=deque)
    _timers: list[tuple[float, int, asyncio.TimerHandle]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def step(self, until_s: float) -> bool:
        """Run one callback, or let time pass to the next one. False if there is none until then; then it is then.

        until_s: by the clock's awake_s.
        """
        while True:
            while self._ready:
                handle = self._ready.popleft()
                if not handle._cancelled:
                    asyncio._set_running_loop(self)
                    try:
                        handle._run()
                    finally:
                        asyncio._set_running_loop(None)
                    return True
            while self._timers and self._timers[0][2]._cancelled:
                heapq.heappop(self._timers)
            if not self._timers or self._timers[0][0] > until_s:
                self.clock.go_to(until_s)
                return False
            when = self._timers[0][0]
            self.clock.go_to(when)
            while self._timers and self._timers[0][0] <= when:
                self._ready.append(heapq.heappop(self._timers)[2])

    @property
    def is_stuck(self) -> bool:
        """Nothing will ever happen here any more."""
        return not self._ready and not self._timers

    # What tasks and futures need of a loop

    def time(self) -> float:
        return self.clock.awake_s

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.clock.awake_s + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, name=name or "task", context=context)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()

        def work() -> None:
            try:
                result = func(*args)
            except BaseException as error:  # noqa: BLE001 (as a thread does, it hands over whatever ended it)
                if not future.cancelled():
                    future.set_exception(error)
            else:
                if not future.cancelled():
                    future.set_result(result)

        self.call_soon(work)
        return future

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

"""The limit on the pace of requests that the fault `limit` puts on a place: so many in any window of time, no more."""

from collections import deque
from dataclasses import dataclass

from vlures.sandbox.faults import Fault

DEFAULT_PER_MINUTE = 600.0
MINUTE_S = 60.0


@dataclass(frozen=True)
class Allowance:
    """What a limit says to one request. Times are in seconds from now.

    `remaining` counts what may still come now; `wait_s` is the time until the next one may; `reset_s` the time until
    the window is empty.
    """

    fault: Fault
    admitted: bool
    limit: int
    window_s: float
    remaining: int
    wait_s: float
    reset_s: float

    @property
    def tells(self) -> bool:
        """Whether the server tells its clients about the limit."""
        return self.fault.number("silent", 0) == 0


def allow(fault: Fault, admitted: deque[float], now: float) -> Allowance:
    """What the limit `fault` says to a request at `now`, given when it let the last ones pass.

    Forgets the moments that have left the window; whoever lets the request pass adds `now` to them.
    """
    per_second = int(fault.number("per_second", 0))
    window_s = 1.0 if per_second else MINUTE_S
    limit = per_second or max(1, int(fault.number("per_minute", DEFAULT_PER_MINUTE)))
    while admitted and admitted[0] <= now - window_s:
        admitted.popleft()
    free = limit - len(admitted)
    if free <= 0:
        return Allowance(
            fault, False, limit, window_s, 0, _left(admitted[0], window_s, now), _left(admitted[-1], window_s, now)
        )
    wait_s = 0.0 if free > 1 else _left(admitted[0] if admitted else now, window_s, now)
    return Allowance(fault, True, limit, window_s, free - 1, wait_s, window_s)


def _left(moment: float, window_s: float, now: float) -> float:
    return max(0.0, moment + window_s - now)

"""The limit on the pace of requests that the fault `limit` puts on a place: so many in a window of time, no more.

The window is any stretch of time of its length, or (`fixed=1`) each one by the clock, as where a counter starts again at the
full minute.
"""

from collections import deque
from dataclasses import dataclass

from vlures.sandbox.faults.kinds import Fault

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
    limit, window_s = _limit_of(fault)
    is_fixed = fault.number("fixed", 0) != 0
    opened = now // window_s * window_s
    while admitted and (admitted[0] < opened if is_fixed else admitted[0] <= now - window_s):
        admitted.popleft()
    free = limit - len(admitted)
    reset_s = _left(opened if is_fixed else admitted[-1] if admitted else now, window_s, now)
    if free <= 0:
        wait_s = reset_s if is_fixed else _left(admitted[-limit], window_s, now)
        return Allowance(fault, False, limit, window_s, 0, wait_s, reset_s)
    wait_s = 0.0 if free > 1 else _left(opened if is_fixed else admitted[0] if admitted else now, window_s, now)
    return Allowance(fault, True, limit, window_s, free - 1, wait_s, reset_s if is_fixed else window_s)


def counts_refused(fault: Fault) -> bool:
    """Whether a request that the limit refuses uses it up all the same."""
    return fault.number("strict", 0) != 0


def _limit_of(fault: Fault) -> tuple[int, float]:
    """How many in how many seconds."""
    per_second = int(fault.number("per_second", 0))
    window_s = max(0.001, fault.number("window", 1.0 if per_second else MINUTE_S))
    per_minute = fault.number("per_minute", DEFAULT_PER_MINUTE)
    return max(1, int(per_second * window_s) or int(per_minute * window_s / MINUTE_S)), window_s


def _left(moment: float, window_s: float, now: float) -> float:
    return max(0.0, moment + window_s - now)

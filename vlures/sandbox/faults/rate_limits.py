"""The rate limit that the fault `limit` puts on a place: so many requests in a window of time.

The window slides, or with `fixed=1` starts by the clock, as for a counter that is reset at the full minute.
"""

from collections import deque
from dataclasses import dataclass

from vlures.sandbox.faults.fault import Fault

DEFAULT_PER_MINUTE = 600.0
MINUTE_S = 60.0


@dataclass(frozen=True)
class Allowance:
    """A limit's decision on one request."""

    fault: Fault
    admitted: bool
    limit: int
    """Requests in a window."""
    window_s: float
    remaining: int
    """Requests that may still come now."""
    wait_s: float
    """Seconds until the next request may come."""
    reset_s: float
    """Seconds until the window is empty."""

    @property
    def tells(self) -> bool:
        """Whether the server tells its clients about the limit."""
        return self.fault.number("silent", 0) == 0


def allow(fault: Fault, admitted: deque[float], now: float) -> Allowance:
    """The decision of the limit `fault` on a request at `now`.

    admitted: the moments of the requests that it admitted; those that have left the window are removed. The caller adds
    `now` if the request is admitted by every limit.
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
    """Whether a request that the limit refuses counts all the same."""
    return fault.number("strict", 0) != 0


def _limit_of(fault: Fault) -> tuple[int, float]:
    """How many requests, in how many seconds."""
    per_second = int(fault.number("per_second", 0))
    window_s = max(0.001, fault.number("window", 1.0 if per_second else MINUTE_S))
    per_minute = fault.number("per_minute", DEFAULT_PER_MINUTE)
    return max(1, int(per_second * window_s) or int(per_minute * window_s / MINUTE_S)), window_s


def _left(moment: float, window_s: float, now: float) -> float:
    return max(0.0, moment + window_s - now)

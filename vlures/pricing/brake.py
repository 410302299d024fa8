"""`--max-cost`: may the next request, or shard, go?"""

from __future__ import annotations

from math import ceil, floor

from vlures.pricing.prices import format_usd

_NANO = 1_000_000_000


class CostBrake:
    """What was spent and what is in flight, against a limit in USD.

    What is in flight counts at the most that it may cost (`highest_cost`) until its usage is known. So long as no answer
    costs more than that, spent and in flight together never pass the limit by what `try_reserve` let go. Counts in whole
    billionths of a dollar, rounded against the run, so that no sum is off by a rounding.
    """

    def __init__(self, limit: float, spent: float = 0.0) -> None:
        self._limit = floor(limit * _NANO)
        self._spent = ceil(spent * _NANO)
        self._in_flight = 0
        self._reserved: dict[str, int] = {}

    @property
    def spent(self) -> float:
        """USD."""
        return self._spent / _NANO

    @property
    def in_flight(self) -> float:
        """USD, at the most."""
        return self._in_flight / _NANO

    @property
    def left(self) -> float:
        """USD that may still be committed; below 0 if the limit is passed already."""
        return (self._limit - self._spent - self._in_flight) / _NANO

    def try_reserve(self, key: str, cost: float) -> bool:
        """Whether so much more may be in flight; if so it is from now on, under the key of the request or the tag of the job."""
        if self._spent + self._in_flight + ceil(cost * _NANO) > self._limit:
            return False
        self.reserve(key, cost)
        return True

    def reserve(self, key: str, cost: float) -> None:
        """Count what is in flight anyway, as a job of an earlier process. A key that is in flight already adds to it."""
        amount = ceil(cost * _NANO)
        self._reserved[key] = self._reserved.get(key, 0) + amount
        self._in_flight += amount

    def settle(self, key: str, cost: float) -> None:
        """What was in flight under the key is not any more, and cost so much; 0 for what failed uncharged. A key that is not
        in flight is only paid for."""
        self._in_flight -= self._reserved.pop(key, 0)
        self._spent += ceil(cost * _NANO)


def check_limit(limit: float, spent: float, next_cost: float) -> str | None:
    """A sentence if the limit leaves no room for even the next request, of this highest cost; else None."""
    if CostBrake(limit, spent).try_reserve("", next_cost):
        return None
    enough = format_usd(ceil((spent + next_cost) * 100) / 100)
    before = f", and {format_usd(spent)} is spent" if spent else ""
    return (
        f"--max-cost {limit:g} does not reach for one request, which may cost {format_usd(next_cost)} by the high end of its "
        f"estimate{before}; raise it to {enough} or more, or lower max_output_tokens."
    )

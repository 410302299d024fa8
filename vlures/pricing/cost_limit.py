"""--max-cost: what it still allows, and what is said when it stops a run. Amounts are in billionths of a dollar."""

from __future__ import annotations

from collections.abc import Iterable

from vlures.config.sections import Target
from vlures.errors import UsageError
from vlures.pricing import NANO, RequestEstimator, cap_to_nano, format_usd, highest_cost, require_price, to_nano
from vlures.pricing.costs import Prices
from vlures.records import Request


class CostLimit:
    """A run's limit, if it has one, and the requests that it kept from being sent."""

    def __init__(self, max_cost: float | None) -> None:
        """max_cost: in USD."""
        self.max_cost = max_cost
        self._nano = None if max_cost is None else cap_to_nano(max_cost)
        self._forgone = 0
        self._least_forgone = self._all_forgone = 0

    @property
    def is_set(self) -> bool:
        return self._nano is not None

    def allows(self, nano: int) -> bool:
        """Whether so much may be spent and reserved in all."""
        return self._nano is None or nano <= self._nano

    def forgo(self, nano: int) -> None:
        """A request that may cost so much is not sent."""
        self._least_forgone = min(nano, self._least_forgone) if self._forgone else nano
        self._all_forgone += nano
        self._forgone += 1

    @property
    def stopped(self) -> bool:
        """Whether a request was not sent because of the limit."""
        return self._forgone > 0

    def describe(self, spent: int, reserved: int) -> str | None:
        """Where the limit stands before a run; None without one."""
        if self.max_cost is None:
            return None
        also = f", up to {format_usd(reserved / NANO)} reserved" if reserved else ""
        return f"Of --max-cost {self.max_cost:g}, {format_usd(spent / NANO)} is spent{also}."

    def describe_stop(self, spent: int, reserved: int) -> str:
        """Why nothing more was sent, and which limit would allow it."""
        also = f", up to {format_usd(reserved / NANO)} is reserved for requests under way" if reserved else ""
        later = " once those are answered, or" if reserved else ""
        all_of_them = sufficient_limit(spent + reserved + self._all_forgone)
        for_all = f"; {all_of_them} is enough for all {self._forgone:,} that were not sent" if self._forgone > 1 else ""
        return (
            f"--max-cost {self.max_cost:g} allows no further request: {format_usd(spent / NANO)} is spent{also}, and "
            f"the next one may cost {format_usd(self._least_forgone / NANO)}. Run again{later} with --max-cost "
            f"{sufficient_limit(spent + reserved + self._least_forgone)} or more{for_all}."
        )


def check_reach(
    max_cost: float, target: Target, prices: Prices, estimator: RequestEstimator, requests: Iterable[Request]
) -> None:
    """Raises UsageError if a limit allows none of the requests, before anything was spent. max_cost: in USD."""
    cap, price = cap_to_nano(max_cost), require_price(prices.of(target.mode), target.model)
    least = None
    for request in requests:
        need = to_nano(highest_cost(estimator.estimate(request), price))
        if need <= cap:
            return
        least = need if least is None else min(least, need)
    if least is not None:
        raise UsageError(
            f"--max-cost {max_cost:g} does not cover one request, which may cost {format_usd(least / NANO)} by the "
            f"high end of its estimate; raise it to {sufficient_limit(least)} or more, or lower max_output_tokens."
        )


def sufficient_limit(nano: int) -> str:
    """A limit in USD that is enough, in as few digits as tell it from one that is not."""
    step = 10 ** max(0, len(str(nano)) - 4)
    return f"{-(-nano // step) * step / NANO:.9f}".rstrip("0").rstrip(".")

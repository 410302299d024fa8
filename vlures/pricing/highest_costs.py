"""The most that each request of a run may cost, in billionths of a dollar."""

from __future__ import annotations

from math import ceil

from vlures.config.sections import Mode
from vlures.pricing import Estimate, Event, Ledger, RequestEstimator, highest_cost, to_nano
from vlures.pricing.calibration import Calibrator
from vlures.pricing.costs import Prices
from vlures.records import Request


class HighestCosts:
    """By a request's estimate, times the factor by which the model's dearest answer so far exceeded its own."""

    def __init__(
        self,
        model: str,
        prices: Prices,
        ledger: Ledger,
        estimator: RequestEstimator | None,
        calibrator: Calibrator | None,
    ) -> None:
        self._model = model
        self._prices = prices
        self._ledger = ledger
        self._estimator = estimator
        self._calibrator = calibrator
        self.dearest = 0
        """Of all requests that were asked about."""

    def of(self, request: Request, mode: Mode) -> int:
        price = self._prices.of(mode)
        assert price is not None
        nano = ceil(to_nano(highest_cost(self._estimate(request), price)) * self._excess(mode))
        self.dearest = max(self.dearest, nano)
        return nano

    def learn(self, nano: int, highest: int | None, mode: Mode) -> Event | None:
        """An answer cost `nano`. If that exceeds its highest cost, later ones may too: the event to write; else
        None."""
        if not highest or nano <= highest:
            return None
        return Event(seen=self._excess(mode) * nano / highest, model=self._name(mode))

    def _estimate(self, request: Request) -> Estimate:
        assert self._estimator is not None
        estimate = self._estimator.estimate(request)
        if self._calibrator is not None:
            self._calibrator.expect(request.key, estimate)
        return estimate

    def _excess(self, mode: Mode) -> float:
        return self._ledger.overs.get(self._name(mode), 1.0)

    def _name(self, mode: Mode) -> str:
        return f"{self._model} {mode}"

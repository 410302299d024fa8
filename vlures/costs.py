"""What a run costs: its prices, what was spent, and the brake of `--max-cost`."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from vlures.config import Mode, RunConfig
from vlures.errors import UsageError
from vlures.pricing import (
    CALIBRATE_AFTER,
    Calibration,
    CostBrake,
    Estimate,
    Price,
    TextCounter,
    calibrate,
    check_limit,
    cost,
    describe_calibration,
    estimate_request,
    find_price,
    format_usd,
    highest_cost,
    require_price,
)
from vlures.records import FINAL_STATUSES, Cell, Request, Response, Usage
from vlures.store import CellTotals, CheckpointStore

PRICED = frozenset({"openai", "gemini"})


@dataclass(frozen=True, slots=True)
class Prices:
    """Of a run's model, by the mode in which it answers; None where nobody we know lists it."""

    batch: Price | None
    live: Price | None

    def of(self, mode: Mode) -> Price | None:
        return self.batch if mode == "batch" else self.live


UNKNOWN = Prices(None, None)


def find_prices(config: RunConfig) -> Prices:
    """Today's. A server of one's own has the prices that the configuration gives it, and no others.

    Raises UsageError for a price of one's own that does not do alone.
    """
    own = {"price_input": config.price_input, "price_output": config.price_output}
    if config.backend not in PRICED or (config.base_url and None in own.values()):
        return UNKNOWN
    now = datetime.now(UTC)
    batch = find_price(config.backend, config.run_model, "batch", None, now, **own)
    return Prices(batch, find_price(config.backend, config.run_model, "live", config.service_tier, now, **own))


def prices_of(run: Mapping[str, Any]) -> Prices:
    """The prices of the run that a run.json tells of; unknown if it tells of none."""
    try:
        return find_prices(msgspec.convert(run.get("config") or {}, RunConfig)) if run else UNKNOWN
    except (msgspec.ValidationError, UsageError):
        return UNKNOWN


def spent_on(store: CheckpointStore, cell: Cell, prices: Prices) -> float | None:
    """USD that a cell's answers cost, by the usage in them and today's prices; None if a price is not known."""
    total = 0.0
    for mode in ("batch", "live"):
        totals, price = store.totals(cell, mode), prices.of(mode)
        if not totals.input_tokens and not totals.output_tokens:
            continue
        if price is None:
            return None
        total += cost(totals, price, totals.cache_write_tokens)
    return total


def spent_in_all(store: CheckpointStore, prices: Prices) -> float | None:
    """USD that all stored answers cost."""
    return add_up(spent_on(store, cell, prices) for cell in store.cells)


def rerun_costs(
    store: CheckpointStore, due: Mapping[Cell, int], prices: Prices, mode: Mode
) -> dict[Cell, float | None]:
    """USD that due requests should cost, by what the answers of their cells have taken so far, or those of the whole run where a
    cell has none. None if the price is not known, or nothing was ever answered."""
    paid = {cell: _count_paid(store, cell) for cell in store.cells}
    used = CellTotals()
    for cell in paid:
        used.add(store.totals(cell))
    all_paid, price = sum(paid.values()), prices.of(mode)

    def expect(cell: Cell, requests: int) -> float | None:
        totals, answers = (store.totals(cell), paid[cell]) if paid.get(cell) else (used, all_paid)
        if not requests:
            return 0.0
        if price is None or not answers:
            return None
        return cost(totals, price, totals.cache_write_tokens) / answers * requests

    return {cell: expect(cell, requests) for cell, requests in due.items()}


def _count_paid(store: CheckpointStore, cell: Cell) -> int:
    return sum(entry.status in FINAL_STATUSES and not entry.imported for entry in store.entries(cell).values())


def add_up(amounts: Iterable[float | None]) -> float | None:
    """The sum; None if one of the amounts is not known."""
    known: list[float] = []
    for amount in amounts:
        if amount is None:
            return None
        known.append(amount)
    return math.fsum(known)


class Spending:
    """A run's money as it goes: may the next request go, and do the estimates hold."""

    def __init__(self, config: RunConfig, prices: Prices, store: CheckpointStore) -> None:
        """Raises UsageError where a limit cannot be kept: no price, or no room for one request."""
        self._config = config
        self._prices = prices
        self._counter = TextCounter(config.backend, config.run_model) if config.backend in PRICED else None
        self._estimates: dict[str, Estimate] = {}
        self._under_way: set[str] = set()
        self._compared: list[tuple[Estimate, Usage | None]] = []
        self._calibration: Calibration | None = None
        self._calibrated = self._counter is None
        self._brake: CostBrake | None = None
        self.stopped = False
        if config.max_cost is not None:
            self._price = require_price(prices.of(config.run_mode), config.run_model)
            self._brake = CostBrake(config.max_cost, spent_in_all(store, prices) or 0.0)

    def expect(self, request: Request) -> None:
        """Count a request that is in flight anyway, in a batch of an earlier run."""
        if self._brake is not None:
            self._under_way.add(request.key)
            self._brake.reserve(request.key, self._highest(self._estimate(request)))

    def may_ask(self, request: Request) -> bool:
        """Whether the request may leave; from then on it is in flight. False for good once one may not."""
        if self._brake is None:
            if not self._calibrated:
                self._estimates[request.key] = self._estimate(request)
            return True
        if request.key in self._under_way:
            return True
        estimate = self._estimate(request)
        if self.stopped or not self._brake.try_reserve(request.key, self._highest(estimate)):
            self.stopped = True
            return False
        self._estimates[request.key] = estimate
        return True

    def check_first(self, request: Request) -> None:
        """Raises UsageError if the limit leaves no room for even this request, the first of a run."""
        if self._brake is not None and self._config.max_cost is not None:
            sentence = check_limit(self._config.max_cost, self._brake.spent, self._highest(self._estimate(request)))
            if sentence:
                raise UsageError(sentence)

    def take(self, response: Response) -> str | None:
        """Count what a response cost. A sentence, once, when the first answers show that the estimates are off."""
        estimate = self._estimates.pop(response.key, None)
        if self._brake is not None:
            price = self._prices.of("batch" if response.job else "live") or self._price
            written = response.usage.cache_write_tokens if response.usage else None
            self._brake.settle(response.key, cost(response.usage, price, written))
        if self._calibrated or estimate is None or response.usage is None:
            return None
        self._compared.append((estimate, response.usage))
        if len(self._compared) < CALIBRATE_AFTER:
            return None
        self._calibrated = True
        self._calibration = calibrate(self._compared)
        self._compared.clear()
        if self._brake is None:
            self._estimates.clear()
        return describe_calibration(self._calibration) if self._calibration else None

    def describe_stop(self) -> str:
        """Why nothing more was sent."""
        assert self._brake is not None
        return (
            f"--max-cost {self._config.max_cost:g} lets nothing more go: {format_usd(self._brake.spent)} is spent and up to "
            f"{format_usd(self._brake.in_flight)} in flight, by estimate. Run again with a higher limit to go on."
        )

    def _estimate(self, request: Request) -> Estimate:
        assert self._counter is not None
        return estimate_request(request, self._config.backend, self._config.setting, self._counter)

    def _highest(self, estimate: Estimate) -> float:
        over = 1.0
        if self._calibration is not None:
            over = max(self._calibration.input_over, self._calibration.output_over)
        return highest_cost(estimate, self._price) * over

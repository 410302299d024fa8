"""What a run costs: its prices, and the account of what was spent, the source of every amount that is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from vlures.config.resolve import stored_section, stored_target
from vlures.config.sections import Mode, MoneyOptions, Target
from vlures.errors import UsageError
from vlures.pricing import NANO, Ledger, Price, PricedProvider, cost, describe_change, find_price, to_nano
from vlures.pricing.spending_file import SpendingFile
from vlures.records import FINAL_STATUSES, Cell, Response, is_same_model
from vlures.store.cell_state import CellTotals
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import cell_group, cell_of_group, group_of

LIVE_FOR_BATCH = 2.0
"""A live call costs twice its price in a batch, at all providers; a user's own price is that of the run's mode."""


@dataclass(frozen=True, slots=True)
class Prices:
    """A run's model's, by the mode in which it answers; None where no table lists it."""

    batch: Price | None
    live: Price | None
    provider: PricedProvider | None = None
    model: str = ""
    service_tier: str | None = None
    own: bool = False
    """The user gave them."""

    def of(self, mode: Mode) -> Price | None:
        return self.batch if mode == "batch" else self.live

    @property
    def are_asked(self) -> bool:
        """False for answers that are made on this machine: nothing is sent, and nobody is paid."""
        return self.provider is None or self.provider.usual_address is not None

    def of_answer(self, model: str | None, mode: Mode) -> Price | None:
        """Of an answer of this run, by the model that gave it."""
        if self.own or model is None or is_same_model(self.model, model):
            return self.of(mode)
        return self._listed(model, mode, self.service_tier) or self.of(mode)

    def of_old_answer(self, model: str | None, mode: Mode) -> Price | None:
        """Of an answer of an earlier run that did not note its cost: it may have asked another model, in another
        tier."""
        if model is None or is_same_model(self.model, model):
            return self.of(mode)
        return self._listed(model, mode, None) or (self.of(mode) if self.own else None)

    def describe_change(self, mode: Mode) -> str | None:
        """A sentence if the listed price of the run's model changes soon, else None."""
        if self.provider is None:
            return None
        return describe_change(self.provider, self.model, mode, self.service_tier, datetime.now(UTC))

    def _listed(self, model: str, mode: Mode, service_tier: str | None) -> Price | None:
        if self.provider is None:
            return None
        return find_price(self.provider, model, mode, service_tier, datetime.now(UTC))


UNKNOWN = Prices(None, None)


def find_prices(target: Target, money: MoneyOptions, provider: PricedProvider | None) -> Prices:
    """Today's; unknown where the target has no provider. A model that a table lists has the listed price at every
    address, unless the user gives another.

    Raises UsageError for only one of the user's two prices, where the other is not listed.
    """
    if provider is None:
        return UNKNOWN
    now = datetime.now(UTC)

    def find(mode: Mode, times: float) -> Price | None:
        own = {"price_input": money.price_input, "price_output": money.price_output}
        own = {name: None if price is None else price * times for name, price in own.items()}
        tier = target.service_tier if mode == "live" else None
        return find_price(provider, target.model, mode, tier, now, **own)

    return Prices(
        batch=find("batch", 1.0),
        live=find("live", LIVE_FOR_BATCH if target.mode == "batch" else 1.0),
        provider=provider,
        model=target.model,
        service_tier=target.service_tier,
        own=money.price_input is not None or money.price_output is not None,
    )


FindProvider = Callable[[str], PricedProvider | None]
"""A backend's name → its provider (`vlures.backends.find_provider`)."""


def prices_of(run: Mapping[str, Any], find_provider: FindProvider) -> Prices:
    """The prices of the run that a run.json describes; unknown if it describes none."""
    if not run:
        return UNKNOWN
    stored = run.get("config") or {}
    try:
        target, money = stored_target(run), stored_section(MoneyOptions, stored)
        return UNKNOWN if target is None else find_prices(target, money, find_provider(target.provider))
    except (msgspec.ValidationError, UsageError):
        return UNKNOWN


def cost_of_answer(response: Response, prices: Prices) -> float | None:
    """USD that a stored answer cost: what its line says, else by its usage and today's price of its model."""
    if response.nano_usd is not None:
        return response.nano_usd / NANO
    price = prices.of_old_answer(response.model, "batch" if response.job else "live")
    usage = response.usage
    return cost(usage, price, usage.cache_write_tokens) if usage and price else None


@dataclass(frozen=True, slots=True)
class Account:
    """What was spent on one variant of a run, in USD; None: not known.

    Adds up what its lines say, today's prices for lines that say nothing, and what the ledger of its folder holds: lost
    replies, calls in flight at a kill, answers without usage.
    """

    store: CheckpointStore
    prices: Prices
    ledger: Ledger

    @classmethod
    def read(cls, store: CheckpointStore, prices: Prices, say: Callable[[str], None] = lambda _: None) -> Account:
        """From the disk."""
        return cls(store, prices, SpendingFile(store.folder.parent, writable=False, say=say).ledger)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Those with answers, or with money in the ledger alone."""
        charged = {cell_of_group(group, self.store.variant) for group in self.ledger.charged} - {None}
        return tuple(sorted({*self.store.cells, *(cell for cell in charged if cell is not None)}))

    def spent_on(self, cell: Cell) -> float | None:
        """On a cell."""
        nano = self.nano_on(cell)
        return None if nano is None else nano / NANO

    def nano_on(self, cell: Cell) -> int | None:
        money, group = self.store.money(cell), self.group(cell)
        total = money.nano_usd + self.ledger.charged.get(group, 0)
        if money.untold > self.ledger.untold.get(group, 0):
            return None
        for (mode, model), tokens in money.unpriced.items():
            price = self.prices.of_old_answer(model, mode)
            if price is None:
                return None
            total += to_nano(cost(tokens, price, tokens.cache_write_tokens))
        return total

    def in_all(self) -> float | None:
        """On the whole variant."""
        return add_up(self.spent_on(cell) for cell in self.cells)

    def reserved(self) -> float:
        """For requests of the variant that are, or may be, under way."""
        held = (item for holdings in self.ledger.standing.values() for item in holdings.items())
        ours = (nano for key, nano in held if cell_of_group(group_of(key), self.store.variant) is not None)
        return sum(ours) / NANO

    def uncertain(self) -> float:
        """The part of what was spent that no answer tells: lost replies, at their highest estimate."""
        ours = (nano for group, nano in self.ledger.charged.items() if cell_of_group(group, self.store.variant))
        return sum(ours) / NANO

    def group(self, cell: Cell) -> str:
        return cell_group(cell, self.store.variant)


def read_accounts(stores: Sequence[CheckpointStore], prices: Prices) -> tuple[Account, ...]:
    """Those of all variants of an output folder, which share one limit."""
    if not stores:
        return ()
    ledger = SpendingFile(stores[0].folder.parent, writable=False).ledger
    return tuple(Account(store, prices, ledger) for store in stores)


def rerun_costs(account: Account, due: Mapping[Cell, int], mode: Mode) -> dict[Cell, float | None]:
    """USD that due requests should cost, by the mean of their cell's answers so far, or of the whole run's where a cell
    has none. None if the price is not known, or nothing was ever answered."""
    store = account.store
    paid = {cell: _count_paid(store, cell) for cell in store.cells}
    used = CellTotals()
    for cell in paid:
        used.add(store.totals(cell))
    all_paid, price = sum(paid.values()), account.prices.of(mode)

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

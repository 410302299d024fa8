"""What a million tokens cost, and so an answer. USD throughout.

From genai-prices (a package of dated tables, loaded on use), the provider's small list of what that lacks, or the
user's `price_input` and `price_output`. A price names its source. None of it is an invoice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from typing import Literal, Protocol

from vlures.errors import UsageError
from vlures.pricing.provider import PricedProvider

HALF = 0.5
"""Batches cost half, at OpenAI (Batch guide of 2026-09) and at Gemini (Batch API page of 2026-11)."""

PRIORITY = 2.0
"""Priority costs 75 to 100 % more (Gemini's pages of 2026-11; OpenAI's model pages: twice)."""

TABLES_FROM = datetime(2026, 10, 15, tzinfo=UTC)
"""genai-prices 0.2.3 has the rates of batches and tiers since this day, and silently the standard ones before."""

NOTICE = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens, for requests below the providers' limits of long context (200,000 tokens and more)."""

    input: float
    output: float
    cached_input: float
    """Of input read from the provider's cache."""
    cache_write: float
    """Of input written into it."""
    source: str
    """Where the price comes from, in words."""
    cached_from_tokens: int = 0
    """The least input of a request that the provider may write into its cache unasked."""


_SNAPSHOT = r"(-\d{4}-\d{2}-\d{2})?"


class Tokens(Protocol):
    """One answer's usage, or the sum of many."""

    @property
    def input_tokens(self) -> int | None: ...
    @property
    def output_tokens(self) -> int | None: ...
    @property
    def cached_tokens(self) -> int | None: ...


def find_price(
    provider: PricedProvider,
    model: str,
    mode: Literal["batch", "live"],
    service_tier: str | None,
    when: datetime,
    *,
    price_input: float | None = None,
    price_output: float | None = None,
) -> Price | None:
    """What a million tokens cost in this mode at this time; None for a model that no known table lists.

    price_input, price_output: the user's own, as they are charged in this mode; they win.
    Raises UsageError for one of them without the other, where the other is not listed.
    """
    listed = _find_listed(provider, model, mode, service_tier, when)
    if price_input is None and price_output is None:
        return listed
    if listed is None and (price_input is None or price_output is None):
        given, missing = ("price_input", "price_output") if price_output is None else ("price_output", "price_input")
        raise UsageError(
            f"No price of {model} is known here, so {given} is not enough; add {missing} (USD per million tokens)."
        )
    if listed is None or price_input is not None:
        own = 0.0 if price_input is None else price_input
        listed = Price(own, listed.output if listed else 0.0, own, own, "")
    return replace(
        listed,
        output=listed.output if price_output is None else price_output,
        source="price_input and price_output of the configuration",
    )


def require_price(price: Price | None, model: str) -> Price:
    """The price. Raises UsageError saying what to do if there is none: a cost limit cannot be kept without it."""
    if price is None:
        raise UsageError(
            f"No price of {model} is known here, so --max-cost cannot be kept; add price_input and price_output "
            "(USD per million tokens, as they are charged in this mode), or leave --max-cost out."
        )
    return price


def cost(usage: Tokens | None, price: Price, written_tokens: int | None = None) -> float:
    """USD that a usage cost; 0 without one, as for a failure that the provider does not charge.

    written_tokens: input that was written into the provider's cache. If None, all input that was not read from the
    cache counts as written where that is possible: the sum is never too low, and at most a quarter of the input's price
    too high.
    """
    if usage is None:
        return 0.0
    given = usage.input_tokens or 0
    cached = min(usage.cached_tokens or 0, given)
    fresh = given - cached
    written = (
        (fresh if given >= price.cached_from_tokens else 0) if written_tokens is None else min(written_tokens, fresh)
    )
    return (
        (fresh - written) * price.input
        + written * price.cache_write
        + cached * price.cached_input
        + (usage.output_tokens or 0) * price.output
    ) / 1e6


def describe_change(
    provider: PricedProvider, model: str, mode: Literal["batch", "live"], service_tier: str | None, when: datetime
) -> str | None:
    """A sentence if the model's listed price changes within 60 days, else None."""
    before = _find_listed(provider, model, mode, service_tier, when)
    if before is None:
        return None
    last = _find_listed(provider, model, mode, service_tier, when + NOTICE)
    if last == before:  # one lookup for the usual case: each takes a while
        return None
    for days in range(1, NOTICE.days + 1):
        after = _find_listed(provider, model, mode, service_tier, when + timedelta(days=days))
        if after is not None and (after.input, after.output) != (before.input, before.output):
            return (
                f"From {(when + timedelta(days=days)).date()} on, {model} costs {after.input:g} and {after.output:g} "
                f"USD per million tokens of input and output, instead of {before.input:g} and {before.output:g}."
            )
    return None


def format_usd(amount: float) -> str:
    """For people: cents, or two significant digits below ten cents. `$12.30`, `$0.0042`."""
    if amount == 0 or amount >= 0.0995:
        return f"${amount:,.2f}"
    return f"${float(f'{amount:.2g}'):.10f}".rstrip("0")


def _find_listed(
    provider: PricedProvider, model: str, mode: Literal["batch", "live"], service_tier: str | None, when: datetime
) -> Price | None:
    day = when.astimezone(UTC).date()
    if mode == "batch":
        return _find_by_processing(provider, model, day, "batch")
    return _find_by_processing(
        provider, model, day, service_tier if service_tier in ("flex", "priority") else "standard"
    )


@lru_cache(maxsize=1_024)
def _find_by_processing(provider: PricedProvider, model: str, day: date, processing: str) -> Price | None:
    """The price with one kind of processing: standard, batch, flex or priority."""
    standard = _from_tables(provider, model, day, {}) or _from_provider(provider, model)
    if standard is None or processing == "standard":
        return standard
    context = {"processing": "batch"} if processing == "batch" else {"service_tier": processing}
    special = _from_tables(provider, model, max(day, TABLES_FROM.date()), context)
    if special is not None and (special.input, special.output) != (standard.input, standard.output):
        return replace(special, source=f"{special.source}, {processing}")
    # The tables lack it, and silently give the standard price.
    if processing == "priority":
        return _scale(standard, PRIORITY, f"{standard.source}, at most twice for {processing}")
    if processing in provider.halved_ways:
        return _scale(standard, HALF, f"{standard.source}, halved for {processing}")
    return replace(standard, source=f"{standard.source}, which has no price for {processing}")


def list_models(provider: PricedProvider) -> list[str]:
    """The names that genai-prices has for a provider's models, those of others that it resells included."""
    from genai_prices.data import providers

    return [model.id for known in providers if known.id == provider.price_table for model in known.models]


def _scale(price: Price, by: float, source: str) -> Price:
    return replace(
        price,
        input=price.input * by,
        output=price.output * by,
        cached_input=price.cached_input * by,
        cache_write=price.cache_write * by,
        source=source,
    )


def _from_provider(provider: PricedProvider, model: str) -> Price | None:
    """From the provider's own list."""
    for listed in provider.listed_prices:
        if re.fullmatch(listed.pattern + _SNAPSHOT, model):
            return Price(
                listed.input,
                listed.output,
                cached_input=listed.input,
                cache_write=listed.cache_write,
                source=listed.source,
                cached_from_tokens=provider.cached_from_tokens,
            )
    return None


@cache
def _name_of_tables() -> str:
    return f"genai-prices {version('genai-prices')}"


def _from_tables(provider: PricedProvider, model: str, day: date, context: Mapping[str, str]) -> Price | None:
    table = provider.price_table
    if table is None:
        return None
    # Loaded on use: it takes a third of a second, and `vlures --help` asks for no price.
    from genai_prices import Usage, calc_price

    when = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)

    def of(usage: Usage) -> float:
        # A thousand tokens stay below every limit of long context.
        total = calc_price(
            usage, model, provider_id=table, genai_request_timestamp=when, price_context=context or None
        ).total_price
        return float(total * Decimal(1_000))

    try:
        return Price(
            input=of(Usage(input_tokens=1_000)),
            output=of(Usage(output_tokens=1_000)),
            cached_input=of(Usage(input_tokens=1_000, cache_read_tokens=1_000)),
            cache_write=of(Usage(input_tokens=1_000, cache_write_tokens=1_000)),
            source=_name_of_tables(),
            cached_from_tokens=provider.cached_from_tokens,
        )
    except LookupError:
        return None

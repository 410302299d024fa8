"""A plan in words: its table, its summary line, and how its costs are estimated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vlures.config.sections import Target
from vlures.errors import counted
from vlures.pricing import (
    Price,
    Totals,
    cost_range,
    describe_calibration,
    describe_gaps,
    format_usd,
)
from vlures.pricing.costs import Account, Prices, add_up
from vlures.runs.config import RunConfig
from vlures.runs.describe_money import describe_estimate, describe_spent
from vlures.runs.plan import CellPlan, Plan
from vlures.runs.table_text import align

COUNTS = ("due", "answered", "in_flight", "left_out")
HEADERS = ("cell", "due", "answered", "in flight", "left out", "tokens in", "of images", "tokens out")


def tabulate_plan(plan: Plan, prices: Prices) -> str:
    """A row per cell and one for their sums. Costs are expected ones or, where images have no known token count, a
    likely upper bound. Where answers are made on this machine, there are only counts."""
    rows = [(cell.title, _counts_of(cell), cell.tokens, cell.bytes) for cell in plan.cells]
    rows.append(("total", [plan.total(what) for what in COUNTS], plan.tokens, plan.bytes))
    if not prices.are_asked:
        return align([*HEADERS[: 1 + len(COUNTS)]], [[name, *_in_words(counts)] for name, counts, *_ in rows], texts=1)
    headers = [*HEADERS, "USD batch", "USD live", "about MB"]
    return align(headers, [_row(name, counts, tokens, prices, sent) for name, counts, tokens, sent in rows], texts=1)


def _counts_of(cell: CellPlan) -> list[int]:
    return [getattr(cell, what) for what in COUNTS]


def _in_words(counts: list[int]) -> list[str]:
    return [f"{count:,}" for count in counts]


def _row(name: str, counts: list[int], tokens: Totals, prices: Prices, size_bytes: int) -> list[str]:
    image_tokens = f"≤{tokens.unknown_most:,}" if tokens.unknown_images else f"{tokens.image_tokens:,}"
    return [
        name,
        *_in_words(counts),
        f"{tokens.input_tokens:,}",
        image_tokens,
        f"{tokens.output_expected:,}",
        _describe_range(tokens, prices.batch),
        _describe_range(tokens, prices.live),
        f"{size_bytes / 1e6:,.1f}",
    ]


def _describe_range(tokens: Totals, price: Price | None) -> str:
    if price is None:
        return "unknown"
    costs = cost_range(tokens, price)
    return f"≤{format_usd(costs.high)}" if costs.expected is None else format_usd(costs.expected)


def describe_costs(target: Target, plan: Plan, prices: Prices, elsewhere: str | None = None) -> Iterator[str]:
    """How a plan's costs are estimated. elsewhere: the address that is asked, if it is not the provider's own."""
    price = prices.of(target.mode)
    yield from plan.refused
    if not plan.tokens.requests or not prices.are_asked:
        return
    if price is None:
        yield (
            f"The price of {target.model} is unknown; add --price-input and --price-output (USD per million tokens)."
        )
    else:
        costs = cost_range(plan.tokens, price)
        yield (
            f"Estimates: {format_usd(costs.low)} to {format_usd(costs.high)} in {target.mode} mode, at "
            f"{price.input:g} and {price.output:g} USD per million tokens of input and output ({price.source})."
        )
        if not prices.own and elsewhere:
            yield (
                f"These are the list prices, and {elsewhere} may charge others; set them with --price-input and "
                "--price-output."
            )
    yield from describe_gaps(plan.tokens, target.model)
    if plan.calibration and (learned := describe_calibration(plan.calibration)):
        yield learned
    if change := prices.describe_change(target.mode):
        yield change


def describe_account(max_cost: float | None, accounts: Iterable[Account], *, rehearsal: bool) -> str | None:
    """What earlier runs of the folder have spent, as `--max-cost` counts it."""
    accounts = list(accounts)
    spent = add_up(account.in_all() for account in accounts)
    reserved = sum(account.reserved() for account in accounts)
    if not spent and not reserved and max_cost is None:
        return None
    before = describe_spent(spent, rehearsal=rehearsal)
    said = "Earlier spending is unknown" if spent is None else f"{before} was spent before"
    held = f", up to {format_usd(reserved)} more is reserved for requests under way" if reserved else ""
    limit = f", of --max-cost {max_cost:g}" if max_cost is not None else ""
    return f"{said}{held}{limit}."


def describe_plan(config: RunConfig, plan: Plan, prices: Prices) -> str:
    selected = f"{counted(plan.selected, 'request')} in {counted(len(plan.cells), 'cell')}"
    parts = [f"{plan.total('due'):,} due of {selected}"]
    if plan.total("answered"):
        imported = f" ({plan.total('imported'):,} imported)" if plan.total("imported") else ""
        parts.append(f"{plan.total('answered'):,} answered already{imported}")
    if plan.total("in_flight"):
        parts.append(f"{plan.total('in_flight'):,} in flight")
    if plan.total("left_out"):
        parts.append(f"{plan.total('left_out'):,} left out")
    saved = f" ({plan.saved_bytes / 1e6:,.1f} MB less than inline)" if plan.saved_bytes else ""
    if plan.total("due") and prices.are_asked:
        parts.append(f"about {plan.bytes / 1e6:,.1f} MB to send{saved}")
    if plan.total("due") and config.target.mode == "batch":
        parts.append(counted(plan.shards, "batch"))
    if plan.tokens.requests and prices.are_asked and (price := prices.of(config.target.mode)):
        costs = cost_range(plan.tokens, price)
        parts.append(f"{describe_estimate(costs, rehearsal=config.rehearsal.sandbox)} by estimate")
    return f"{config.run_name}: {config.who.backend} {config.target.mode}, {config.target.model}: {', '.join(parts)}."

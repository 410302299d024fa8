"""Money in words. In a rehearsal nothing is spent, and what it would have cost says so."""

from __future__ import annotations

from vlures.pricing import CostRange, format_usd


def describe_estimate(costs: CostRange, *, rehearsal: bool) -> str:
    """about $3.10, at most $39.00"""
    most = f"at most {format_usd(costs.high)}"
    return _rehearsed(most if costs.expected is None else f"about {format_usd(costs.expected)}, {most}", rehearsal)


def describe_spent(usd: float | None, *, rehearsal: bool) -> str:
    """What answers have cost. None: a price is unknown."""
    if usd is None:
        return "unknown"
    return format_usd(usd) if not rehearsal else _rehearsed(f"about {format_usd(usd)}", rehearsal)


def describe_progress(usd: float, costs: CostRange | None, *, rehearsal: bool) -> str:
    """What was spent of what was expected, where that is known."""
    if costs is None:
        return _rehearsed(format_usd(usd), rehearsal)
    of = f"at most {format_usd(costs.high)}" if costs.expected is None else f"about {format_usd(costs.expected)}"
    return _rehearsed(f"{format_usd(usd)} of {of}", rehearsal)


def _rehearsed(text: str, rehearsal: bool) -> str:
    return f"$0.00 (for real {text})" if rehearsal else text

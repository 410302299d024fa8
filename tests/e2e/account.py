"""What a sandbox charged, by its own ledger and the listed prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from vlures.backends import find_provider
from vlures.pricing import find_price


def charged_usd(entries: Iterable[Mapping[str, Any]]) -> float:
    """In USD."""
    prices = {}
    total = 0.0
    for entry in entries:
        provider: Literal["openai", "gemini"] = entry["provider"]
        terms = (provider, entry["model"], entry["mode"])
        if terms not in prices:
            known = find_provider(provider)
            assert known is not None
            prices[terms] = find_price(known, *terms[1:], None, datetime.now(UTC))
        price = prices[terms]
        assert price is not None, f"no price of {terms}"
        full = entry["input_tokens"] - entry["cached_tokens"]
        cached, written = entry["cached_tokens"] * price.cached_input, entry["output_tokens"] * price.output
        total += (full * price.input + cached + written) / 1e6
    return total

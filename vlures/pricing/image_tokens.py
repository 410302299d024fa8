"""The most tokens that an image may take. The formulas are the providers' own."""

from __future__ import annotations

from math import ceil

from vlures.pricing.provider import PricedProvider
from vlures.records import Parameters

MARGIN = 1.25
"""How far a real image may exceed the formula. The most that was reported is 6,010 tokens for 4,867, 1.235 times (in
2026, on gpt-5.6)."""


def most_image_tokens(provider: PricedProvider, model: str, width: int, height: int, parameters: Parameters) -> int:
    """Tokens that the image will hardly exceed, for a cost limit: the formula with a margin; for a model without one
    the provider's largest."""
    known = provider.image_tokens(model, width, height, parameters)
    if known:  # an image that should be refused, and is not, may take the largest
        return ceil(known * MARGIN)
    return provider.largest_image_tokens(width, height)

"""What an image takes in tokens at most. The formulas are the providers' own."""

from __future__ import annotations

from math import ceil

from vlures.pricing.provider import PricedProvider
from vlures.records import Parameters

MARGIN = 1.25
"""How far a real image may go beyond the formula: 6,010 tokens for 4,867, 1.235 times, is the most that was reported
(in 2026, on gpt-5.6)."""


def most_image_tokens(provider: PricedProvider, model: str, width: int, height: int, parameters: Parameters) -> int:
    """A number of tokens that the image will hardly pass, for a limit of cost: the formula with a margin; for a model
    without one the provider's largest."""
    known = provider.image_tokens(model, width, height, parameters)
    if known:  # what should be refused, and is not, takes all that an image can
        return ceil(known * MARGIN)
    return provider.largest_image_tokens(width, height)

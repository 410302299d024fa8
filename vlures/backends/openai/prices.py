"""OpenAI's prices that the price tables lack."""

from __future__ import annotations

from vlures.backends.provider import ListedPrice

CACHE_WRITE = 1.25
"""From gpt-5.6 on OpenAI writes prompts of 1,024 tokens and more into its cache unasked, and charges 1.25 times the
price of input for it (developers.openai.com/api/docs/guides/prompt-caching, read 2026-11-22)."""

CACHED_FROM_TOKENS = 1_024

LISTED_PRICES = (
    ListedPrice(r"gpt-6\.2-astra", 8, 40, 8 * CACHE_WRITE, "OpenAI's announcement of 2026-11-17"),
    ListedPrice(r"gpt-6\.2-sol", 2, 10, 2 * CACHE_WRITE, "OpenAI's announcement of 2026-11-17"),
)
"""Read on 2026-11-21, when no price table had them. No price of cached input was given, so it counts in full."""

"""The tokens that an answer is expected to take, thinking included. All figures are our own judgement, and labelled so.

Real usage replaces them after the first answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from vlures.pricing.provider import PricedProvider
from vlures.records import Parameters

LOW = 0.5
"""The low end: half of the answer, no thinking."""

UNBOUNDED = 8
UNBOUNDED_LEAST = 4_096
"""Without `max_output_tokens` the high end is this multiple of the expected tokens, and at least this many. It is not a
bound: a model may write up to 128,000 tokens (gpt-6) unless it is limited."""


@dataclass(frozen=True, slots=True)
class OutputRange:
    """Tokens of one answer, thinking included."""

    low: int
    expected: int
    high: int
    bounded: bool
    """`high` is the allowance, which the provider enforces."""


def expect_output(
    provider: PricedProvider, model: str, english_tokens: int, language: str | None, parameters: Parameters
) -> OutputRange:
    """What an answer may take.

    english_tokens: its tokens in English, without thinking. language: a tag; one without a factor counts as the dearest
    that has one, None as English.
    """
    thinking = provider.thinking_tokens(model, parameters)
    return _expect(provider, english_tokens, language, thinking, parameters.get("max_output_tokens"))


@lru_cache(maxsize=4_096)
def _expect(
    provider: PricedProvider, english_tokens: int, language: str | None, thinking: int, allowance: int | None
) -> OutputRange:
    factors = provider.language_factors
    answer = english_tokens * factors.get(language or "en", max(factors.values()))
    low, expected = round(answer * LOW), round(answer) + thinking
    if allowance is None:
        return OutputRange(low, expected, max(UNBOUNDED_LEAST, UNBOUNDED * expected), bounded=False)
    return OutputRange(min(low, allowance), min(expected, allowance), allowance, bounded=True)

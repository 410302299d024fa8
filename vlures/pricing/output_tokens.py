"""The tokens that an answer is expected to take, thinking included. All of it is our own judgement, and said to be.

Real usage takes the place of it after the first answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from vlures.records import Parameters

LANGUAGE_FACTORS = {
    "openai": {"en": 1.0, "ja": 1.55, "sw": 1.15, "ur": 1.3},
    "gemini": {"en": 1.0, "ja": 1.1, "sw": 1.2, "ur": 1.45},
}
"""Tokens of a text in a language (BCP 47) for one of the same text in English. Measured on 2026-11-22 on the worked examples of
VLURes: openai by o200k_base, gemini by the vocabulary of its open sister Gemma."""

LOW = 0.5
"""The low end: half of the answer, and no thinking."""

THINKING_TOKENS = {
    "openai": {"none": 0, "minimal": 20, "low": 50, "medium": 150, "high": 600, "xhigh": 1_500, "max": 3_000},
    "gemini": {"none": 0, "minimal": 0, "low": 150, "medium": 500, "high": 1_200, "xhigh": 2_500},
}
"""By `reasoning_effort` or `thinking_level`. A public comparison of 34 questions about pictures of 2026-11 has medians of 0
to 52 thinking tokens for the GPT-6 models at their default; our questions are longer."""

UNBOUNDED = 8
UNBOUNDED_LEAST = 4_096
"""Without `max_output_tokens` the high end is so many times what is expected, and at least so much. No bound: a model may
write up to 128,000 tokens (gpt-6) if nobody stops it."""

_OPENAI_THINKS = re.compile(r"(gpt-([5-9]|\d\d)|o[134])([-.](?!chat).*)?")
_GEMINI_THINKS = re.compile(r"gemini-(2\.5|[3-9]|\d\d)[-.].*")
_GEMINI_DEFAULTS = ((r"gemini-2\.5-flash-lite.*", "none"), (r".*-flash-lite.*", "minimal"), (r".*-pro.*", "high"))


@dataclass(frozen=True, slots=True)
class OutputRange:
    """Tokens of one answer, thinking included. bounded: high is the allowance, which the provider keeps."""

    low: int
    expected: int
    high: int
    bounded: bool


def expect_output(
    provider: str, model: str, english_tokens: int, language: str | None, parameters: Parameters
) -> OutputRange:
    """What an answer may take.

    english_tokens: what it would take in English, without thinking. language: a tag; one without a factor of its own counts as
    the dearest that has one, none at all as English.
    """
    thinking = expected_thinking(provider, model, parameters)
    return _expect(provider, english_tokens, language, thinking, parameters.get("max_output_tokens"))


@lru_cache(maxsize=4_096)
def _expect(
    provider: str, english_tokens: int, language: str | None, thinking: int, allowance: int | None
) -> OutputRange:
    factors = LANGUAGE_FACTORS.get(provider, LANGUAGE_FACTORS["openai"])
    answer = english_tokens * factors.get(language or "en", max(factors.values()))
    low, expected = round(answer * LOW), round(answer) + thinking
    if allowance is None:
        return OutputRange(low, expected, max(UNBOUNDED_LEAST, UNBOUNDED * expected), bounded=False)
    return OutputRange(min(low, allowance), min(expected, allowance), allowance, bounded=True)


def expected_thinking(provider: str, model: str, parameters: Parameters) -> int:
    """Tokens of thinking before one answer; 0 for a model that is not known to think."""
    if provider == "openai":
        effort = parameters.get("reasoning_effort") or ("medium" if _OPENAI_THINKS.fullmatch(model) else "none")
        return THINKING_TOKENS["openai"].get(effort, THINKING_TOKENS["openai"]["medium"])
    if provider != "gemini" or not _GEMINI_THINKS.fullmatch(model):
        return 0
    defaults = (level for pattern, level in _GEMINI_DEFAULTS if re.fullmatch(pattern, model))
    level = parameters.get("thinking_level") or next(defaults, "medium")
    budget: int = parameters.get("thinking_budget", -1)
    tokens = THINKING_TOKENS["gemini"].get(level, THINKING_TOKENS["gemini"]["medium"])
    if budget < 0:
        return tokens
    return min(budget, max(tokens, THINKING_TOKENS["gemini"]["medium"]))

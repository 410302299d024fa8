"""What an answer is expected to take in tokens, thinking included. All of it is our own judgement, and said to be.

Where it comes from: the answers and reasons of this package's worked examples, counted by o200k_base on 2026-11-22 (in
English 61 to 199 tokens for an answer by task, 73 to 99 for its reasons), and half as much again, for models write more than
the example shows. Real usage takes the place of it after the first answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from vlures.records import Parameters, Setting

ANSWER_TOKENS = {1: 140, 2: 170, 3: 200, 4: 300, 5: 90, 6: 140, 7: 200, 8: 170}
"""Of an answer in English, by task."""

REASON_TOKENS = 130
"""Of the reasons in English, where they are asked for."""

LANGUAGE_FACTORS = {
    "openai": {"En": 1.0, "Jp": 1.55, "Sw": 1.15, "Ur": 1.3},
    "gemini": {"En": 1.0, "Jp": 1.1, "Sw": 1.2, "Ur": 1.45},
}
"""Tokens of the same examples in another language, for one in English; measured as above, gemini by Gemma's vocabulary."""

WITHOUT_EXAMPLE = 1.5
"""Nothing shows the model how short an answer may be."""

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
    provider: str, model: str, language: str, task: int, setting: Setting, parameters: Parameters
) -> OutputRange:
    """What an answer may take. language: its code; a task or language of the future counts as the dearest known."""
    return _expect(
        provider,
        language,
        task,
        setting,
        expected_thinking(provider, model, parameters),
        parameters.get("max_output_tokens"),
    )


@lru_cache(maxsize=4_096)
def _expect(
    provider: str, language: str, task: int, setting: Setting, thinking: int, allowance: int | None
) -> OutputRange:
    english = ANSWER_TOKENS.get(task, max(ANSWER_TOKENS.values())) + (REASON_TOKENS if setting.rationales else 0)
    factors = LANGUAGE_FACTORS.get(provider, LANGUAGE_FACTORS["openai"])
    answer = english * factors.get(language, max(factors.values())) * (1 if setting.shots else WITHOUT_EXAMPLE)
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

"""The expected length of an answer to a VLURes question. Our own estimate.

It comes from the answers and reasons of this package's worked examples, counted by o200k_base on 2026-11-22 (in English
61 to 199 tokens for an answer by task, 73 to 99 for its reasons), and half as much again, for models write more than
the example shows.
"""

from __future__ import annotations

from vlures.benchmarks.vlures.settings import Setting

ANSWER_TOKENS = {1: 140, 2: 170, 3: 200, 4: 300, 5: 90, 6: 140, 7: 200, 8: 170}
"""Tokens of an answer in English, by task."""

REASON_TOKENS = 130
"""Tokens of the reasons in English, where they are asked for."""

WITHOUT_EXAMPLE = 1.5
"""Factor without a worked example: nothing shows the model how short an answer may be."""


def expect_tokens(task: int, setting: Setting) -> int:
    """Tokens of an answer in English, reasons included. An unknown task counts as the longest."""
    tokens = ANSWER_TOKENS.get(task, max(ANSWER_TOKENS.values())) + (REASON_TOKENS if setting.rationales else 0)
    return round(tokens * (1 if setting.shots else WITHOUT_EXAMPLE))

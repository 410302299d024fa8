"""The expected length of an answer to a VLURes question. Our own estimate.

It comes from the answers and reasons of this package's worked examples, counted by o200k_base on 2026-11-30 (in English
28 to 176 tokens for an answer by task, 125 to 168 for its reasons), and half as much again, for models write more than
the example shows. Task 1 alone gets more than that: the example's cup on a table is a picture of few objects.
"""

from __future__ import annotations

from vlures.benchmarks.vlures.settings import Setting

ANSWER_TOKENS = {1: 150, 2: 150, 3: 200, 4: 190, 5: 260, 6: 140, 7: 210, 8: 250}
"""Tokens of an answer in English, by task."""

REASON_TOKENS = 210
"""Tokens of the reasons in English, where they are asked for."""

WITHOUT_EXAMPLE = 1.5
"""Factor without a worked example: nothing shows the model how short an answer may be."""


def expect_tokens(task: int, setting: Setting) -> int:
    """Tokens of an answer in English, reasons included. An unknown task counts as the longest."""
    tokens = ANSWER_TOKENS.get(task, max(ANSWER_TOKENS.values())) + (REASON_TOKENS if setting.rationales else 0)
    return round(tokens * (1 if setting.shots else WITHOUT_EXAMPLE))

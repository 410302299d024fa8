"""Families of models: a judge may prefer answers of its own kind, so where judge and model share one it is marked."""

from __future__ import annotations

import re
from collections.abc import Iterable

FAMILIES = {
    "GPT": r"(ft:)?(gpt-|chatgpt-|o\d(-|$))",
    "Gemini": r"(gemini|gemma|paligemma)",
    "Claude": r"claude",
    "Qwen": r"(qwen|qvq)",
    "LLaVA": r"(llava|bakllava)",
    "Llama": r"(meta-)?llama",
    "BLIP": r"(instruct)?blip",
    "InternVL": r"internvl",
    "Mistral": r"(mistral|pixtral)",
}
"""Name → a pattern for the beginning of its models' names."""


def find_family(judge: str, models: Iterable[str]) -> str | None:
    """The family that a judge shares with one of the models; None if it shares none."""
    own = _family(judge)
    return own if own in map(_family, models) else None


def _family(model: str) -> str:
    """A model of no known family is one of its own, whatever its version."""
    name = model.lower().rpartition("/")[2]
    known = next((family for family, pattern in FAMILIES.items() if re.match(pattern, name)), None)
    return known or re.split(r"[-_.:\d]", name)[0] or name

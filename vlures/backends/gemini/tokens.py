"""Tokens of texts and of thinking at Gemini, whose vocabulary is unpublished; that of its sister Gemma is public."""

from __future__ import annotations

import re

from vlures.records import Parameters

CHARACTERS_PER_TOKEN = {"en": 4.3, "ja": 1.6, "sw": 3.0, "ur": 2.5}
"""By language (BCP 47). Measured by two published vocabularies of Gemma, taking the lower figure (4.38, 1.61, 3.03,
2.49), on 2026-11-22 on this package's own prompt packs and sample articles, 12,000 to 29,000 characters for each
language. All rounded down, so that estimates are rather too high."""

LANGUAGE_FACTORS = {"en": 1.0, "ja": 1.15, "sw": 1.55, "ur": 1.6}
"""Tokens of a text in a language (BCP 47) per token of the same text in English. Measured by Gemma 3's vocabulary
(1.14, 1.53, 1.32) on 2026-11-30 on the worked examples of VLURes, which say the same in all four; Urdu takes a fifth
more by the older vocabulary. Rounded up, so that estimates are rather too high."""

THINKING_TOKENS = {"none": 0, "minimal": 0, "low": 150, "medium": 500, "high": 1_200, "xhigh": 2_500}
"""By `thinking_level`: our own judgement."""

_THINKS = re.compile(r"gemini-(2\.5|[3-9]|\d\d)[-.].*")
_DEFAULTS = ((r"gemini-2\.5-flash-lite.*", "none"), (r".*-flash-lite.*", "minimal"), (r".*-pro.*", "high"))


def thinking_tokens(model: str, parameters: Parameters) -> int:
    """Expected thinking tokens before one answer; 0 for a model not known to think."""
    if not _THINKS.fullmatch(model):
        return 0
    defaults = (level for pattern, level in _DEFAULTS if re.fullmatch(pattern, model))
    level = parameters.get("thinking_level") or next(defaults, "medium")
    budget: int = parameters.get("thinking_budget", -1)
    tokens = THINKING_TOKENS.get(level, THINKING_TOKENS["medium"])
    if budget < 0:
        return tokens
    return min(budget, max(tokens, THINKING_TOKENS["medium"]))

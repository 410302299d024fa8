"""The tokens of a text: by the model's own vocabulary where that is on this machine, else by its characters."""

from __future__ import annotations

from math import ceil

from vlures.pricing.provider import PricedProvider
from vlures.records import Prompt

COUNTED_MARGIN = 1.1
"""How far off a count may be: newer models' vocabularies are not published, and pieces are counted one by one."""
GUESSED_MARGIN = 1.35
"""How far off the ratios may be; our prompts and articles differ from them by up to 8 %."""

MESSAGE_TOKENS = 11
"""Tokens of two messages beyond their texts: three each and one for the role, three before the answer (OpenAI's
cookbook on counting tokens, read 2026-11)."""

LONGEST_COUNTED = 20_000
"""Characters of one text that are counted; the rest is extrapolated, to save time."""

_JAPANESE_EXTRA_BYTES = 1.2
_ARABIC_EXTRA_BYTES = 0.3
"""Bytes of UTF-8 beyond one per character: 1.90 in our Japanese articles, 0.78 in the Urdu ones, 0.00 in the others."""


class TextCounter:
    """Counts the tokens of texts for one provider's model. A text is counted once, however many prompts hold it."""

    def __init__(self, provider: PricedProvider, model: str) -> None:
        vocabulary = provider.load_vocabulary(model)
        self._ratios = provider.characters_per_token
        self._count = vocabulary[1] if vocabulary else None
        self._known: dict[str | None, dict[str, int]] = {}
        self.by = vocabulary[0] if vocabulary else "the number of characters"
        """How it counts, in words."""
        self.margin = COUNTED_MARGIN if vocabulary else GUESSED_MARGIN
        """How far a real count may exceed this one, as a factor."""

    def count(self, text: str, language: str | None = None) -> int:
        """Tokens of a text. language: its tag, which decides the ratio where the script does not."""
        known = self._known.setdefault(language, {})
        tokens = known.get(text)
        if tokens is None:
            tokens = known[text] = self._count_uncached(text, language)
        return tokens

    def count_prompt(self, prompt: Prompt, language: str | None = None) -> int:
        """Tokens of a prompt, including those of its messages beyond their texts."""
        pieces = sum(self.count(piece, language) for piece in prompt.pieces)
        return MESSAGE_TOKENS + self.count(prompt.system, language) + pieces

    def _count_uncached(self, text: str, language: str | None) -> int:
        if self._count is None:
            return ceil(len(text) / self._ratios[find_script(text, language)])
        counted = self._count(text[:LONGEST_COUNTED])
        return counted if len(text) <= LONGEST_COUNTED else ceil(counted * len(text) / LONGEST_COUNTED)


def find_script(text: str, language: str | None) -> str:
    """The language whose ratio suits the text: articles are not always in the language of the question."""
    latin = language if language in ("en", "sw") else "en"
    if text.isascii():
        return latin
    extra = len(text.encode(errors="replace")) / len(text) - 1
    if extra >= _JAPANESE_EXTRA_BYTES:
        return "ja"
    return "ur" if extra >= _ARABIC_EXTRA_BYTES else latin

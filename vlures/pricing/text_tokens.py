"""What a text takes in tokens: by tiktoken where its encoding is on this machine already, else by its characters.

Nothing is ever downloaded for it. tiktoken (the extra `vlures[tokens]`) fetches a missing encoding by itself, so it is
only asked once the file that it would read is known to be there, whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from importlib import import_module
from math import ceil
from pathlib import Path

from vlures.records import Prompt

CHARACTERS_PER_TOKEN = {
    "openai": {"en": 4.4, "ja": 1.2, "sw": 3.3, "ur": 2.8},
    "gemini": {"en": 4.3, "ja": 1.6, "sw": 3.0, "ur": 2.5},
}
"""By provider and language (BCP 47). Measured on 2026-11-22 on this package's own prompt packs and sample articles, 12,000 to 29,000
characters for each language. openai: by o200k_base (4.48, 1.24, 3.40, 2.84). gemini: by two published vocabularies of its
open sister Gemma, the lower of the two each (4.38, 1.61, 3.03, 2.49), for Gemini's own is not published. All rounded down, so
that they rather count too much."""

COUNTED_MARGIN = 1.1
"""How far a count may be off: newer models' vocabularies are not published, and pieces are counted one by one."""
GUESSED_MARGIN = 1.35
"""How far the ratios may be off; our prompts and articles differ from them by up to 8 %."""

MESSAGE_TOKENS = 11
"""What two messages take beyond their texts: three each and one for the role, three before the answer (OpenAI's cookbook on
counting tokens, read 2026-11)."""

LONGEST_COUNTED = 20_000
"""Characters of one text that are counted; a longer one is put at its first part's rate, for time's sake."""

ENCODING = "o200k_base"
_ENCODING_URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
_ENCODING_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_ENCODED_MODELS = re.compile(r"(gpt-4o|chatgpt-4o|gpt-4\.[15]|gpt-[5-9]|o[134])([-.].*)?")
"""Models that tiktoken 0.14 counts by o200k_base, and the later ones of the family, whose own vocabulary it does not know."""

_JAPANESE_EXTRA_BYTES = 1.2
_ARABIC_EXTRA_BYTES = 0.3
"""Bytes of UTF-8 beyond one for each character: 1.90 in our Japanese articles, 0.78 in the Urdu ones, 0.00 in the others."""


class TextCounter:
    """Counts the tokens of texts for one provider's model. A text is counted once, however many prompts hold it.

    by: how, in words. margin: how far a real count may be above it, as a factor.
    """

    def __init__(self, provider: str, model: str) -> None:
        self._ratios = CHARACTERS_PER_TOKEN.get(provider, CHARACTERS_PER_TOKEN["openai"])
        self._count = load_encoding() if provider == "openai" and _ENCODED_MODELS.fullmatch(model) else None
        self._known: dict[str | None, dict[str, int]] = {}
        self.by = f"tiktoken's {ENCODING}" if self._count else "the number of characters"
        self.margin = COUNTED_MARGIN if self._count else GUESSED_MARGIN

    def count(self, text: str, language: str | None = None) -> int:
        """Tokens of a text. language: its tag, which decides the ratio where the script does not."""
        known = self._known.setdefault(language, {})
        tokens = known.get(text)
        if tokens is None:
            tokens = known[text] = self._count_anew(text, language)
        return tokens

    def count_prompt(self, prompt: Prompt, language: str | None = None) -> int:
        """Tokens of a prompt, with what its messages take beyond their texts."""
        pieces = sum(self.count(piece, language) for piece in prompt.pieces)
        return MESSAGE_TOKENS + self.count(prompt.system, language) + pieces

    def _count_anew(self, text: str, language: str | None) -> int:
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


def load_encoding() -> Callable[[str], int] | None:
    """Counts tokens by o200k_base; None if tiktoken or the encoding's file is not here. Never touches the network."""
    try:
        # Loaded on use: it is optional.
        registry = import_module("tiktoken.registry")
        openai_public = import_module("tiktoken_ext.openai_public")
    except ImportError:
        return None
    if ENCODING not in registry.ENCODINGS:
        constructor = openai_public.ENCODING_CONSTRUCTORS.get(ENCODING)
        constants = getattr(getattr(constructor, "__code__", None), "co_consts", ())
        # A tiktoken that asks for another file than the one that was looked for would download it.
        if not {_ENCODING_URL, _ENCODING_SHA256} <= set(constants) or not _is_encoding_here():
            return None
    try:
        encode = registry.get_encoding(ENCODING).encode_ordinary
    except (OSError, ValueError):
        return None
    return lambda text: len(encode(text))


def _is_encoding_here() -> bool:
    """Whether tiktoken's cache has the file, whole. Where it looks and by which name is tiktoken.load.read_file_cached's
    rule (0.14): an empty folder name means no cache at all, and a file with another digest is fetched anew."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":
        return False
    name = hashlib.sha1(_ENCODING_URL.encode(), usedforsecurity=False).hexdigest()
    path = (Path(tempfile.gettempdir()) / "data-gym-cache" if folder is None else Path(folder)) / name
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == _ENCODING_SHA256
    except OSError:
        return False

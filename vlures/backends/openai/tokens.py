"""What texts and thinking take in tokens at OpenAI.

tiktoken (the extra `vlures[tokens]`) fetches a missing encoding by itself, so it is only asked once the file that it
would read is known to be there, whole. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from vlures.records import Parameters

CHARACTERS_PER_TOKEN = {"en": 4.4, "ja": 1.2, "sw": 3.3, "ur": 2.8}
"""By language (BCP 47). Measured by o200k_base (4.48, 1.24, 3.40, 2.84) on 2026-11-22 on this package's own prompt
packs and sample articles, 12,000 to 29,000 characters for each language. All rounded down, so that they rather count
too much."""

LANGUAGE_FACTORS = {"en": 1.0, "ja": 1.55, "sw": 1.15, "ur": 1.3}
"""Tokens of a text in a language (BCP 47) for one of the same text in English. Measured by o200k_base on 2026-11-22 on
the worked examples of VLURes."""

THINKING_TOKENS = {"none": 0, "minimal": 20, "low": 50, "medium": 150, "high": 600, "xhigh": 1_500, "max": 3_000}
"""By `reasoning_effort`. A public comparison of 34 questions about pictures of 2026-11 has medians of 0 to 52 thinking
tokens for the GPT-6 models at their default; our questions are longer."""

_THINKS = re.compile(r"(gpt-([5-9]|\d\d)|o[134])([-.](?!chat).*)?")

ENCODING = "o200k_base"
_ENCODING_URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
_ENCODING_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_ENCODED_MODELS = re.compile(r"(gpt-4o|chatgpt-4o|gpt-4\.[15]|gpt-[5-9]|o[134])([-.].*)?")
"""Models that tiktoken 0.14 counts by o200k_base, and later ones of the family, whose vocabulary it does not know."""


def thinking_tokens(model: str, parameters: Parameters) -> int:
    """Expected tokens of thinking before one answer; 0 for a model that is not known to think."""
    effort = parameters.get("reasoning_effort") or ("medium" if _THINKS.fullmatch(model) else "none")
    return THINKING_TOKENS.get(effort, THINKING_TOKENS["medium"])


def load_vocabulary(model: str) -> tuple[str, Callable[[str], int]] | None:
    """The name of the model's vocabulary and what counts tokens by it; None if that is not on this machine."""
    count = load_encoding() if _ENCODED_MODELS.fullmatch(model) else None
    return (f"tiktoken's {ENCODING}", count) if count else None


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
    """Whether tiktoken's cache has the file, whole. Where it looks and by which name is the rule of
    tiktoken.load.read_file_cached (0.14): an empty folder name means no cache at all, and a file with another digest is
    fetched anew."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":
        return False
    name = hashlib.sha1(_ENCODING_URL.encode(), usedforsecurity=False).hexdigest()
    path = (Path(tempfile.gettempdir()) / "data-gym-cache" if folder is None else Path(folder)) / name
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == _ENCODING_SHA256
    except OSError:
        return False

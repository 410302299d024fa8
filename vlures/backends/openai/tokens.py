"""Tokens of texts and of thinking at OpenAI.

tiktoken (the extra `vlures[tokens]`) downloads a missing encoding by itself, so it is only called where the file that
it reads exists and is whole. Nothing is ever downloaded.
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
"""By language (BCP 47). Measured by o200k_base (4.47, 1.24, 3.42, 2.87) on 2026-11-30 on this package's own prompt
packs and sample articles, 13,000 to 33,000 characters for each language. All rounded down, so that estimates are rather
too high."""

LANGUAGE_FACTORS = {"en": 1.0, "ja": 1.6, "sw": 1.45, "ur": 1.45}
"""Tokens of a text in a language (BCP 47) per token of the same text in English. Measured by o200k_base (1.58, 1.41,
1.41) on 2026-11-30 on the worked examples of VLURes, which say the same in all four. Rounded up, so that estimates are
rather too high."""

THINKING_TOKENS = {"none": 0, "minimal": 20, "low": 50, "medium": 150, "high": 600, "xhigh": 1_500, "max": 3_000}
"""By `reasoning_effort`. A public comparison of 34 questions about images of 2026-11 has medians of 0 to 52 thinking
tokens for the GPT-6 models at their default; our questions are longer."""

_THINKS = re.compile(r"(gpt-([5-9]|\d\d)|o[134])([-.](?!chat).*)?")

ENCODING = "o200k_base"
_ENCODING_URL = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"
_ENCODING_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_ENCODED_MODELS = re.compile(r"(gpt-4o|chatgpt-4o|gpt-4\.[15]|gpt-[5-9]|o[134])([-.].*)?")
"""Models that tiktoken 0.14 counts by o200k_base, and later ones of the family, which it does not know."""


def thinking_tokens(model: str, parameters: Parameters) -> int:
    """Expected thinking tokens before one answer; 0 for a model not known to think."""
    effort = parameters.get("reasoning_effort") or ("medium" if _THINKS.fullmatch(model) else "none")
    return THINKING_TOKENS.get(effort, THINKING_TOKENS["medium"])


def load_vocabulary(model: str) -> tuple[str, Callable[[str], int]] | None:
    """The name of the model's vocabulary and its token counter; None if it is not on this machine."""
    count = load_encoding() if _ENCODED_MODELS.fullmatch(model) else None
    return (f"tiktoken's {ENCODING}", count) if count else None


def load_encoding() -> Callable[[str], int] | None:
    """A token counter by o200k_base; None without tiktoken or the encoding's file. Never uses the network."""
    try:
        # Loaded on use: it is optional.
        registry = import_module("tiktoken.registry")
        openai_public = import_module("tiktoken_ext.openai_public")
    except ImportError:
        return None
    if ENCODING not in registry.ENCODINGS:
        constructor = openai_public.ENCODING_CONSTRUCTORS.get(ENCODING)
        constants = getattr(getattr(constructor, "__code__", None), "co_consts", ())
        # A tiktoken version that reads another file would download it.
        if not {_ENCODING_URL, _ENCODING_SHA256} <= set(constants) or not _is_encoding_here():
            return None
    try:
        encode = registry.get_encoding(ENCODING).encode_ordinary
    except (OSError, ValueError):
        return None
    return lambda text: len(encode(text))


def _is_encoding_here() -> bool:
    """Whether tiktoken's cache has the whole file. Folder and name follow tiktoken.load.read_file_cached (0.14): an
    empty folder name means no cache, and a file with another digest is downloaded again."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if folder == "":
        return False
    name = hashlib.sha1(_ENCODING_URL.encode(), usedforsecurity=False).hexdigest()
    path = (Path(tempfile.gettempdir()) / "data-gym-cache" if folder is None else Path(folder)) / name
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == _ENCODING_SHA256
    except OSError:
        return False

"""Removes the keys in use from everything a provider says: errors, headers and answers may repeat them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO
from urllib.parse import quote, urlsplit

HUB_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Environment variables that Hugging Face's libraries read."""
PROXY_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
MARK = "[key removed]"
SHORTEST_KEY = 8
"""A shorter text is not a key, but a word that the user's own server expects."""
LONGEST_PART = 12
"""So much of a key identifies it, where a server shows, or a limit leaves, only its beginning or end."""
NO_KEYS = frozenset({"lm-studio", "sandbox", "no-key-required", "not-needed", "unused-key"})

Blot = Callable[[str], str]


def find_secrets(environment: Mapping[str, str], variables: Iterable[str]) -> list[str]:
    """The keys, tokens and passwords in an environment that vlures, or a library that it uses, may send.

    variables: names of the providers' keys.
    """
    found = [environment.get(name, "").strip() for name in (*variables, *HUB_TOKENS)]
    for name in PROXY_NAMES:
        try:
            found.append(urlsplit(environment.get(name, "")).password or "")
        except ValueError:
            continue
    return [secret for secret in dict.fromkeys(found) if len(secret) >= SHORTEST_KEY and secret not in NO_KEYS]


def make_blot(secrets: Iterable[str]) -> Blot:
    """A function that replaces each secret by a mark: plain, escaped for a URL, JSON or HTML, in base64 or hexadecimal,
    in any letter case, cut short, or with stars in its middle."""
    forms = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)
    if not forms:
        return lambda text: text
    pattern = re.compile("|".join(forms), re.IGNORECASE)
    return lambda text: pattern.sub(MARK, text)


def _forms(secret: str) -> Iterator[str]:
    """Regular expressions."""
    plain = {secret, quote(secret), quote(secret, safe=""), quote(quote(secret, safe=""), safe="")}
    plain |= {json.dumps(secret)[1:-1], secret.replace("/", "\\/"), html.escape(secret), secret.encode().hex()}
    yield from map(re.escape, plain | set(_in_base64(secret)))
    if len(secret) >= 2 * LONGEST_PART:
        yield re.escape(secret[:LONGEST_PART]) + r"[\w./+=-]*"
        # Searched only from the start of a word: a search from each character of a long one, such as an echoed image,
        # would take hours.
        yield r"(?<![\w./+=-])[\w./+=-]*" + re.escape(secret[-LONGEST_PART:])
        yield re.escape(secret[-LONGEST_PART:])
        shown = re.escape(secret[: 3 if secret[2] in "-_" else 4])
        yield shown + r"[\w-]{0,99}(?:[*•·]{3,}|…|\.{3,})[\w*•·-]*"


def _in_base64(secret: str) -> Iterator[str]:
    """As part of a longer encoded text, such as `Bearer …` or `user:…`: each of three offsets gives other letters, and
    those at both ends depend on the neighbours."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + secret.encode()).decode().rstrip("=")
        inner = coded[-(-before * 8 // 6) : len(coded) - 1]
        if len(inner) >= SHORTEST_KEY:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


def blot_all(value: Any, blot: Blot) -> Any:
    """A JSON value with every text in it blotted."""
    if isinstance(value, str):
        return blot(value)
    if isinstance(value, Mapping):
        return {blot_all(key, blot): blot_all(inner, blot) for key, inner in value.items()}
    return [blot_all(inner, blot) for inner in value] if isinstance(value, list | tuple) else value


class BlottedStream:
    """A text stream that removes keys, whoever writes: a library's warning, a traceback."""

    def __init__(self, stream: TextIO, blot: Blot) -> None:
        self._stream = stream
        self._blot = blot

    def write(self, text: str) -> int:
        return self._stream.write(self._blot(text) if isinstance(text, str) else text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

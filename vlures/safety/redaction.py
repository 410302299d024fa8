"""The keys in use, blotted out of whatever a provider says: it may repeat them, in an error, a header or an answer."""

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
"""What is shorter is no key, but a word that a server of one's own wants to see."""
LONGEST_PART = 12
"""So much of a key is enough to know it by, where a server shows, or a limit leaves, only its beginning or end."""
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
    """What puts a mark in the place of each secret: as it is, coded for a URL, for JSON or HTML, in base64 and hexadecimal, in
    any case of its letters, cut short, or with stars in its middle."""
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
        # Looked for from where a word begins: from each of its characters, a long one, as echoed pictures are, would take hours.
        yield r"(?<![\w./+=-])[\w./+=-]*" + re.escape(secret[-LONGEST_PART:])
        yield re.escape(secret[-LONGEST_PART:])
        shown = re.escape(secret[: 3 if secret[2] in "-_" else 4])
        yield shown + r"[\w-]{0,99}(?:[*•·]{3,}|…|\.{3,})[\w*•·-]*"


def _in_base64(secret: str) -> Iterator[str]:
    """As it stands inside something longer that is coded, such as `Bearer …` or `user:…`: each of three places gives other
    letters, and those at both ends depend on what stands beside."""
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + secret.encode()).decode().rstrip("=")
        inner = coded[-(-before * 8 // 6) : len(coded) - 1]
        if len(inner) >= SHORTEST_KEY:
            yield inner
            yield inner.replace("+", "-").replace("/", "_")


def blot_all(value: Any, blot: Blot) -> Any:
    """A value as JSON has them, with every text in it blotted."""
    if isinstance(value, str):
        return blot(value)
    if isinstance(value, Mapping):
        return {blot_all(key, blot): blot_all(inner, blot) for key, inner in value.items()}
    return [blot_all(inner, blot) for inner in value] if isinstance(value, list | tuple) else value


class BlottedStream:
    """A stream for text, past which no key gets, whoever writes: a library's warning, a traceback."""

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

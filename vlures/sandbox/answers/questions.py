"""What a request asks, in the same form for both providers."""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from vlures.sandbox.images.inspection import InspectedImage

Language = Literal["English", "Japanese", "Swahili", "Urdu"]

_SWAHILI = re.compile(
    r"\b(?:ya|na|kwa|katika|kwenye|picha|wewe|ni|je|kuna|kila|hii|yako|gani|nini|ngapi)\b", re.IGNORECASE
)
_KANA = re.compile(r"[\u3040-\u30ff]")
_ARABIC = re.compile(r"[\u0600-\u06ff]")
_ENOUGH_WORDS = 4
SHORT_WORDS = 15
"""A text of fewer words is a single question."""


@dataclass(frozen=True)
class Question:
    """The content of one request."""

    model: str
    system: str
    text: str
    """Every message but the system's."""
    last_message: str
    """The user's last message alone."""
    images: tuple[InspectedImage, ...]
    schema: dict[str, Any] | None = None
    """The answer's form, as JSON Schema; None for plain text."""

    @property
    def image_digests(self) -> tuple[str, ...]:
        """The SHA-256 of each image's bytes."""
        return tuple(image.digest for image in self.images)

    def digest(self) -> str:
        """SHA-256 of model, system text, user text, the SHA-256 of each image, and the schema if there is one, joined
        by NUL, in hexadecimal."""
        parts = [self.model, self.system, self.text, *self.image_digests]
        if self.schema is not None:
            parts.append(json.dumps(self.schema))
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def language(self) -> Language:
        """The language to answer in: that of the system text, or of the rest if there is none."""
        return language_of(self.system or self.text)

    def article(self) -> str:
        """The text between the last `<article>` line and the next `</article>` line; empty if there is none."""
        return split_article(self.last_message)[0]

    def last_line(self) -> str:
        """The last line of the last message outside the article."""
        lines = [line.strip() for line in split_article(self.last_message)[1] if line.strip()]
        return lines[-1] if lines else ""


@lru_cache(maxsize=256)  # a run has few system texts
def language_of(text: str) -> Language:
    """The language of a text, by its script and, for English and Swahili, by frequent words."""
    letters = sum(1 for char in text if char.isalpha()) or 1
    if len(_KANA.findall(text)) * 10 > letters:
        return "Japanese"
    if len(_ARABIC.findall(text)) * 3 > letters:
        return "Urdu"
    words = len(text.split()) or 1
    swahili = len(_SWAHILI.findall(text))
    enough = _ENOUGH_WORDS if words >= SHORT_WORDS else 2
    return "Swahili" if swahili >= enough and swahili * 12 >= words else "English"


def split_article(text: str) -> tuple[str, list[str]]:
    """The article and the lines outside it."""
    lines = text.split("\n")
    opened = [index for index, line in enumerate(lines) if line.strip() == "<article>"]
    if not opened:
        return "", lines
    start = opened[-1]
    closed = [index for index in range(start + 1, len(lines)) if lines[index].strip() == "</article>"]
    end = closed[0] if closed else len(lines)
    return "\n".join(lines[start + 1 : end]).strip(), lines[:start] + lines[end + 1 :]

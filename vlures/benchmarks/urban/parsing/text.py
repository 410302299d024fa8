"""What all answers have in common: their characters, their marks, and where the final answer stands."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Invalid:
    """An answer without a value."""

    reason: str
    """For a report: `names several: left, right`."""


EDGES = " \t\r\n.,;:!?\"'()[]"
"""What may stand around an answer."""

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_SIGNS = str.maketrans(
    {
        **{"\u3000": " ", "\u00a0": " ", "\u202f": " ", "\u2009": " "},
        **{"’": "'", "‘": "'", "“": '"', "”": '"', "´": "'"},
        **{"−": "-", "‐": "-", "‑": "-", "–": "-", "—": " - ", "~": "-", "〜": "-"},
        **{"٫": ".", "٬": ",", "٪": "%", "۔": ".", "。": ".", "،": ",", "、": ",", "؟": "?"},
        **dict.fromkeys("*`#\u200b\u200e\u200f\ufeff", ""),
        "_": " ",
    }
)
_BOXED = re.compile(r"\\boxed\s*\{([^{}]*)\}")
_ANSWER = re.compile(r"\banswer(?: is)?\s*:")
_SENTENCE_END = re.compile(r"[.;!?](?=\s|$)|\n")


def normalise(text: str) -> str:
    """The text in small letters, with the digits of every script and full-width signs as ASCII's, and without the
    marks of Markdown. Superscripts and fractions stay what they are: ² is not 2."""
    plain = text.translate(_FULL_WIDTH).translate(_SIGNS)
    if not plain.isascii():
        plain = "".join(char if (digit := unicodedata.decimal(char, None)) is None else str(digit) for char in plain)
    return _BOXED.sub(r"\1", plain).casefold()


def find_final(text: str, *, required: bool) -> tuple[str, bool] | Invalid:
    """What follows the last `answer:` of a normalised text, and True; the whole text and False where there is none.

    required: Invalid where there is none.
    """
    marks = list(_ANSWER.finditer(text))
    if not marks and required:
        return Invalid("no `Answer:` after the reasoning")
    said = (text[marks[-1].end() :] if marks else text).strip()
    if not said:
        return Invalid("nothing after the last `Answer:`" if marks else "empty")
    return said, bool(marks)


def first_sentence(text: str) -> str:
    end = _SENTENCE_END.search(text)
    return text[: end.start()] if end else text

"""A text as a sheet shows it, and how it is recognised when the sheet comes back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from vlures.safety.control_characters import as_text

LONGEST_CELL = 32_767
"""UTF-16 units of a cell:
https://support.microsoft.com/office/excel-specifications-and-limits-1672b34d-7043-467e-8e27-269d656771c3"""
_BLANK = re.compile(r"\s+")


def show(text: str) -> str:
    """The text with every character that a screen would obey made visible, and its line breaks."""
    return as_text(text).rstrip()


def cut(text: str, units: int) -> str:
    """The beginning of a text, of at most so many UTF-16 units: no character is divided."""
    data = text.encode("utf-16-le")
    return text if len(data) <= 2 * units else data[: 2 * units].decode("utf-16-le", "ignore")


def fits_a_cell(text: str) -> bool:
    return len(text.encode("utf-16-le")) <= 2 * LONGEST_CELL


def digest_shown(texts: Iterable[str]) -> str:
    """Digest of what a row shows. Spreadsheet programs may change blanks and line breaks, so those do not count."""
    plain = "\x1f".join(_BLANK.sub(" ", text).strip() for text in texts)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def split(text: str, longest: int) -> list[str]:
    """A text in pieces of at most so many characters, at line ends, sentence ends or blanks where there are any."""
    pieces = []
    while len(text) > longest:
        part = text[:longest]
        ends = (part.rfind("\n") + 1, _last_end(part), part.rfind(" ") + 1)
        end = next((end for end in ends if end > longest // 2), longest)
        pieces.append(text[:end])
        text = text[end:]
    return [piece for piece in (*pieces, text) if piece.strip()]


def _last_end(part: str) -> int:
    return max(part.rfind(mark) for mark in (". ", "。", "۔", "! ", "? ", "؟")) + 1

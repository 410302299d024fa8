"""How a row of the workbook looks: its columns, the texts of its cells, how high they stand, and what is too long.

Excel shows at most 409 points of a row, and a cell ends at 32,767 characters; what does not fit stands in pieces on a
sheet of its own.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vlures.judge.sheets.sheet import Row, Sheet
from vlures.judge.sheets.shown import cut, digest_shown, fits_a_cell, split
from vlures.judge.sheets.wording import Wording

MARK = "vlures sheet, 1"
"""In the first cell of the rows' sheet: by it the sheet is recognised when it comes back."""
TEXTS_MARK = "vlures long texts, 1"
"""The same for the sheet of long texts."""
MARK_ROW, HEADER_ROW, FIRST_ROW = 0, 1, 2
COLUMNS = ("number", "id", "image", "task", "article", "answer", "whole", "score", "comment")
WIDTHS = dict(zip(COLUMNS, (6, 12, 36, 28, 40, 80, 13, 17, 32), strict=True))
"""In characters."""
TEXTS_WIDTH = 110
HIGHEST_ROW = 409
"""In points, Excel's limit."""
BEGINNING = 300
"""Characters of a long article beside its answer."""
PIECE = 1_200
"""Characters of a line of long texts, so that all of it can be seen."""
_MOST_UNITS = 32_000
"""UTF-16 units of a cell's text, before it says where it goes on."""


@dataclass(frozen=True, slots=True)
class Script:
    """How a language's texts are set."""

    font: str
    size: int
    line_points: float
    """From line to line."""
    widths: float
    """Of an average character, in those of Latin digits."""


_LATIN = Script("Calibri", 11, 15, 1.0)
_SCRIPTS = {
    "ja": Script("Yu Gothic", 11, 19, 1.0),  # a wide character counts double by itself
    "ur": Script("Urdu Typesetting", 14, 30, 0.75),
}


def find_script(wording: Wording) -> Script:
    return _SCRIPTS.get(wording.tag, _LATIN)


def measure(text: str, width: int, script: Script) -> float:
    """About how high a text stands in a cell of so many characters, in points."""
    lines = 0
    for paragraph in text.split("\n"):
        units = sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in paragraph)
        lines += max(1, math.ceil(1.08 * units * script.widths * script.size / _LATIN.size / width))
    return lines * script.line_points


def cells_of(row: Row, wording: Wording) -> dict[str, str]:
    """The texts of a row as its cells have them: the beginning of what is too long for one."""
    ends = wording.workbook["continues"]
    article = row.article or ""
    if _is_long(article):
        article = cut(article, BEGINNING).rstrip() + ends
    answer = row.answer if fits_a_cell(row.answer) else cut(row.answer, _MOST_UNITS) + ends
    return {"task": cut(row.task, _MOST_UNITS), "article": article, "answer": answer}


def digest_cells(cells: Mapping[str, str]) -> str:
    """Of a row's texts as its cells have them."""
    return digest_shown((cells["task"], cells["article"], cells["answer"]))


def measure_row(row: Row, wording: Wording) -> float:
    """How high a row's texts stand, in points: it may be more than a row can have."""
    script = find_script(wording)
    return max(measure(text, WIDTHS[name], script) for name, text in cells_of(row, wording).items())


def _is_long(article: str) -> bool:
    return len(article) > 2 * BEGINNING


@dataclass(frozen=True, slots=True)
class LongTexts:
    """The sheet of long texts."""

    lines: Sequence[str]
    """Empty if there is no long text."""
    headings: frozenset[int]
    """Which of the lines are headings."""
    starts: Mapping[str, int]
    """Row's ID → the line where its texts begin."""

    @property
    def digest(self) -> str:
        return digest_long_texts(self.lines)


def digest_long_texts(lines: Iterable[str]) -> str:
    """Empty lines do not count."""
    return digest_shown(line for line in lines if line)


def lay_out_long_texts(sheet: Sheet) -> LongTexts:
    """An article that several rows have stands there once."""
    words = sheet.wording.columns
    lines: list[str] = [TEXTS_MARK]
    headings: set[int] = set()
    starts: dict[str, int] = {}
    articles: dict[str, int] = {}

    def add(number: int, name: str, text: str) -> int:
        start = len(lines)
        headings.add(start)
        lines.extend((f"{words['number']} {number} – {words[name]}", *split(text, PIECE), ""))
        return start

    for number, row in enumerate(sheet.rows, start=1):
        cells = cells_of(row, sheet.wording)
        if measure(cells["answer"], WIDTHS["answer"], find_script(sheet.wording)) > HIGHEST_ROW:
            starts[row.id] = add(number, "answer", row.answer)
        if row.article is not None and _is_long(row.article):
            if row.article not in articles:
                articles[row.article] = add(number, "article", row.article)
            starts.setdefault(row.id, articles[row.article])
    return LongTexts(lines if starts else (), frozenset(headings), starts)

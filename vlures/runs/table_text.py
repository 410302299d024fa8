"""Tables of numbers as text. On a narrow terminal, columns that say nothing are left out."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tabulate import tabulate

from vlures.safety.control_characters import as_line

NOTHING = frozenset({"0", "–", "", "0.0", "$0.00"})
_GAP = 2
"""Columns between two columns of a table."""


def align(headers: Sequence[str], rows: Iterable[Iterable[Any]], texts: int) -> str:
    """A table whose first columns are texts and the others numbers or money, aligned at the right."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else as_line(cell) for cell in row] for row in rows]
    kept = fit(headers, cells, screen_width())
    alignment = ["left" if column < texts else "right" for column in kept]
    shown = [[row[column] for column in kept] for row in cells]
    names = [headers[column] for column in kept]
    return tabulate(shown, names, tablefmt="simple", disable_numparse=True, colalign=alignment)


def screen_width() -> int | None:
    """Columns of the terminal; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def fit(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """The columns to show on a screen of this width: all, or all but those that say nothing in any row, from the last
    to the first, until the table fits. None: there is no limit."""
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    kept = list(range(len(headers)))
    for column in reversed(range(1, len(headers))):
        needed = sum(widths[one] for one in kept) + _GAP * (len(kept) - 1)
        if width is None or needed <= width:
            break
        if all(row[column] in NOTHING for row in rows):
            kept.remove(column)
    return kept

"""A table of images and texts whose columns are known, read as a stream of rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlures.benchmarks.problems import ProblemList
from vlures.benchmarks.vlures.dataset.columns import ChosenColumns, Columns, find_columns
from vlures.benchmarks.vlures.dataset.table_languages import refuse_unnamed_language_column
from vlures.files.tables import read_columns, read_rows, row_place

KINDS = {
    "torn": "unreadable rows",
    "name": "rows without a usable file name or ID",
    "double": "files or IDs that are in several rows",
    "language": "other languages",
    "image": "images that are missing or cannot be used",
    "text": "rows whose text is not a text",
    "encoding": "texts that look like UTF-8 read as Latin-1",
    "no text": "samples without a text, for tasks 1-5 only",
}
"""Kinds of problems with rows, and what many of a kind are called."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose columns are known."""

    path: Path
    encoding: str
    columns: Columns

    def rows(self, wanted: bytearray | None = None, problems: ProblemList | None = None) -> Iterator[tuple[int, Any]]:
        """Row numbers with file, language and ID."""
        names = (self.columns.file, self.columns.language, self.columns.id)
        return read_rows(self.path, self.encoding, names, wanted, self._report_to(problems))

    def texts(self, wanted: bytearray) -> Iterator[tuple[int, Any]]:
        """Row numbers with file, ID and text."""
        names = (self.columns.file, self.columns.id, self.columns.text)
        return read_rows(self.path, self.encoding, names, wanted)

    def place(self, number: int) -> str:
        return f"{self.path.name} {row_place(self.path, number)}"

    def _report_to(self, problems: ProblemList | None) -> Any:
        if problems is None:
            return None
        return lambda number, reason: problems.add("torn", (self.place(number),), reason)


def open_table(path: Path, encoding: str, choices: ChosenColumns) -> Table:
    """Find out which of a table's columns is which. Raises UsageError if that is unclear, VluresError if it is not a
    table."""
    names = read_columns(path, encoding)
    table = Table(path, encoding, find_columns(path, names, choices))
    if table.columns.language is None and "language" not in dict(choices):
        columns = table.columns
        others = [name for name in names if name not in (columns.file, columns.text, columns.id)]
        refuse_unnamed_language_column(path, encoding, others)
    return table


def mark_rows(numbers: Iterable[int]) -> bytearray:
    """A byte for each row number up to the last of these: 1 for wanted rows."""
    wanted = array("q", numbers)
    marks = bytearray(max(wanted, default=0) + 1)
    for number in wanted:
        marks[number] = 1
    return marks

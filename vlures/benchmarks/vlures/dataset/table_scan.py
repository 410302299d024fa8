"""The first reading of a table: the name, language and ID of every row, and rows that contradict each other."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from vlures.benchmarks.problems import ProblemList
from vlures.benchmarks.vlures.dataset.columns import Columns
from vlures.benchmarks.vlures.dataset.language_names import find_spoken_language
from vlures.benchmarks.vlures.dataset.pairs import LONGEST_ID, numeric_id
from vlures.benchmarks.vlures.dataset.table import Table, mark_rows
from vlures.benchmarks.vlures.dataset.table_languages import language_word
from vlures.benchmarks.vlures.dataset.unlisted_files import name_key
from vlures.benchmarks.vlures.languages import Language
from vlures.errors import VluresError
from vlures.files.named_files import with_slashes
from vlures.files.tables import row_place

NEGATIVE = re.compile(r"\s*[-\u2212]\s*\d")


@dataclass(slots=True)
class TableScan:
    """What the first reading found, one number per row: the rows in the wanted language that name a file and have an
    ID."""

    ids: array[int] = field(default_factory=lambda: array("q"))
    rows: array[int] = field(default_factory=lambda: array("q"))
    """Row numbers."""
    names: array[int] = field(default_factory=lambda: array("q"))
    """The name_key of each row's file, where the table has a column of IDs."""
    named: array[int] = field(default_factory=lambda: array("q"))
    """The name_key of every row's file, rows in other languages included."""
    languages: Counter[str] = field(default_factory=Counter)
    """Rows by the word in the language column."""


def scan_table(table: Table, language: Language | None, problems: ProblemList) -> TableScan:
    scan = TableScan()
    spoken: dict[str, bool] = {}
    for number, (file, word, own_id) in table.rows(problems=problems):
        if isinstance(file, str):
            scan.named.append(name_key(file))
        if table.columns.language is not None:
            name = language_word(word, scan.languages)
            scan.languages[name] += 1
            if language is not None:
                if name not in spoken:
                    found = find_spoken_language(name)
                    spoken[name] = found is not None and found.code == language.code
                if not spoken[name]:
                    continue
        try:
            sample_id = find_sample_id(_check_name(file), own_id, table.columns)
        except VluresError as error:
            shown = file if isinstance(file, str) and file.strip() else ""
            problems.add("name", (table.place(number), *([shown] if shown else [])), str(error))
            continue
        scan.ids.append(sample_id)
        scan.rows.append(number)
        if table.columns.id is not None:
            scan.names.append(scan.named[-1])
    return scan


def _check_name(file: Any) -> str:
    """The name as in the table. Raises VluresError if it cannot be a file below the table's folder."""
    if not isinstance(file, str) or not file.strip():
        raise VluresError("no file name" if file is None or file == "" else f"{shorten(file)} is not a file's name")
    if "://" in file:
        raise VluresError("an address, not a file; download it and name the file")
    parts = with_slashes(file).split("/")
    if ".." in parts or parts[0] == "" or "\0" in file or ":" in parts[0]:
        raise VluresError("this name could lead out of the dataset's folder, so it is not followed")
    return file


def find_sample_id(file: str, own_id: Any, columns: Columns) -> int:
    """The number in the file's name; if it has none or several, or if the user named a column of IDs, the ID in that
    column."""
    if not columns.id_first:
        try:
            return numeric_id(PurePosixPath(with_slashes(file)).stem)
        except VluresError as error:
            if columns.id is None:
                raise VluresError(f"{error}; a column `id` with a number for each row would give it one") from error
            if own_id is None or own_id == "":
                raise VluresError(f"{error}, and there is none in `{columns.id}` either") from error
    return _column_id(own_id, str(columns.id))


def _column_id(value: Any, column: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, str) and not NEGATIVE.match(value):
        return numeric_id(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 10**LONGEST_ID:
        raise VluresError(f"`{column}` has no ID here, but {shorten(value)}")
    return value


def shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def find_duplicates(table: Table, scan: TableScan, order: Sequence[int], problems: ProblemList) -> set[int]:
    """The rows (as positions in the scan) that share an ID, or a file under two IDs: none of them can be used."""
    groups = list(_group_equal(order, scan.ids))
    in_groups = {at for group in groups for at in group}
    if table.columns.id is not None:
        by_name = sorted(range(len(scan.names)), key=scan.names.__getitem__)
        for group in _group_equal(by_name, scan.names):
            if not in_groups.issuperset(group):
                groups.append(group)
                in_groups.update(group)
    shown = problems.first(groups)
    files = {
        number: file for number, (file, _, _) in table.rows(mark_rows(scan.rows[at] for one in shown for at in one))
    }
    for group in shown:
        numbers = [scan.rows[at] for at in group[:4]]
        places = " and ".join(row_place(table.path, number) for number in numbers) + (" …" if len(group) > 4 else "")
        names = tuple(dict.fromkeys(files[number] for number in numbers))
        same = (
            f"{len(group)} rows with one file"
            if len(names) == 1
            else f"{len(group)} rows with the one ID {scan.ids[group[0]]}"
        )
        problems.add("double", (table.path.name, *names), f"{same} ({places}); keep one of them")
    problems.count("double", len(groups) - len(shown))
    return in_groups


def _group_equal(order: Sequence[int], keys: array[int]) -> Iterator[list[int]]:
    """Groups of two or more positions with equal keys. order: positions sorted by key."""
    group: list[int] = []
    for at in order:
        if group and keys[group[0]] != keys[at]:
            if len(group) > 1:
                yield group
            group = []
        group.append(at)
    if len(group) > 1:
        yield group

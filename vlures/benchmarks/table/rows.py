"""Reads a table of questions into rows with their images, and collects its problems by line."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any

from vlures.benchmarks.problems import Problem, ProblemList
from vlures.benchmarks.table.options import ROLES, Options
from vlures.benchmarks.table.variant import LONGEST_GROUP_BYTES, WHOLE, file_part
from vlures.errors import UsageError, VluresError
from vlures.files.bounds import Bounds
from vlures.files.named_files import NamedFiles, as_on_disk
from vlures.files.names import as_read, find_as_read
from vlures.files.tables import find_byte_columns, read_columns, read_rows, row_place
from vlures.files.text import HOLDS_NUL, LOOKS_DOUBLE_ENCODED, looks_double_encoded
from vlures.images import UnusableImage, read_image
from vlures.records import Image
from vlures.store.keys import LONGEST_ID

KINDS = {
    "torn": "unreadable rows",
    "image": "images that are missing or cannot be used",
    "question": "rows without a question",
    "text": "values that are not texts",
    "encoding": "texts that look like UTF-8 read as Latin-1",
    "id": "rows whose ID cannot be one",
    "double": "IDs or questions that occur in several rows",
    "group": "unusable groups",
}
"""Kinds of problems with rows, and what many of a kind are called."""

LARGEST_TEXT = 1_000_000
"""Characters of a question or a system text."""
LARGEST_WHOLE = 2**63 - 1
"""What a column of whole numbers holds in Parquet and pandas."""
DERIVED_ID_DIGITS = 12
"""Length of the digest that serves as the ID of a row without one. Among a million rows two collide with a chance of
0.2 %, which is then reported."""


@dataclass(frozen=True, slots=True)
class TableRow:
    """One question."""

    id: str
    group: str
    image: Image
    question: str
    system: str
    answer: str | None
    """The reference answer."""
    others: tuple[Any, ...]
    """Values of the additional columns, in order."""


@dataclass(frozen=True, slots=True)
class QuestionTable:
    """A table that was read."""

    path: Path
    folder: Path
    """Of the images."""
    columns: Mapping[str, str]
    """Role → column."""
    other_columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    problems: tuple[Problem, ...]
    paths: frozenset[Path]
    """Of the images that its rows name, usable or not."""

    def find_kinds(self) -> dict[str, type]:
        """Other column → type of its values: text where there are several."""
        kinds: dict[str, set[type]] = {name: set() for name in self.other_columns}
        for row in self.rows:
            for name, value in zip(self.other_columns, row.others, strict=True):
                if value is not None:
                    kinds[name].add(type(value))
        return {
            name: float if found == {int, float} else found.pop() if len(found) == 1 else str
            for name, found in kinds.items()
        }

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")


def read_table(options: Options) -> QuestionTable:
    """Read a table and the images that it names.

    Raises UsageError for columns that cannot be found, VluresError for a table that cannot be read. Problems of single
    rows are in its problems, and those rows are left out.
    """
    assert options.questions is not None
    path = as_on_disk(Path(options.questions))
    if path.suffix.lower() not in (".jsonl", ".csv", ".parquet"):
        raise UsageError(f"--questions {path}: a table of questions ends in .jsonl, .csv or .parquet.")
    if options.dataset is not None and not as_on_disk(Path(options.dataset)).is_dir():
        raise UsageError(f"--dataset {options.dataset}: there is no such folder; name the one that holds the images.")
    names = read_columns(path, options.text_encoding, lines=None)
    columns = _find_columns(path, names, options.columns)
    bytes_in = find_byte_columns(path)
    others = tuple(name for name in names if name not in columns.values() and name not in bytes_in)
    reader = _Reader(path, options, columns, others)
    rows = tuple(reader.rows())
    notes = [
        Problem("note", (path.name,), f"its column {name!r} holds bytes, so it is not exported")
        for name in bytes_in
        if name not in columns.values()
    ]
    problems = (*notes, *reader.found.problems(path.name))
    return QuestionTable(path, reader.folder, columns, others, rows, problems, frozenset(reader.paths))


def _find_columns(path: Path, names: Sequence[str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Role → column, as the user said or else by name. Raises UsageError."""
    for name, count in Counter(names).items():
        if count > 1:
            raise UsageError(f"{path}: {count} columns are called {name!r}; rename one of them.")
    found = {role: chosen.get(role, role) for role in ROLES}
    alike = {role: find_as_read(name, names) for role, name in found.items() if name}
    for role in alike.keys() & chosen.keys():
        if alike[role] is None:
            raise UsageError(f"{path} has no column {found[role]!r} for {role}; it has {', '.join(names)}.")
    columns = {role: name for role, name in alike.items() if name is not None}
    for role in ("image", "question"):
        if role not in columns:
            raise UsageError(
                f"{path} has no column `{role}`; say which one it is with --columns {role}=NAME (it has "
                f"{', '.join(names)})."
            )
    return columns


class _Reader:
    """Reads the rows one by one and notes their problems."""

    def __init__(self, path: Path, options: Options, columns: Mapping[str, str], others: Sequence[str]) -> None:
        self.found = ProblemList(KINDS)
        self._path = path
        self._options = options
        self._columns = columns
        self._others = others
        self.folder = as_on_disk(Path(options.dataset)) if options.dataset else path.parent
        self._bounds = Bounds(self.folder, options.follow_links)
        self.paths: set[Path] = set()
        """Of the images that rows name."""
        self._images: dict[str, Image | None] = {}
        self._seen: dict[str, int] = {}
        """ID → number of the row that has it."""
        self._groups: dict[str, tuple[str, int]] = {}
        """Group as it is read, in small letters → group and the number of its first row."""
        self._files = NamedFiles()

    def rows(self) -> Iterator[TableRow]:
        wanted, left = set(map(as_read, self._options.samples)), self._options.limit
        read = read_rows(
            self._path,
            self._options.text_encoding,
            [self._columns.get(role) for role in ROLES] + list(self._others),
            None,
            self._complain,
        )
        for number, values in read:
            if left == 0:
                return
            row = self._read(number, values, wanted)
            if row is not None:
                left = left - 1 if left is not None else None
                yield row
        if missing := wanted - self._seen.keys():
            raise VluresError(f"{self._path} has no row with the ID {min(missing)!r}.")

    def _read(self, number: int, values: tuple[Any, ...], wanted: set[str]) -> TableRow | None:
        given = dict(zip(ROLES, values, strict=False))
        question = self._text(number, "question", given["question"])
        system = self._text(number, "system", given["system"])
        if question is None or system is None:
            return None
        if not question.strip():
            self._add("question", number, "without a question")
            return None
        group = self._find_group(number, given["group"])
        image_name = self._read_image_name(number, given["image"])
        if group is None or image_name is None:
            return None
        sample_id = self._find_id(number, given["id"], [group, os.path.normpath(image_name), system, question])
        if sample_id is None or (wanted and as_read(sample_id) not in wanted):
            return None
        image = self._find_image(number, image_name)
        if image is None:
            return None
        answer = given["answer"]
        return TableRow(
            sample_id,
            group,
            image,
            question,
            system,
            _as_text(answer),
            tuple(map(_as_plain, values[len(ROLES) :])),
        )

    def _text(self, number: int, role: str, value: Any) -> str | None:
        if value is None:
            return ""
        if not isinstance(value, str):
            self._add("text", number, f"its `{self._columns[role]}` is {_shorten(value)}, which is not a text")
            return None
        if len(value) > LARGEST_TEXT:
            self._add("text", number, f"its `{self._columns[role]}` has more than {LARGEST_TEXT:,} characters")
            return None
        if "\0" in value:
            self._add("text", number, f"its `{self._columns[role]}` {HOLDS_NUL}")
            return None
        if looks_double_encoded(value):
            reason = f"its `{self._columns[role]}` {LOOKS_DOUBLE_ENCODED}"
            self.found.add("encoding", (self._place(number),), reason, severity="note")
        return value

    def _find_id(self, number: int, value: Any, asked: list[str]) -> str | None:
        """The row's own ID, or one made of what it asks: never of its place, which changes when rows are removed."""
        if "id" in self._columns:
            sample_id = self._read_id(number, value)
            if sample_id is None:
                return None
            what = f"the ID {sample_id!r}"
        else:
            sample_id = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:DERIVED_ID_DIGITS]
            what = "the same question about the same image"
        alike = as_read(sample_id)
        if alike in self._seen:
            first = row_place(self._path, self._seen[alike])
            self._add("double", number, f"has {what} as {first}; keep one, or give each an ID of its own")
            return None
        self._seen[alike] = number
        return sample_id

    def _read_id(self, number: int, value: Any) -> str | None:
        if (
            isinstance(value, float) and value.is_integer()
        ):  # a column of whole numbers with a gap becomes one of floats
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            self._add("id", number, f"its `{self._columns['id']}` is {_shorten(value)}, which is no ID")
            return None
        sample_id = str(value).strip()
        if len(sample_id) > LONGEST_ID:
            self._add("id", number, f"its ID has more than {LONGEST_ID} characters")
            return None
        return sample_id

    def _find_group(self, number: int, value: Any) -> str | None:
        group = WHOLE if value is None else str(value).strip() or WHOLE
        if len(file_part(group).encode()) > LONGEST_GROUP_BYTES:
            self._add("group", number, f"its group {_shorten(group)} is too long for a file's name")
            return None
        known, first = self._groups.setdefault(as_read(as_read(group).casefold()), (group, number))
        if known != group:
            where = "the Unicode form of its accents" if as_read(known) == as_read(group) else "capitals"
            reason = f"its group {group!r} differs from {known!r} of {row_place(self._path, first)} in {where} only"
            self._add("group", number, f"{reason}; write both alike")
            return None
        return group

    def _read_image_name(self, number: int, value: Any) -> str | None:
        if isinstance(value, str) and value.strip():
            return value
        self._add("image", number, f"its `{self._columns['image']}` is {_shorten(value)}, which names no file")
        return None

    def _find_image(self, number: int, name: str) -> Image | None:
        if name not in self._images:
            self._images[name] = self._read_image(number, name)
        elif self._images[name] is None:
            self._add("image", number, f"{name}: as in an earlier row")
        return self._images[name]

    def _read_image(self, number: int, name: str) -> Image | None:
        try:
            path = self._files.find(self.folder, name)
            if path is None:
                self._add("image", number, f"there is no image {self.folder / name}")
                return None
            self._bounds.check(path)
            self.paths.add(path)
            return read_image(path)
        except UnusableImage as error:
            self._add("image", number, f"{name} {error}")
        except VluresError as error:
            self._add("image", number, f"{name} is {error}")
        except (OSError, ValueError) as error:  # a name that no file can have
            self._add("image", number, f"{_shorten(name)} cannot be an image's name ({error})")
        return None

    def _complain(self, number: int, reason: str) -> None:
        self._add("torn", number, reason)

    def _add(self, kind: str, number: int, reason: str) -> None:
        self.found.add(kind, (self._place(number),), reason)

    def _place(self, number: int) -> str:
        return f"{self._path.name} {row_place(self._path, number)}"


def _as_text(value: Any) -> str | None:
    plain = _as_plain(value)
    return plain if plain is None or isinstance(plain, str) else str(plain)


def _as_plain(value: Any) -> str | int | float | bool | None:
    """A cell's value as an export can hold it: what is no text, number or truth value becomes a text."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) <= LARGEST_WHOLE else str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"

"""Images and a table of their texts. The table is read twice, as a stream: for the names of all rows, then for the texts
of those that are taken. What is held is a few numbers for each row, and the samples themselves."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from zlib import crc32

from vlures.benchmarks.problems import Problem, ProblemList
from vlures.benchmarks.vlures.dataset.columns import ChosenColumns, Columns, find_columns
from vlures.benchmarks.vlures.dataset.language_names import find_spoken_language
from vlures.benchmarks.vlures.dataset.pairs import LARGEST_TEXT, LONGEST_ID, numeric_id, tidy_text
from vlures.benchmarks.vlures.dataset.unlisted_files import IMAGE_FOLDERS, find_unnamed_images, name_key
from vlures.benchmarks.vlures.languages import LANGUAGES, Language
from vlures.benchmarks.vlures.samples import Dataset, Sample
from vlures.errors import UsageError, VluresError
from vlures.files.bounds import Bounds
from vlures.files.tables import read_columns, read_rows, row_place
from vlures.images import UnusableImage, read_image

KINDS = {
    "torn": "unreadable rows",
    "name": "rows without a usable file name or ID",
    "double": "files or IDs that are in several rows",
    "language": "other languages",
    "image": "images that are missing or cannot be used",
    "text": "rows whose text is none",
    "no text": "samples without a text, for tasks 1-5 only",
}
"""What may be wrong with rows, and what many such are called."""

ROWS_TO_JUDGE = 20
COLUMNS_TO_JUDGE = 50
"""Of those that are not named like what they may be; each takes a look of its own."""
LONGEST_WORD, MOST_WORDS = 60, 1_000
NEGATIVE = re.compile(r"\s*[-\u2212]\s*[0-9]")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which samples of a table are read: those with these IDs (empty: all), and of them the first ones."""

    ids: frozenset[int] = frozenset()
    limit: int | None = None

    def __str__(self) -> str:
        """In words; empty for all."""
        words = []
        if self.ids:
            listed = ",".join(map(str, sorted(self.ids)))
            words.append(
                f"samples {listed}" if len(listed) <= 20 else f"{len(self.ids)} samples, {crc32(listed.encode()):08x}"
            )
        if self.limit is not None:
            words.append(f"first {self.limit}")
        return ", ".join(words)


EVERYTHING = Selection()


@dataclass(slots=True)
class _Scan:
    """Numbers of the rows in the language that name a file and have an ID, and what the table says of languages.

    names: the key of each one's file name, where IDs may be from elsewhere. named: that of all rows, also in other languages.
    """

    ids: array[int] = field(default_factory=lambda: array("q"))
    rows: array[int] = field(default_factory=lambda: array("q"))
    names: array[int] = field(default_factory=lambda: array("q"))
    named: array[int] = field(default_factory=lambda: array("q"))
    languages: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose columns are known."""

    path: Path
    encoding: str
    columns: Columns

    def rows(
        self, wanted: bytearray | None = None, problems_found: ProblemList | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Row numbers with file, language and ID."""
        names = (self.columns.file, self.columns.language, self.columns.id)
        return read_rows(self.path, self.encoding, names, wanted, self._complain(problems_found))

    def texts(self, wanted: bytearray) -> Iterator[tuple[int, Any]]:
        """Row numbers with file, ID and text."""
        names = (self.columns.file, self.columns.id, self.columns.text)
        return read_rows(self.path, self.encoding, names, wanted)

    def place(self, number: int) -> str:
        return f"{self.path.name} {row_place(self.path, number)}"

    def _complain(self, problems_found: ProblemList | None) -> Any:
        if problems_found is None:
            return None
        return lambda number, reason: problems_found.add("torn", (self.place(number),), reason)


def open_table(path: Path, encoding: str, choices: ChosenColumns) -> Table:
    """Find out which of a table's columns is which. Raises UsageError if it does not tell, VluresError if it is no table."""
    names = read_columns(path, encoding)
    table = Table(path, encoding, find_columns(path, names, choices))
    if table.columns.language is None and "language" not in dict(choices):
        _look_for_languages(table, names)
    return table


def load_table(
    table: Table,
    folder: Path,
    language: Language | None,
    selection: Selection,
    bounds: Bounds,
    *,
    is_chosen: bool = False,
) -> Dataset:
    """The samples that a table names, in one language if it has a column of languages.

    bounds: what the images must lie in. is_chosen: the user named the table itself, so images that it does not name are told as a note, not as an error.

    Raises VluresError if it cannot be read, or has no row in the language.
    """
    problems_found = ProblemList(KINDS)
    scan = _scan(table, language, problems_found)
    if language is not None:
        _check_languages(table, scan, language, problems_found)
    samples = _take(table, scan, selection, bounds, problems_found)
    if not scan.rows and not problems_found:
        raise VluresError(f"{table.path} names no images; name another dataset with --dataset.")
    own = language.code if language is not None else None
    name = table.path.relative_to(folder).as_posix()
    described = Problem("note", (name,), _describe(table, scan))
    problems = (described, *problems_found.problems(name), *find_unnamed_images(table.path, scan.named, is_chosen))
    return Dataset(folder, tuple(samples), problems, language=own, selection=str(selection))


# First reading: names


def _scan(table: Table, language: Language | None, problems_found: ProblemList) -> _Scan:
    scan = _Scan()
    spoken: dict[str, bool] = {}
    for number, (file, word, own_id) in table.rows(problems_found=problems_found):
        if isinstance(file, str):
            scan.named.append(name_key(file))
        if table.columns.language is not None:
            name = _language_word(word, scan.languages)
            scan.languages[name] += 1
            if language is not None:
                if name not in spoken:
                    found = find_spoken_language(name)
                    spoken[name] = found is not None and found.code == language.code
                if not spoken[name]:
                    continue
        try:
            sample_id = _sample_id(_check_name(file), own_id, table.columns)
        except VluresError as error:
            shown = file if isinstance(file, str) and file.strip() else ""
            problems_found.add("name", (table.place(number), *([shown] if shown else [])), str(error))
            continue
        scan.ids.append(sample_id)
        scan.rows.append(number)
        if table.columns.id is not None:
            scan.names.append(scan.named[-1])
    return scan


def _language_word(word: Any, known: Counter[str]) -> str:
    """The column's word. A column that is none of languages has as many as rows: past a thousand they are counted as one."""
    short = "" if word is None else str(word).strip()[:LONGEST_WORD]
    return short if short in known or len(known) < MOST_WORDS else "…"


def _check_name(file: Any) -> str:
    """The name as the table has it. Raises VluresError if it cannot be that of a file below the table's folder."""
    if not isinstance(file, str) or not file.strip():
        raise VluresError("no file name" if file is None or file == "" else f"{_shorten(file)} is not a file's name")
    if "://" in file:
        raise VluresError("an address, not a file; download it and name the file")
    parts = file.split("/")
    if ".." in parts or file.startswith("/") or "\\" in file or "\0" in file or ":" in parts[0]:
        raise VluresError("this name could lead out of the dataset's folder, so it is not followed")
    return file


def _sample_id(file: str, own_id: Any, columns: Columns) -> int:
    """The number in the file's name; where that has not exactly one, or the user named a column of IDs, what is there."""
    if not columns.id_first:
        try:
            return numeric_id(PurePosixPath(file).stem)
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
        raise VluresError(f"`{column}` has no ID here, but {_shorten(value)}")
    return value


def _shorten(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


# Languages


def _look_for_languages(table: Table, names: Sequence[str]) -> None:
    """Raises UsageError if a column that nobody called one of languages holds our languages in half of its rows or more."""
    columns = table.columns
    taken = (columns.file, columns.text, columns.id)
    counts = Counter(names)
    others = [name for name in names if name not in taken and counts[name] == 1][:COLUMNS_TO_JUDGE]
    values: dict[str, list[Any]] = {name: [] for name in others}
    for name in others:
        wanted = bytearray(b"\1" * (ROWS_TO_JUDGE + 2))
        try:
            values[name] = [value for _, (value,) in read_rows(table.path, table.encoding, [name], wanted) if value]
        except VluresError:  # a column of pictures
            continue
    for name, words in values.items():
        spoken = [word for word in words if isinstance(word, str) and find_spoken_language(word)]
        if spoken and len(spoken) * 2 >= len(words):
            raise UsageError(
                f"{table.path}: the column {name!r} seems to say the language; say so: --columns language={name}, or that it "
                "does not: --columns language="
            )


def _check_languages(table: Table, scan: _Scan, language: Language, problems_found: ProblemList) -> None:
    """Name the rows in no language, or in none of ours. Raises VluresError if none is in the one that is wanted."""
    found: Counter[str] = Counter()
    where = (table.path.name,)
    for word, rows in scan.languages.most_common():
        spoken = find_spoken_language(word)
        if spoken is not None:
            found[spoken.code] += rows
        elif word:
            ours = ", ".join(one.name for one in LANGUAGES.values())
            problems_found.add("language", where, f"{_count(rows)} in {_shorten(word)}, which is not one of {ours}")
        else:
            problems_found.add("language", where, f"{_count(rows)} with no language in `{table.columns.language}`")
    if not found[language.code]:
        there = ", ".join(f"{LANGUAGES[code].name} {rows:,}" for code, rows in found.items())
        raise VluresError(
            f"{table.path} has no rows in {language.name} ({there or 'nor in any of the languages'}); leave it out with "
            "--languages, or name the column with --columns language=NAME."
        )


def _count(rows: int) -> str:
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def _describe(table: Table, scan: _Scan) -> str:
    if table.columns.language is None:
        return f"{table.columns}; {_count(len(scan.rows))}"
    languages: Counter[str] = Counter()
    for word, rows in scan.languages.items():
        spoken = find_spoken_language(word)
        languages[spoken.code if spoken else "others"] += rows
    counts = ", ".join(f"{code} {languages[code]:,}" for code in (*LANGUAGES, "others") if languages[code])
    return f"{table.columns}; rows: {counts or 'none'}"


# Second reading: texts and images


def _take(table: Table, scan: _Scan, selection: Selection, bounds: Bounds, problems_found: ProblemList) -> list[Sample]:
    order = sorted(range(len(scan.ids)), key=scan.ids.__getitem__)
    doubled = _find_doubled(table, scan, order, problems_found)
    due = [at for at in order if at not in doubled and (not selection.ids or scan.ids[at] in selection.ids)]
    if selection.limit is None:
        return sorted(_read_samples(table, scan, due, bounds, problems_found), key=lambda sample: sample.id)
    samples: list[Sample] = []
    step = selection.limit
    while due and len(samples) < selection.limit:
        part, due = due[:step], due[step:]
        samples += sorted(_read_samples(table, scan, part, bounds, problems_found), key=lambda sample: sample.id)
        step *= 2  # one that cannot be used is made up for, without a reading of the table for each
    return samples[: selection.limit]


def _read_samples(
    table: Table, scan: _Scan, due: Sequence[int], bounds: Bounds, problems_found: ProblemList
) -> Iterator[Sample]:
    for number, (file, own_id, text) in table.texts(_mark(scan.rows[at] for at in due)):
        try:
            path = _find_image(table.path.parent, file)
            bounds.check(path)
            image = read_image(path)
        except UnusableImage as error:
            problems_found.add("image", (table.place(number), file), f"the image {error}")
            continue
        except VluresError as error:
            problems_found.add("image", (table.place(number), file), str(error))
            continue
        if isinstance(text, str) and len(text) > LARGEST_TEXT:
            article = None
            reason = f"its text has {len(text):,} characters, and no more than {LARGEST_TEXT:,} are read"
            problems_found.add("text", (table.place(number), file), reason)
        elif isinstance(text, str) or text is None:
            article = tidy_text(text or "") or None
            if article is None and table.columns.text is not None:
                problems_found.add("no text", (file,), "without a text, so for tasks 1-5 only", severity="note")
        else:
            article = None
            problems_found.add("text", (table.place(number), file), f"its text is {_shorten(text)}, which is no text")
        yield Sample(_sample_id(file, own_id, table.columns), image, article)


def _find_image(folder: Path, file: str) -> Path:
    """Where the table says; else in one of the folders that images are put into. Raises VluresError if that is not one place."""
    first = folder / file
    try:
        if first.is_file():
            return first
        found = [path for name in IMAGE_FOLDERS if (path := folder / name / file).is_file()]
    except (OSError, ValueError) as error:  # too long, or letters that no file name has
        raise VluresError(f"no image can be found under this name ({error})") from error
    if not found:
        raise VluresError(f"there is no such image in {folder}")
    if len(found) > 1:
        raise VluresError(f"there are {len(found)} such images: {', '.join(map(str, found))}")
    return found[0]


def _mark(numbers: Any) -> bytearray:
    """A byte for each row number up to the last of these, 1 for those that are wanted."""
    wanted = array("q", numbers)
    marks = bytearray(max(wanted, default=0) + 1)
    for number in wanted:
        marks[number] = 1
    return marks


def _find_doubled(table: Table, scan: _Scan, order: Sequence[int], problems_found: ProblemList) -> set[int]:
    """Those (by place in the scan) that share their ID, or their file under two IDs: none of them can be taken."""
    groups = list(_groups(order, scan.ids))
    in_groups = {at for group in groups for at in group}
    if table.columns.id is not None:
        by_name = sorted(range(len(scan.names)), key=scan.names.__getitem__)
        for group in _groups(by_name, scan.names):
            if not in_groups.issuperset(group):
                groups.append(group)
                in_groups.update(group)
    shown = problems_found.first(groups)
    files = {number: file for number, (file, _, _) in table.rows(_mark(scan.rows[at] for one in shown for at in one))}
    for group in shown:
        numbers = [scan.rows[at] for at in group[:4]]
        places = " and ".join(row_place(table.path, number) for number in numbers) + (" …" if len(group) > 4 else "")
        names = tuple(dict.fromkeys(files[number] for number in numbers))
        same = (
            f"{len(group)} rows with one file"
            if len(names) == 1
            else f"{len(group)} rows with the one ID {scan.ids[group[0]]}"
        )
        problems_found.add("double", (table.path.name, *names), f"{same} ({places}); keep one of them")
    problems_found.count("double", len(groups) - len(shown))
    return in_groups


def _groups(order: Sequence[int], keys: array[int]) -> Iterator[list[int]]:
    """Runs of two or more with the same key, of places that are sorted by it."""
    group: list[int] = []
    for at in order:
        if group and keys[group[0]] != keys[at]:
            if len(group) > 1:
                yield group
            group = []
        group.append(at)
    if len(group) > 1:
        yield group

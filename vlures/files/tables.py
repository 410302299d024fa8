"""A table as a stream of rows: Parquet, JSON lines, CSV. Only requested rows are kept in memory.

A row's number is its place in a Parquet file, its (first) line in the others, from 1. A line that is torn or malformed
is reported to `complain` with its number and left out; damage that makes the rest unreadable raises VluresError.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from io import TextIOWrapper
from itertools import islice
from os import SEEK_END
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vlures.errors import VluresError
from vlures.files.memory_limit import within_memory
from vlures.files.reading import UnusableFile, open_file
from vlures.files.signatures import IS_LFS_POINTER, is_lfs_pointer
from vlures.files.text import HEAD_BYTES, IS_UTF_8, check_head, is_utf_8, is_utf_8_as_latin_1

Line = TypeVar("Line", bytes, str)
Row = tuple[int, tuple[Any, ...]]
Complain = Callable[[int, str], None]
"""Called with a row's number and what is wrong with it."""

LARGEST_FIELD = 16_000_000
"""Characters of a CSV field; the csv module's own limit of 131,072 is close to the longest articles."""
NOT_UTF_8 = 'is not UTF-8; save the table as UTF-8, or set text_encoding = "latin-1" if it is that'
UNDECODED = re.compile("[\udc80-\udcff]")
LINES_FOR_COLUMNS = 1_000
"""JSON lines may omit nulls, so the columns are those of this many lines together."""
ROWS_AT_ONCE = 16_384
WANTED_ROWS_AT_ONCE = 512
"""Of a Parquet file: all rows are read for their names, which are short, but only wanted ones for their long texts."""
READ_AHEAD_BYTES = 1_000_000
LONGEST_LINE = 64_000_000
"""Bytes of a line of JSON, characters of one of CSV. A row with an article has some thousands."""
MOST_COLUMNS = 10_000
FEWEST_ROWS_TO_DOUBT = 100_000
"""A Parquet file with at least so many rows, and more rows than bytes, is refused. Each row names its own file, which
takes more than a byte however well it is compressed; the same value a billion times takes a few bytes in all."""
MOST_BATCH_BYTES = 700_000_000
"""Memory that a few hundred rows may take. Honest ones take a few megabytes."""


def row_place(table: Path, number: int) -> str:
    return f"{'row' if table.suffix.lower() == '.parquet' else 'line'} {number:,}"


def read_columns(table: Path, encoding: str, lines: int | None = LINES_FOR_COLUMNS) -> list[str]:
    """The names of a table's columns. lines: how many lines of JSON are looked at; None: all.

    Raises VluresError if it has none, or is not a table.
    """
    _check_beginning(table, encoding)
    match table.suffix.lower():
        case ".parquet":
            return _parquet_columns(table)
        case ".csv":
            return _csv_columns(table, encoding)
    columns: dict[str, None] = {}
    reasons: set[str] = set()
    for _, record in islice(_read_jsonl(table, encoding, None, lambda _, reason: reasons.add(reason)), lines):
        columns.update(dict.fromkeys(record))
        _check_columns(table, len(columns))
    if not columns and IS_UTF_8 in reasons:
        raise VluresError(f"{table} {IS_UTF_8}.")
    if not columns:
        raise VluresError(f"{table} holds no JSON objects, one per line; correct or remove it.")
    return list(columns)


def _check_beginning(table: Path, encoding: str) -> None:
    """Raises VluresError if the first bytes tell that it is no table in this encoding."""
    try:
        with open_file(table) as file:
            head = file.read(HEAD_BYTES)
        if table.suffix.lower() != ".parquet":
            check_head(head, encoding)
        elif is_lfs_pointer(head):
            raise UnusableFile(IS_LFS_POINTER)
    except UnusableFile as error:
        raise VluresError(f"{table} {error}.") from error
    except OSError as error:
        raise VluresError(f"{table} cannot be read ({error.strerror}); correct or remove it.") from error


def find_byte_columns(table: Path) -> list[str]:
    """Columns of a Parquet file that hold bytes or structures of them; none in other tables."""
    if table.suffix.lower() != ".parquet":
        return []
    with _open_parquet(table) as file:
        return [field.name for field in file.schema_arrow if _holds_bytes(field.type)]


def _holds_bytes(kind: Any) -> bool:
    from pyarrow import types  # type: ignore[import-untyped]

    if types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    kinds = (types.is_struct, types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(is_kind(kind) for is_kind in kinds)


def read_rows(
    table: Path,
    encoding: str,
    columns: Sequence[str | None],
    wanted: bytearray | None,
    complain: Complain | None = None,
) -> Iterator[Row]:
    """The numbers and values of rows, in the table's order.

    columns: their names; None gives None. wanted: a byte per row number, nonzero for rows to read; None: all.
    Raises VluresError where the table becomes unreadable.
    """
    complain = complain or _ignore
    match table.suffix.lower():
        case ".parquet":
            yield from _parquet_rows(table, columns, wanted)
        case ".csv":
            yield from _csv_rows(table, encoding, columns, wanted, complain)
        case _:
            for number, record in _read_jsonl(table, encoding, wanted, complain):
                yield number, tuple(record.get(name) if name is not None else None for name in columns)


def _ignore(number: int, reason: str) -> None:
    """For a second reading: the first one reported what is wrong."""


def _is_wanted(number: int, wanted: bytearray | None) -> bool:
    return wanted is None or (number < len(wanted) and wanted[number] != 0)


# Parquet


def _open_parquet(table: Path) -> Any:
    # Loaded on use: it is big, and only Parquet tables need it.
    try:
        from pyarrow.parquet import ParquetFile  # type: ignore[import-untyped]
    except ImportError as error:
        raise VluresError(
            f"Reading {table} needs the package pyarrow; get it with `pip install 'vlures[parquet]'`."
        ) from error
    from pyarrow import ArrowException

    try:
        open_file(table).close()
    except UnusableFile as error:
        raise VluresError(f"{table} {error}; get it again or remove it.") from error
    try:
        # Without these two arguments a whole row group is loaded into memory, by default a million rows.
        with within_memory(MOST_BATCH_BYTES):
            file = ParquetFile(table, pre_buffer=False, buffer_size=READ_AHEAD_BYTES)
    except MemoryError as error:
        raise _too_large(table, "its list of columns") from error
    except (ArrowException, OSError) as error:
        raise VluresError(
            f"{table} is not a readable Parquet file ({_first_line(error)}); get it again or remove it."
        ) from error
    _check_shape(table, file.metadata.num_rows, file.metadata.num_columns)
    return file


def _check_shape(table: Path, rows: int, columns: int) -> None:
    """Raises VluresError for a file that declares an impossible number of rows or columns."""
    size = table.stat().st_size
    _check_columns(table, columns)
    if rows > FEWEST_ROWS_TO_DOUBT and rows > size:
        raise VluresError(
            f"{table} declares {rows:,} rows in {size:,} bytes, so they cannot each name an image; write it again with "
            "a row per image."
        )


def _check_columns(table: Path, columns: int) -> None:
    """Raises VluresError for so many that searching their names would take minutes."""
    if columns > MOST_COLUMNS:
        raise VluresError(
            f"{table} has {columns:,} columns, more than the limit of {MOST_COLUMNS:,}; keep those that you need."
        )


def _too_large(table: Path, what: str) -> VluresError:
    return VluresError(
        f"{table} cannot be read: {what} would take more than {MOST_BATCH_BYTES:,} bytes of memory; write it again "
        "without such values."
    )


def _parquet_columns(table: Path) -> list[str]:
    with _open_parquet(table) as file:
        return list(file.schema_arrow.names)


def _parquet_rows(table: Path, columns: Sequence[str | None], wanted: bytearray | None) -> Iterator[Row]:
    from pyarrow import ArrowException

    names = list(dict.fromkeys(name for name in columns if name is not None))
    with _open_parquet(table) as file:
        for name in names:
            kind = file.schema_arrow.field(name).type
            if _holds_bytes(kind):
                raise VluresError(
                    f"The column {name!r} of {table} holds bytes, not names or texts. If these are the images: they "
                    "are sent as files, so write each into a file beside the table, and its name into a column "
                    "`file_name`."
                )
        batch_rows = ROWS_AT_ONCE if wanted is None else WANTED_ROWS_AT_ONCE
        number = 1
        try:
            for group in range(file.metadata.num_row_groups):
                end = number + file.metadata.row_group(group).num_rows
                if not _are_any_wanted(wanted, number, end):
                    number = end
                    continue
                batches = file.iter_batches(batch_rows, row_groups=[group], columns=names, use_threads=False)
                while True:
                    with within_memory(MOST_BATCH_BYTES):
                        batch = next(batches, None)
                        rows = list(_batch_rows(batch, number, columns, wanted)) if batch is not None else []
                    if batch is None:
                        break
                    yield from rows
                    number += batch.num_rows
                    if not _are_any_wanted(wanted, number, end):
                        break
                number = end
        except MemoryError as error:
            raise _too_large(table, f"the rows after {number:,}") from error
        except (ArrowException, OSError, UnicodeDecodeError) as error:
            raise VluresError(
                f"{table} cannot be read on after row {number:,} ({_first_line(error)}); get it again or remove it."
            ) from error


def _are_any_wanted(wanted: bytearray | None, start: int, end: int) -> bool:
    return wanted is None or wanted.find(1, start, end) >= 0


def _batch_rows(batch: Any, start: int, columns: Sequence[str | None], wanted: bytearray | None) -> Iterator[Row]:
    if wanted is None:
        places: Sequence[int] = range(batch.num_rows)
        values = [batch.column(name).to_pylist() if name is not None else [None] * len(places) for name in columns]
    else:
        # One by one: Arrow's own `take` does not know every kind of text (string_view).
        places = [place for place in range(batch.num_rows) if _is_wanted(start + place, wanted)]
        chosen = [batch.column(name) if name is not None else None for name in columns]
        values = [[column[place].as_py() if column is not None else None for place in places] for column in chosen]
    yield from zip((start + place for place in places), zip(*values, strict=True), strict=True)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__


# JSON lines


def _read_jsonl(
    table: Path, encoding: str, wanted: bytearray | None, complain: Complain
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with open_file(table, READ_AHEAD_BYTES) as file:
            lines = bounded_lines(table, file.readline)
            for number, line in enumerate(lines if wanted is None else islice(lines, len(wanted)), 1):
                if not _is_wanted(number, wanted):
                    continue
                data = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if not data.strip():
                    continue
                if encoding != "utf-8" and is_utf_8(data):
                    complain(number, IS_UTF_8)
                    continue
                try:
                    record = msgspec.json.decode(data if encoding == "utf-8" else data.decode(encoding))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                    torn = "" if line.endswith(b"\n") else ", torn at the end of the file"
                    complain(number, f"not a JSON object{torn} ({_first_line(error)})")
                    continue
                if isinstance(record, dict):
                    yield number, record
                else:
                    complain(number, "JSON, but not an object with columns")
    except UnusableFile as error:
        raise VluresError(f"{table} {error}; correct or remove it.") from error
    except OSError as error:
        raise VluresError(f"{table} cannot be read ({error.strerror}); correct or remove it.") from error


def bounded_lines(table: Path, read_line: Callable[[int], Line]) -> Iterator[Line]:
    """Lines with their line breaks. Raises VluresError at one that is too long to be a row."""
    number = 0
    while line := read_line(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise VluresError(
                f"{table}, line {number:,}, has more than {LONGEST_LINE:,} bytes, so it is not a row; correct or "
                "remove the table."
            )
        yield line


# CSV


def _csv_columns(table: Path, encoding: str) -> list[str]:
    for _, header in _read_csv(table, encoding, _ignore):
        _check_columns(table, len(header))
        if _has_undecoded(header):
            raise VluresError(f"{table} {NOT_UTF_8}")
        if encoding != "utf-8" and any(map(is_utf_8_as_latin_1, header)):
            raise VluresError(f"{table} {IS_UTF_8}.")
        if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
            raise VluresError(
                f"{table} does not separate its columns by commas (its first line is {header[0][:200]!r}); write it "
                "again with commas."
            )
        return header
    raise VluresError(f"{table} has no first line that names its columns; write it again.")


def _csv_rows(
    table: Path, encoding: str, columns: Sequence[str | None], wanted: bytearray | None, complain: Complain
) -> Iterator[Row]:
    rows = _read_csv(table, encoding, complain)
    _, header = next(rows, (1, []))
    places = [header.index(name) if name is not None else None for name in columns]
    for number, fields in rows:
        if wanted is not None and number >= len(wanted):
            return
        if len(fields) != len(header):
            complain(number, f"{len(fields)} fields where the first line names {len(header)} columns")
        elif _has_undecoded(fields):
            complain(number, NOT_UTF_8)
        elif encoding != "utf-8" and any(map(is_utf_8_as_latin_1, fields)):
            complain(number, IS_UTF_8)
        elif _is_wanted(number, wanted):
            yield number, tuple(fields[place] if place is not None else None for place in places)


def _read_csv(table: Path, encoding: str, complain: Complain) -> Iterator[tuple[int, list[str]]]:
    """RFC 4180, except that the last line needs a line break: nothing else reveals one that was cut off.

    Reading ends at a missing or extra quotation mark, as it is unknown where a row begins after it.
    """
    csv.field_size_limit(LARGEST_FIELD)
    number = 1
    try:
        is_whole = _ends_a_line(table)
        codec = "utf-8-sig" if encoding == "utf-8" else encoding
        with TextIOWrapper(open_file(table), encoding=codec, errors="surrogateescape", newline="") as file:
            reader = csv.reader(bounded_lines(table, file.readline), strict=True)
            last: tuple[int, list[str]] | None = None
            try:
                for fields in reader:
                    if fields:
                        if last is not None:
                            yield last
                        last = number, fields
                    number = reader.line_num + 1
            except csv.Error as error:
                complain(number, f"its quotation marks do not match ({error}); nothing after it was read")
                is_whole = True
            if last is not None and is_whole:
                yield last
            elif last is not None:
                complain(last[0], "no line break after it, so it may be cut off; add one if it is whole")
    except UnusableFile as error:
        raise VluresError(f"{table} {error}; correct or remove it.") from error
    except OSError as error:
        raise VluresError(f"{table} cannot be read ({error.strerror}); correct or remove it.") from error


def _has_undecoded(fields: Sequence[str]) -> bool:
    """Whether they contain bytes that the encoding cannot decode: those are read as lone surrogates."""
    return any(UNDECODED.search(field) for field in fields)


def _ends_a_line(table: Path) -> bool:
    with open_file(table) as file:
        size = file.seek(0, SEEK_END)
        file.seek(max(size - 1, 0))
        return file.read(1) in (b"\n", b"\r")

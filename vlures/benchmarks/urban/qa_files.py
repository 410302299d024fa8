"""Reads a QA file, JSON Lines or one JSON list, into records with their places."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from vlures.errors import VluresError, counted
from vlures.files.reading import UnusableFile, open_file, read_file
from vlures.files.tables import READ_AHEAD_BYTES, bounded_lines
from vlures.files.text import HEAD_BYTES, check_head

LARGEST_LIST_BYTES = 500_000_000
"""Of a file that is one JSON list, which is read at once. JSON Lines have no limit."""

Record = dict[str, Any]
Complain = Callable[[str, str], None]
"""Called with a place in the file and what is wrong there."""

_GAP = re.compile(r"(?:\s|\\n)+")
"""Between rows that were joined by a backslash and an n in the place of a line break."""
_BYTE = re.compile(r"\(byte (\d+)\)")
NEWLINE = b"\n"
_ITEM = re.compile(r"\$\[(\d+)\]")


def read_records(path: Path, complain: Complain, note: Complain, what: str = "QA file") -> Iterator[tuple[str, Record]]:
    """The objects of a QA file, in order, each with its place: `line 5`, `line 501, row 3` or `item 7`.

    complain: called for what is no object, which is left out. note: called for what was repaired. what: how messages
    call a file of another kind. Raises VluresError where the file cannot be read.
    """
    try:
        with open_file(path, READ_AHEAD_BYTES) as file:
            head = file.read(HEAD_BYTES)
        check_head(head, "utf-8")
        if head.removeprefix(BOM_UTF8).lstrip().startswith(b"["):
            yield from _read_list(path, complain)
        else:
            yield from _read_lines(path, complain, note)
    except UnusableFile as error:
        raise VluresError(f"{path} {error}; correct it, or name another {what}.") from error
    except OSError as error:
        raise VluresError(f"{path} cannot be read ({error.strerror}); correct it, or name another {what}.") from error


def _read_list(path: Path, complain: Complain) -> Iterator[tuple[str, Record]]:
    data = read_file(path, LARGEST_LIST_BYTES).removeprefix(BOM_UTF8)
    try:
        items = msgspec.json.decode(data, type=list[Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        where = _find_place(data, str(error))
        raise VluresError(
            f"{path}{where}: not readable as one JSON list ({_first_line(error)}); correct it, or write one object per "
            "line."
        ) from error
    doubled = _find_doubled_in_list(data, items)
    for number, item in enumerate(items, 1):
        if number in doubled:
            complain(f"item {number:,}", DOUBLED.format(doubled[number]))
        elif isinstance(item, dict):
            yield f"item {number:,}", item
        else:
            complain(f"item {number:,}", "JSON, but not an object")


def _find_place(data: bytes, message: str) -> str:
    """Where in a list something is wrong, as the end of the file's name."""
    if byte := _BYTE.search(message):
        return f", line {data.count(NEWLINE, 0, int(byte[1])) + 1:,}"
    return f", item {int(item[1]) + 1:,}" if (item := _ITEM.search(message)) else ""


def _read_lines(path: Path, complain: Complain, note: Complain) -> Iterator[tuple[str, Record]]:
    with open_file(path, READ_AHEAD_BYTES) as file:
        for number, line in enumerate(bounded_lines(path, file.readline), 1):
            data = line.removeprefix(BOM_UTF8) if number == 1 else line
            if not data.strip():
                continue
            place = f"line {number:,}"
            try:
                record = msgspec.json.decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                rows = split_joined(data)
                if rows is None:
                    torn = "" if line.endswith(b"\n") else ", torn at the end of the file"
                    complain(place, f"not a JSON object{torn} ({_first_line(error)})")
                    continue
                note(place, f"its line breaks are a backslash and an n; read as {counted(len(rows), 'row')}")
                yield from _read_rows(rows, place, complain)
                continue
            if not isinstance(record, dict):
                complain(place, "JSON, but not an object")
            elif name := _find_doubled(data, record):
                complain(place, DOUBLED.format(name))
            else:
                yield place, record


def split_joined(line: bytes) -> list[str] | None:
    """The rows of a line in which a backslash and an n stand for its line breaks, as some writers leave the end of a
    file. None for another line. What follows the last whole row, if anything does, is a row too."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if "\\n" not in text:
        return None
    decoder = json.JSONDecoder()
    rows: list[str] = []
    at = 0
    while at < len(text):
        if gap := _GAP.match(text, at):
            at = gap.end()
            continue
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return [*rows, text[at:].rstrip()] if rows else None
        rows.append(text[at:end])
        at = end
        if at < len(text) and not _GAP.match(text, at):  # not a line of rows at all
            return None
    return rows


def _read_rows(rows: list[str], place: str, complain: Complain) -> Iterator[tuple[str, Record]]:
    for number, row in enumerate(rows, 1):
        where = f"{place}, row {number:,}"
        data = row.encode("utf-8", "surrogatepass")
        try:
            record = msgspec.json.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            complain(where, f"not a JSON object ({_first_line(error)})")
            continue
        if not isinstance(record, dict):
            complain(where, "JSON, but not an object")
        elif name := _find_doubled(data, record):
            complain(where, DOUBLED.format(name))
        else:
            yield where, record


# Names that an object has twice: a reader of JSON takes the last one, in silence

DOUBLED = "has `{}` twice, with different values"


class _Pairs(list[tuple[str, Any]]):
    """An object's names and values, as they are written."""


def _find_doubled(data: bytes, record: Record) -> str | None:
    """The name that an object has with several values. data: the object's text."""
    if all(data.count(_quoted(name)) < 2 for name in record):
        return None
    return _find_different(_read_pairs(data))


def _find_doubled_in_list(data: bytes, items: list[Any]) -> dict[int, str]:
    """The same of each item, by its number."""
    records = [item for item in items if isinstance(item, dict)]
    names = {name for record in records for name in record}
    if all(data.count(_quoted(name)) <= sum(name in record for record in records) for name in names):
        return {}
    return {
        number: name
        for number, item in enumerate(_read_pairs(data), 1)
        if isinstance(item, _Pairs) and (name := _find_different(item)) is not None
    }


def _read_pairs(data: bytes) -> Any:
    try:
        return json.loads(data, object_pairs_hook=_Pairs)
    except RecursionError:  # its limit differs from that of msgspec
        return _Pairs()


def _find_different(pairs: Collection[tuple[str, Any]]) -> str | None:
    first: dict[str, Any] = {}
    return next((name for name, value in pairs if first.setdefault(name, value) != value), None)


@lru_cache(maxsize=256)
def _quoted(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__

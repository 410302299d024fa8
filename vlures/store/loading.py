"""A folder's files → lines → what they add up to. Every start reads a million lines through here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, open_file
from vlures.files.writing import CANCELLED
from vlures.records import Cell, Variant
from vlures.store.cell_state import CellState, Entry, fold_entry
from vlures.store.keys import LONGEST_ID, key_prefix, unescape
from vlures.store.lines import (
    LONGEST_LINE_BYTES,
    StoredLine,
    UnreadableLine,
    misplaced,
    read_line,
    read_lines,
)
from vlures.store.tails import TailRepair, is_torn

READ_BYTES = 64_000
"""Of a checkpoint at a time: as much as stays in a processor's cache until its lines are read."""


def load_cell(path: Path, cell: Cell, variant: Variant, tails: TailRepair) -> CellState:
    """Read a cell's checkpoint. Raises VluresError, naming file and line, for a line that cannot be read.

    The inner loop runs a million times: it looks names up beforehand, handles many lines at once, and calls no function
    that it can do without.
    """
    prefix, is_sample_id = key_prefix(cell, variant), variant.is_sample_id
    state = CellState()
    entries, batch, live, money = state.entries, state.batch, state.live, state.money
    number = offset = 0
    for lines in read_blocks(path, tails):
        for line, stored in zip(lines, read_lines(lines) or _read_each(lines, path, number), strict=True):
            if stored is not None:
                key = stored.key
                sample = key[len(prefix) :]
                if "%" in sample:
                    sample = unescape(sample)
                if not key.startswith(prefix) or len(sample) > LONGEST_ID or not is_sample_id(sample):
                    raise misplaced(key).at(path, number + 1 + lines.index(line))
                if sample in entries or stored.status == "due" or stored.imported is not None:
                    imported = stored.imported is not None
                    fold_entry(entries, sample, Entry(stored.status, stored.digest, offset, False, imported))
                else:
                    entries[sample] = Entry(stored.status, stored.digest, offset)
                if stored.usage is not None:
                    (batch if stored.job else live).add(stored.usage)
                if stored.nano_usd is not None:
                    money.nano_usd += stored.nano_usd
                elif stored.imported is None:
                    money.add(stored)
            offset += len(line)
        number += len(lines)
    return state


def read_blocks(path: Path, tails: TailRepair) -> Iterator[list[bytes]]:
    """All whole or cancelled lines, several at a time.

    Repairs what a killed process left at the end, once all lines are read and so found sound.
    """
    tail = b""
    before = 0
    with _open(path) as file:
        if os.fstat(file.fileno()).st_size < LONGEST_LINE_BYTES:
            blocks = iter(partial(file.readlines, READ_BYTES), [])
        else:
            blocks = ([line] for line in iter(partial(file.readline, LONGEST_LINE_BYTES), b""))
        for lines in blocks:
            if not lines[-1].endswith(b"\n"):
                tail = lines.pop()
                if len(tail) >= LONGEST_LINE_BYTES:
                    raise _too_long().at(path, before + len(lines) + 1)
            yield lines
            before += len(lines)
    if tail:
        try:
            torn = is_torn(tail)
        except UnreadableLine as error:
            raise error.at(path, before + 1) from error
        if not torn:
            yield [tail.rstrip(b"\0") + b"\n"]
        tails.repair(path, tail, torn=torn)


def _open(path: Path) -> BinaryIO:
    """Raises VluresError if the path is not a readable file."""
    try:
        return open_file(path, READ_BYTES)
    except UnusableFile as error:
        raise VluresError(
            f"{path} {error}; move it aside or give yourself the right to read it, then run again."
        ) from error


def _read_each(lines: list[bytes], path: Path, before: int) -> Iterator[StoredLine | None]:
    """Lines of a checkpoint, one by one; None for a cancelled one. before: how many lines precede them in the file.

    Raises VluresError, naming the line.
    """
    for number, line in enumerate(lines, start=before + 1):
        try:
            stored = read_line(line)
        except UnreadableLine as error:
            if not line.endswith(CANCELLED):
                raise error.at(path, number) from error
            stored = None
        yield stored


def _too_long() -> UnreadableLine:
    return UnreadableLine(f"it has more than {LONGEST_LINE_BYTES:,} bytes")

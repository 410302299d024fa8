"""The ledger of an output folder as a file, `spending.jsonl`: append-only, one for all variants, modes and models of
it.

A reservation is in the operating system's hands before its request is sent, so that the account survives a kill.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from vlures.errors import VluresError
from vlures.files.writing import CANCELLED, AppendOnlyFile, NotWritable, move_tail
from vlures.pricing.ledger import Event, Ledger

FILE = "spending.jsonl"
SUMMED_EVERY = 10_000
"""After so many lines, one line sums up all before it, so that opening a file of millions reads only its end."""
READ_BYTES = 1_000_000

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Event).decode
_TOTAL = b'{"total":'


class SpendingFile:
    """The ledger of an output folder, kept on the disk.

    Raises VluresError, naming file and line, for a line that cannot be read, except a torn last one.
    """

    def __init__(
        self, output_folder: Path, *, writable: bool = True, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """writable: False reads only. say: called with a sentence when a torn last line was moved aside."""
        self.path = output_folder / FILE
        self.ledger = Ledger()
        self.failure: NotWritable | None = None
        """Why the last event could not be written."""
        self._file = AppendOnlyFile(self.path)
        self._late: list[Event] = []
        self._lines = 0
        self._is_dirty = False
        if self.path.is_file():
            self._load(say if writable else None)

    def write(self, *events: Event) -> bool:
        """Write events and apply them. False, and they are not applied, if the disk fails."""
        try:
            self._write(*self._late, *events)
        except NotWritable as failure:
            self.failure = failure
            return False
        self.failure = None
        self._late.clear()
        for event in events:
            self.ledger.apply(event)
        return True

    def note(self, *events: Event) -> None:
        """Apply events that have happened anyway. If the disk fails, they are written with the next event; if they are
        lost with the process, a reservation stays, which counts more, never less."""
        if not self.write(*events):
            for event in events:
                self.ledger.apply(event)
            self._late += events

    def close(self) -> None:
        """Sum up a long file, and close it."""
        if self._late:
            self.write()
        if self._lines >= SUMMED_EVERY // 10:
            self.write(self.ledger.sum_up())
        self.sync()
        self._file.close()

    def sync(self) -> None:
        """Bring what was written to the disk, if possible."""
        if self._is_dirty:
            self._is_dirty = False
            try:
                self._file.sync()
            except NotWritable as failure:
                self.failure, self._is_dirty = failure, True

    def _write(self, *events: Event) -> None:
        if not events:
            return
        if self._lines >= SUMMED_EVERY and not self._late:
            self._file.append(_encode(self.ledger.sum_up()) + b"\n")
            self._lines = 0
        self._file.append(b"".join(_encode(event) + b"\n" for event in events))
        self._lines += len(events)
        self._is_dirty = True

    def _load(self, say: Callable[[str], None] | None) -> None:
        """say: None repairs nothing."""
        data, start = self._read_since_last_total()
        lines = data.split(b"\n")
        torn = lines.pop()
        if torn and say is not None:
            aside = self.path.with_name(f"{FILE}.torn-{self.path.stat().st_size - len(torn)}")
            move_tail(self.path, torn, aside)
            say(f"The last line of {self.path} was torn ({len(torn)} bytes); it was cut off and kept in {aside.name}.")
        for number, line in enumerate(lines, start=1):
            if line.endswith(CANCELLED[:-1]) or not line:
                continue
            try:
                self.ledger.apply(_decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                before = self.path.read_bytes().count(b"\n", 0, start)
                raise VluresError(
                    f"{self.path}, line {before + number}, cannot be read ({error}); nothing was changed. Correct or "
                    "remove that line, then run again."
                ) from error
        self._lines = len(lines)

    def _read_since_last_total(self) -> tuple[bytes, int]:
        """The file from its last line of totals to its end, and where that begins."""
        data = b""
        with self.path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            while position:
                step = min(READ_BYTES, position)
                position -= step
                file.seek(position)
                data = file.read(step) + data
                if (start := data.rfind(b"\n" + _TOTAL)) >= 0:
                    return data[start + 1 :], position + start + 1
        return data, 0

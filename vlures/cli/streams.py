"""Standard streams that may fail during a command: a closed terminal, a pipe without a reader, a full disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class EnduringStream:
    """Passes everything on to a stream until that fails, then discards it. The command continues."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            silence(self._stream)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            silence(self._stream)


def silence(stream: TextIO) -> None:
    """Discard everything that is still written to a stream."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def enduring(name: str) -> Iterator[None]:
    """Replace `stderr` or `stdout` by an enduring stream for a while."""
    stream: TextIO | None = getattr(sys, name)
    if stream is None:
        yield
        return
    setattr(sys, name, cast("TextIO", EnduringStream(stream)))
    try:
        yield
    finally:
        setattr(sys, name, stream)

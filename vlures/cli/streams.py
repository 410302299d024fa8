"""Standard streams that may die under a command: a terminal that is closed, a pipe that nobody reads, a full disk."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class EnduringStream:
    """Passes everything on to a stream until that fails, and drops it from then on. What a command is doing goes on."""

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
    """Let whatever is still written to a stream go nowhere."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def enduring(name: str) -> Iterator[None]:
    """Put an enduring stream in the place of `stderr` or `stdout` for a while."""
    stream: TextIO | None = getattr(sys, name)
    if stream is None:
        yield
        return
    setattr(sys, name, cast("TextIO", EnduringStream(stream)))
    try:
        yield
    finally:
        setattr(sys, name, stream)

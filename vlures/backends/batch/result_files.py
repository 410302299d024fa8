"""The files that a batch's results come in: how large they may be, and their lines without holding one whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from vlures.backends.replies import MOST_REPLY_BYTES

LONGEST_LINE_BYTES = MOST_REPLY_BYTES
LEAST_FREE_BYTES = 64_000_000
"""A download leaves so much of the disk to others: the checkpoints may be on it."""


def most_bytes(lines: int, folder: Path) -> int:
    """The most bytes of a result file of so many requests, which is to lie in the folder: far more than any that was seen,
    and no more than the disk has room for."""
    room = shutil.disk_usage(folder).free - LEAST_FREE_BYTES
    return max(LEAST_FREE_BYTES // 8, min((lines + 1) * LONGEST_LINE_BYTES, room))


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines that are not blank. Of one that is longer than any answer, only the beginning, which nobody can read."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE_BYTES):
            whole = line
            while not whole.endswith(b"\n") and (whole := file.readline(LONGEST_LINE_BYTES)):
                pass
            if line.strip():
                yield line

"""A batch's result files: how large they may be, and their lines, read without holding a whole file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from vlures.backends.replies import MOST_REPLY_BYTES

LONGEST_LINE_BYTES = MOST_REPLY_BYTES
LEAST_FREE_BYTES = 64_000_000
"""A download leaves this much of the disk free: the checkpoints may be on it."""


def most_bytes(lines: int, folder: Path) -> int:
    """The size limit of a result file for so many requests, to be written into the folder: far above any file seen, and
    at most what the disk has room for."""
    room = shutil.disk_usage(folder).free - LEAST_FREE_BYTES
    return max(LEAST_FREE_BYTES // 8, min((lines + 1) * LONGEST_LINE_BYTES, room))


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines that are not blank. A line longer than any answer is cut, which makes it unreadable."""
    with path.open("rb") as file:
        while line := file.readline(LONGEST_LINE_BYTES):
            whole = line
            while not whole.endswith(b"\n") and (whole := file.readline(LONGEST_LINE_BYTES)):
                pass
            if line.strip():
                yield line

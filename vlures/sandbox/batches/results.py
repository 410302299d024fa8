"""What executing a batch gives, and the lines of its files."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from vlures.sandbox.batches.batch import Usage


class Stopped(Exception):
    """The sandbox ends before the batch is executed; the next one on the same state folder does it."""


@dataclass(frozen=True)
class Results:
    """What executing a batch gave."""

    completed: int
    failed: int
    usage: Usage
    output_file_id: str | None
    """None if no line has an answer."""
    error_file_id: str | None
    """None if no line failed (Gemini: always)."""


def read_line(line: bytes) -> dict[str, Any] | None:
    """A line's JSON object; None if the line is anything else, or blank."""
    try:
        request = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return request if isinstance(request, dict) else None


def shuffle_lines(path: Path, offsets: list[int], seed: str) -> None:
    """Shuffle the lines of a file in place, one line in memory at a time. offsets: the first byte of each line."""
    order = list(pairwise([*offsets, path.stat().st_size]))
    random.Random(seed).shuffle(order)  # noqa: S311 (an order, not a secret)
    shuffled = path.with_name(path.stem + "-shuffled.part")
    with path.open("rb") as source, shuffled.open("wb") as target:
        target.writelines(_ranges(source, order))
    shuffled.replace(path)


def _ranges(source: BinaryIO, order: list[tuple[int, int]]) -> Iterator[bytes]:
    for start, end in order:
        source.seek(start)
        yield source.read(end - start)

"""An upload's multipart body, read where it lies on disk: the file in it is never copied or held in memory."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 1 << 20
LONGEST_HEAD = 1 << 14
_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(r'[; ]name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILENAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)


@dataclass(frozen=True)
class Part:
    """One part of a form: its bytes are `size` bytes from `start` of the body's file."""

    name: str
    filename: str | None
    start: int
    size: int


def boundary_of(content_type: str) -> bytes | None:
    """The boundary that a Content-Type header names, if it is a form's."""
    match = _BOUNDARY.search(content_type) if content_type.lower().startswith("multipart/form-data") else None
    return match.group(1).encode("latin-1") if match else None


def find_parts(path: Path, boundary: bytes) -> list[Part]:
    """The parts of a multipart body on disk; empty if the body is not one. A part without an end is left out."""
    mark = b"--" + boundary
    with path.open("rb") as body:
        marks = list(_find_marks(body, mark))
        found = (_read_part(body, start + len(mark) + 2, end - 2) for start, end in pairwise(marks))
        return [part for part in found if part is not None]


def _find_marks(body: BinaryIO, mark: bytes) -> Iterator[int]:
    """Where the boundary stands, found block by block, so that memory stays flat."""
    block_start, kept = 0, b""
    while block := body.read(BLOCK_BYTES):
        window = kept + block
        at = window.find(mark)
        while at >= 0:
            yield block_start - len(kept) + at
            at = window.find(mark, at + len(mark))
        block_start += len(block)
        kept = window[1 - len(mark) :]


def _read_part(body: BinaryIO, start: int, end: int) -> Part | None:
    body.seek(start)
    head, blank_line, _ = body.read(min(LONGEST_HEAD, max(0, end - start + 4))).partition(b"\r\n\r\n")
    if not blank_line:
        return None
    text = head.decode("utf-8", "replace")
    name, filename = _NAME.search(text), _FILENAME.search(text)
    content_start = start + len(head) + len(blank_line)
    return Part(
        name.group(1) if name else "",
        filename.group(1) if filename else None,
        content_start,
        max(0, end - content_start),
    )


def read_text(path: Path, part: Part) -> str:
    """A small part as text."""
    with path.open("rb") as file:
        file.seek(part.start)
        return file.read(part.size).decode("utf-8", "replace")

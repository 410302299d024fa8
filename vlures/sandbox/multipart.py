"""An upload's multipart body, read where it lies on disk: the file in it is never copied or held in memory."""

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

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
    """The parts of a multipart body on disk; empty if the body is not one."""
    if path.stat().st_size == 0:
        return []
    parts: list[Part] = []
    mark = b"--" + boundary
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as body:
        at = body.find(mark)
        while at >= 0 and body[at + len(mark) : at + len(mark) + 2] == b"\r\n":
            head_end = body.find(b"\r\n\r\n", at)
            end = body.find(b"\r\n" + mark, head_end + 2) if head_end >= 0 else -1
            if end < 0:
                return []
            head = body[at + len(mark) + 2 : head_end].decode("utf-8", "replace")
            parts.append(_read_head(head, head_end + 4, end))
            at = end + 2
    return parts


def _read_head(head: str, start: int, end: int) -> Part:
    name = _NAME.search(head)
    filename = _FILENAME.search(head)
    return Part(
        name.group(1) if name else "",
        filename.group(1) if filename else None,
        start,
        max(0, end - start),
    )


def read_text(path: Path, part: Part) -> str:
    """A small part as text."""
    with path.open("rb") as file:
        file.seek(part.start)
        return file.read(part.size).decode("utf-8", "replace")

"""What earlier runs have measured: a line for each image in features.jsonl, and which of them still hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from vlures.errors import counted
from vlures.files.writing import CANCELLED, AppendOnlyFile
from vlures.store.clock import now
from vlures.store.lines import UnreadableLine, convert, read_closely
from vlures.store.loading import read_blocks
from vlures.store.tails import TailRepair

RECORD_FILE = "features.jsonl"

Reason = Literal["new", "changed", "remade", "unmapped"]
"""Why an image is due: no line; another file since; other models or options since; no depth map yet."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one image's measurement gave."""

    image: str
    """The file's name."""
    digest: str
    """SHA-256 of the file."""
    made_with: dict[str, str]
    """The models' identities, and the options and rules that decide what comes out."""
    facts: dict[str, Any]
    """The record but for the image's names."""
    time: str
    depth_map: str | None = None
    """The file's name in the folder of the depth maps."""


class _Written(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """features.json was about to be replaced by one with this SHA-256."""

    wrote: str
    time: str


@dataclass(frozen=True, slots=True)
class Stored:
    """All that features.jsonl says."""

    lines: dict[str, Line] = field(default_factory=dict)
    """The last line of each image, by the file's name."""
    written: set[str] = field(default_factory=set)
    """SHA-256 of every features.json that was made of it."""


def read_stored(folder: Path, tails: TailRepair) -> Stored:
    """Empty if nothing was measured yet. Raises VluresError, naming the line, for one that cannot be read."""
    path = folder / RECORD_FILE
    stored = Stored()
    if not path.exists() and not path.is_symlink():
        return stored
    number = 0
    for lines in read_blocks(path, tails):
        for line in lines:
            number += 1
            if line.endswith(CANCELLED):
                continue
            try:
                _fold(stored, read_closely(line))
            except UnreadableLine as error:
                raise error.at(path, number) from error
    return stored


def _fold(stored: Stored, content: dict[str, Any]) -> None:
    if "wrote" in content:
        stored.written.add(convert(content, _Written).wrote)
    else:
        line: Line = convert(content, Line)
        stored.lines[line.image] = line


def append(file: AppendOnlyFile, line: Line) -> None:
    """A line is on the disk when this returns."""
    file.append(msgspec.json.encode(line) + b"\n")
    file.sync()


def append_written(file: AppendOnlyFile, digest: str) -> None:
    """Before features.json is replaced, so that the new one is known whenever the process dies."""
    file.append(msgspec.json.encode(_Written(digest, now())) + b"\n")
    file.sync()


def find_reason(line: Line | None, digest: str, made_with: Mapping[str, str], *, needs_map: bool) -> Reason | None:
    """Why an image is due; None if its line holds."""
    if line is None:
        return "new"
    if line.digest != digest:
        return "changed"
    if line.made_with != dict(made_with):
        return "remade"
    return "unmapped" if needs_map and line.depth_map is None else None


_REDONE: Mapping[Reason, str] = {
    "changed": "whose file has changed",
    "remade": "that other models or options made",
    "unmapped": "without a depth map",
}


def describe_due(reasons: Iterable[Reason | None]) -> str:
    """A sentence about what is there, what is missing, and what is done again and why."""
    reasons = list(reasons)
    again = [f"{reasons.count(reason):,} {words}" for reason, words in _REDONE.items() if reason in reasons]
    said = f"{counted(len(reasons), 'image')}: {reasons.count(None):,} done already, {reasons.count('new'):,} to do"
    return f"{said}, again {' and '.join(again)}." if again else f"{said}."

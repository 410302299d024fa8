"""Finds and reads checkpoints of the original scripts: `checkpoint_task<n>_<Code>.json`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vlures.benchmarks.vlures.languages import find_language
from vlures.benchmarks.vlures.settings import make_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, read_file
from vlures.legacy.checkpoint_entries import CheckpointEntries
from vlures.legacy.torn_json import TornError, decode_torn, parse_torn
from vlures.records import Cell
from vlures.store.same_answers import describe_same_answers, find_same_answers

_NAME = re.compile(r"checkpoint_task([0-9]+)_([A-Za-z]+)\.json", re.IGNORECASE)
LARGEST_BYTES = 500_000_000
"""Of a checkpoint: a million answers of 500 characters."""


@dataclass(frozen=True, slots=True)
class OriginalCheckpoint:
    """What one checkpoint of the original scripts holds."""

    path: Path
    cell: Cell
    digest: str
    """Of its bytes."""
    answers: dict[str, str]
    """Text by sample ID."""
    empty: frozenset[str]
    """Sample IDs without a real text."""
    problems: tuple[str, ...]
    """What is unreadable or odd, each a sentence without its beginning and its full stop."""
    is_whole: bool
    """All of it could be read."""


def find_checkpoints(folder: Path, say: Callable[[str], None]) -> Iterator[tuple[Path, Cell]]:
    """The checkpoints in a folder, by name. say: called for a file named like a checkpoint that belongs to no cell."""
    for path in sorted(folder.glob("*.json")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        language, task = find_language(match[2]), int(match[1])
        if language is None or task not in TASKS:
            say(f"{path} is ignored: there is no {'task ' + match[1] if language else 'language ' + match[2]}.")
            continue
        yield path, make_cell(language.code, task)


def holds_checkpoints(folder: Path) -> bool:
    """Whether a folder has any checkpoint of the original scripts."""
    return any(True for _ in find_checkpoints(folder, lambda _: None))


def read_checkpoint_bytes(path: Path) -> bytes:
    """Raises VluresError for a file that cannot be read."""
    try:
        return read_file(path, LARGEST_BYTES)
    except UnusableFile as error:
        raise VluresError(f"{path} {error}; fix that, or move it elsewhere.") from error


def digest_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def parse_checkpoint(path: Path, cell: Cell, data: bytes) -> OriginalCheckpoint:
    """An object {"<id>": "<text>"}, or a list of objects with an id and a text, as far as it can be read.

    Raises VluresError for another encoding than UTF-8: its answers would be paid for again.
    """
    mark, text = decode_torn(path, data)
    entries = CheckpointEntries()
    torn = ""
    try:
        for key, value in parse_torn(text):
            entries.add(key, value)
    except TornError as error:
        torn = error.describe(text, len(mark))
    answers = entries.answers()
    problems = [torn] if torn else []
    if mark:
        problems.append("it begins with a byte order mark, which was skipped")
    problems += entries.problems()
    if same := find_same_answers(answers, least=1):
        problems.append(describe_same_answers(same))
    empty = frozenset(entries.empty - answers.keys())
    is_whole = not torn and not entries.unusable
    return OriginalCheckpoint(path, cell, digest_bytes(data), answers, empty, tuple(problems), is_whole)

"""Answers that the store could not take: in a file elsewhere, which the next run over the same folder reads. It reads
what a run of several processes has left in shards, too."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from vlures.errors import counted
from vlures.files.writing import CANCELLED, AppendOnlyFile, NotWritable
from vlures.records import FINAL_STATUSES
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import parse_key
from vlures.store.lines import read_line
from vlures.store.shards import SHARDS_FOLDER, find_left_shards, remove_left_orders


class RescueFile:
    """Lines of one checkpoint folder, in the first place elsewhere that accepts them: the user's home, or the folder
    for temporary files, which a restart may empty and a later job on a cluster may not share."""

    def __init__(self, checkpoints: Path) -> None:
        self._stem = _stem(checkpoints)
        self._files: list[AppendOnlyFile] = []
        self._lines: set[bytes] = set()

    @property
    def count(self) -> int:
        """The number of answers; lines that mark a sample to be asked again do not count."""
        return sum(read_line(line).status != "due" for line in self._lines)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files that hold lines."""
        return tuple(file.path for file in self._files)

    def keep(self, line: bytes) -> bool:
        """Whether the line is on some disk now."""
        if line in self._lines or (self._files and _append(self._files[-1], line)):
            self._lines.add(line)
            return True
        for place in _places():
            file = AppendOnlyFile(place / f"{self._stem}-{secrets.token_hex(4)}.jsonl", mode=0o600)
            if _append(file, line):
                self._files.append(file)
                self._lines.add(line)
                return True
            _remove(file)
        return False

    def remove(self) -> None:
        """Delete the files: the store has their lines now."""
        for file in self._files:
            _remove(file)
        self._files.clear()
        self._lines.clear()


def find_rescued(checkpoints: Path) -> list[Path]:
    """Files that this user's runs over the checkpoint folder left elsewhere."""
    found = {path for place in _places() for path in place.glob(f"{_stem(checkpoints)}-*.jsonl")}
    return sorted(filter(_is_ours, found))


def take_rescued(store: CheckpointStore, say: Callable[[str], None]) -> None:
    """Store the answers that earlier runs had to leave elsewhere, each once. On NotWritable they stay there."""
    for path in find_rescued(store.folder):
        _take(store, path, say)
    take_shards(store, say)


def take_shards(store: CheckpointStore, say: Callable[[str], None]) -> None:
    """Store what other processes of a run have answered, each once, and remove their shards. Those of processes that
    still live stay, and on NotWritable all do."""
    for path in find_left_shards(store.folder):
        _take(store, path, say)
    remove_left_orders(store.folder)


def _take(store: CheckpointStore, path: Path, say: Callable[[str], None]) -> None:
    taken, unreadable = 0, 0
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(CANCELLED):
            continue
        try:
            if not (path.parent.name == SHARDS_FOLDER and _stands(store, line)):
                taken += store.take_in(line)
        except ValueError:
            unreadable += 1
    store.sync()
    if taken:
        say(f"{counted(taken, 'answer')} that an earlier run had not written to {store.folder} came from {path}.")
    if unreadable:
        kept = path.with_suffix(".unreadable")
        say(f"{counted(unreadable, 'line')} of {path} cannot be read; the file is kept as {kept}.")
        path.rename(kept)
    else:
        path.unlink()


def _stands(store: CheckpointStore, line: bytes) -> bool:
    """Whether the store has an answer to the question of a shard's line: the one that was taken from the shard, or a
    later one. Raises ValueError for a line that cannot be read."""
    entry = store.entry(*parse_key(read_line(line).key, store.variant))
    return entry is not None and entry.status in FINAL_STATUSES and not entry.due


def _places() -> Iterator[Path]:
    with suppress(RuntimeError):  # not every user has a home
        yield Path.home()
    yield Path(tempfile.gettempdir())


def _stem(checkpoints: Path) -> str:
    digest = hashlib.sha256(os.fsencode(checkpoints.resolve())).hexdigest()
    return f"vlures-rescued-{digest[:16]}"


def _is_ours(path: Path) -> bool:
    """Whether the file is this user's own: anyone may put one into the folder for temporary files."""
    try:
        facts = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and (not hasattr(os, "geteuid") or facts.st_uid == os.geteuid())


def _append(file: AppendOnlyFile, line: bytes) -> bool:
    try:
        file.append(line)
        file.sync()
    except NotWritable:
        return False
    return True


def _remove(file: AppendOnlyFile) -> None:
    file.close()
    with suppress(OSError):
        file.path.unlink(missing_ok=True)

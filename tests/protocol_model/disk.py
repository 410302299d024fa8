"""The operating system as the store sees it: where a process may die, and what a disk keeps of what was written."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Killed(BaseException):
    """The process is dead. Whatever it still does on its way out reaches nothing."""


@dataclass(frozen=True, slots=True)
class Doom:
    """A process dies at the n-th boundary from now, a boundary being the moment before or after a write, a sync or a
    cut."""

    boundary: int
    part: float
    """How much of a line is written if the process dies in the middle of it."""


@dataclass(frozen=True, slots=True)
class PowerCut:
    """What a power cut leaves of data that was not synced."""

    answers: float
    """The share of unsynced answers that survives."""
    journal: float
    """The share of the unsynced journal that survives."""
    zeros: bool
    """Lost data reads as zeros, as after a crash in which the length of a file was saved before its content."""
    names: bool
    """Whether files survive whose folder was not synced since they were made."""


@dataclass(slots=True)
class Disk:
    """Replaces the `os` of the store. Files are real; a sync only records what it has secured."""

    folder: Path
    alive: bool = True
    """Whether the process lives."""
    doom: Doom | None = None
    room: int | None = None
    """Bytes until it is full; None: enough."""
    room_later: int | None = None
    """The room from the moment when it was first full."""
    failing_syncs: int = 0
    faults_shown: int = 0
    changes: int = 0
    _safe: dict[Path, int] = field(default_factory=dict)
    _open: dict[int, Path] = field(default_factory=dict)
    _nameless: set[Path] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def reset(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for path in self.rescued():
            path.unlink()
        self._safe.clear()
        self._open.clear()
        self._nameless.clear()
        self.alive, self.doom, self.failing_syncs = True, None, 0
        self.room = self.room_later = None

    def begin_process(self) -> None:
        self.alive, self.faults_shown = True, 0

    def end_process(self) -> None:
        """The process is gone, and with it its open files."""
        self.alive, self.doom = False, None
        for descriptor in self._open:
            os.close(descriptor)
        self._open.clear()

    def safe_bytes(self, path: Path) -> int:
        """How much of a file a power cut leaves for certain."""
        return 0 if path in self._nameless else self._safe.get(path, 0)

    def cut_power(self, cut: PowerCut) -> None:
        """What the machine finds when it is up again."""
        for path in self._nameless:
            if not cut.names:
                path.unlink(missing_ok=True)
        self._nameless.clear()
        for path in sorted(self.folder.rglob("*.jsonl")):
            size, safe = path.stat().st_size, self.safe_bytes(path)
            kept = safe + int((size - safe) * (cut.journal if path.name == "jobs.jsonl" else cut.answers))
            os.truncate(path, kept)
            if cut.zeros:
                os.truncate(path, size)
            self._safe[path] = path.stat().st_size
        self.changes += 1

    # What the store calls

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        self._boundary()
        if flags & os.O_CREAT and not path.exists():
            self._nameless.add(path)
        descriptor = os.open(path, flags, mode)
        self._open[descriptor] = Path(path)
        return descriptor

    def close(self, descriptor: int) -> None:
        if self._open.pop(descriptor, None) is not None:
            os.close(descriptor)

    def write(self, descriptor: int, data: bytes) -> int:
        if self._is_last_boundary():
            part = int(len(data) * self.doom.part) if self.doom else 0
            os.write(descriptor, data[:part])
            self.changes += 1
            self._die()
        if self.room is not None and self._holds(descriptor):
            data = data[: self.room]
            self.room -= len(data)
            if not data:
                self.faults_shown += 1
                self.room = self.room_later
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = os.write(descriptor, data)
        self.changes += 1
        self._boundary()
        return written

    def fsync(self, descriptor: int) -> None:
        self._boundary()
        if self.failing_syncs and self._holds(descriptor):
            self.failing_syncs -= 1
            self.faults_shown += 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if path := self._open.get(descriptor):
            self._safe[path] = os.fstat(descriptor).st_size
            self._nameless = {file for file in self._nameless if file.parent != path}
            self.changes += 1
        self._boundary()

    def ftruncate(self, descriptor: int, size: int) -> None:
        self._boundary()
        if self.room is not None:
            self.room += os.fstat(descriptor).st_size - size
        os.ftruncate(descriptor, size)
        self._cut(self._open[descriptor], size)

    def truncate(self, path: Path, size: int) -> None:
        self._boundary()
        os.truncate(path, size)
        self._cut(path, size)

    def replace(self, path: Path, target: Path) -> None:
        self._boundary()
        is_new = not Path(target).exists()
        Path(path).replace(target)
        self._nameless.discard(Path(path))
        if is_new:
            self._nameless.add(Path(target))
        self._safe[Path(target)] = self._safe.pop(Path(path), 0)
        self.changes += 1
        self._boundary()

    def statvfs(self, path: Path) -> Any:
        if self.room is None:
            return os.statvfs(path)
        self.faults_shown += 1
        return _NoRoom()

    def _holds(self, descriptor: int) -> bool:
        """Whether a file is on this disk; what is elsewhere never fails."""
        path = self._open.get(descriptor)
        return path is None or path.is_relative_to(self.folder)

    def rescued(self) -> list[Path]:
        """Files elsewhere that keep what this disk did not take."""
        return list(self.folder.parent.glob("vlures-rescued-*.jsonl"))

    def _cut(self, path: Path, size: int) -> None:
        self._safe[path] = min(self._safe.get(path, 0), size)
        self.changes += 1
        self._boundary()

    def _is_last_boundary(self) -> bool:
        if not self.alive:
            raise Killed
        if self.doom is None:
            return False
        self.doom = Doom(self.doom.boundary - 1, self.doom.part)
        return self.doom.boundary <= 0

    def _boundary(self) -> None:
        if self._is_last_boundary():
            self._die()

    def _die(self) -> None:
        self.alive, self.doom = False, None
        raise Killed


@dataclass(frozen=True, slots=True)
class _NoRoom:
    f_bavail: int = 0
    f_frsize: int = 4096

"""The files of a checkpoint folder as a run writes them: appended, synced, closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vlures.errors import VluresError
from vlures.files.writing import AppendOnlyFile, NotWritable, sync_folders, write_whole

LEAST_FREE_BYTES = 32_000_000
"""A run stops sending below this free space, so that the answers in flight still fit."""

SYNCED_IN_TURN = 4
SYNCS_AT_ONCE = 16
"""Syncs that run at the same time reach the disk together: 32 files took 19 ms one after another, and 4 ms so."""


class CheckpointFolder:
    """The open files of a checkpoint folder, and which of them still need a sync. Methods that write raise
    NotWritable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[Path, AppendOnlyFile] = {}
        self._dirty: set[Path] = set()
        self._has_new_names = True
        # Files of earlier processes: one that was killed may have left its last answers in the system's hands only.
        self._found: set[Path] = set()

    def make(self) -> None:
        """Raises VluresError where the folder cannot be made."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VluresError(
                f"The folder {self.path} cannot be made ({error.strerror}); name another place with --output."
            ) from error

    def add_found(self, path: Path) -> None:
        """A file that earlier processes wrote; the next sync_all brings it to the disk."""
        self._found.add(path)

    def open(self, path: Path) -> AppendOnlyFile:
        """The file, open; makes it if it does not exist."""
        if (file := self._files.get(path)) is None:
            self._has_new_names = self._has_new_names or not path.exists()
            file = AppendOnlyFile(path)
            file.open()
            self._files[path] = file
        return file

    def append(self, path: Path, line: bytes) -> int:
        """Append one line; returns its offset in bytes. A line that does not fit is taken back whole."""
        offset = self.open(path).append(line)
        self._dirty.add(path)
        return offset

    def replace(self, name: str, content: str) -> None:
        """Replace a small file, whole or not at all."""
        write_whole(self.path / name, content)
        self._has_new_names = True

    def unsynced(self) -> Iterator[tuple[Path, list[bytes]]]:
        """The open files, each with its lines that may not be on the disk yet."""
        return ((path, file.unsynced) for path, file in self._files.items())

    def sync(self) -> None:
        """Everything written so far is on the disk when this returns."""
        paths = list(self._dirty)
        if len(paths) <= SYNCED_IN_TURN:
            for path in paths:
                self.sync_file(path)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(SYNCS_AT_ONCE) as threads:
            for _ in threads.map(self.sync_file, paths):
                pass

    def sync_all(self) -> None:
        """The same, including what earlier processes wrote."""
        self._dirty |= self._found
        self._found.clear()
        self.sync()

    def sync_file(self, path: Path) -> None:
        """One file, and the names of new files, are on the disk when this returns."""
        self._dirty.discard(path)
        try:
            self.open(path).sync()
            self._sync_names()
        except NotWritable:
            self._dirty.add(path)
            raise

    def is_short_of_room(self) -> bool:
        usage = os.statvfs(self.path)
        return usage.f_bavail * usage.f_frsize < LEAST_FREE_BYTES

    def close(self) -> None:
        try:
            self.sync()
        finally:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _sync_names(self) -> None:
        """Names of new files, and of the folders that were made for them."""
        if not self._has_new_names:
            return
        self._has_new_names = False  # before, because another thread may make a file meanwhile
        try:
            sync_folders((self.path, *self.path.parents[:2]))
        except NotWritable:
            self._has_new_names = True
            raise

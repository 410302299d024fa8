"""The one place that writes what a run must not lose: files that grow line by line, and small files replaced whole.

Everything goes through this module's `os`, so that a test can stand in the disk's place.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vlures.errors import NotWritable

CANCELLED = b"\x18\n"
"""Ends the half of a line that could be neither finished nor cut off (ASCII's CAN). No JSON holds this character, so a reader
that meets it knows that the line never counted as written."""

MOST_UNSYNCED_BYTES = 16_000_000
"""Lines stay in memory until a sync has succeeded; with more of them than that, a file is synced without being asked."""


class AppendOnlyFile:
    """A file of lines that grows at its end. It is opened, and made, on first use.

    A line goes out in one write to a file opened with O_APPEND, so that lines of two processes do not mix. Raises NotWritable
    where the disk fails; a line that did not fit is taken back whole, and the next append may succeed.
    """

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        """mode: the rights of a file that is made."""
        self.path = path
        self._mode = mode
        self._descriptor: int | None = None
        self._torn: tuple[int, int] | None = None
        """Where half a line stands that could not be taken back."""
        self._unsynced: list[tuple[int, bytes]] = []
        self._unsynced_bytes = 0
        self._sync_failed = False

    def open(self) -> int:
        """The file's descriptor. The file is there from now on."""
        if self._descriptor is None:
            try:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, self._mode)
            except OSError as error:
                raise NotWritable(self.path, error) from error
        return self._descriptor

    def append(self, line: bytes) -> int:
        """Hand a line, with its line break, to the operating system; returns its offset in bytes."""
        descriptor = self.open()
        if self._torn is not None:
            self._take_back(descriptor)
        data = line if self._torn is None else CANCELLED + line
        written = 0
        try:
            while written < len(data):
                written += _write(descriptor, data[written:] if written else data)
        except OSError as error:
            if written:
                end = os.lseek(descriptor, 0, os.SEEK_CUR)
                self._torn = (end - written, end)
                self._take_back(descriptor)
            raise NotWritable(self.path, error) from error
        self._torn = None
        offset = os.lseek(descriptor, 0, os.SEEK_CUR) - len(line)
        self._unsynced.append((offset, line))
        self._unsynced_bytes += len(line)
        if self._unsynced_bytes > MOST_UNSYNCED_BYTES:
            with suppress(NotWritable):  # the line is written; the next sync tells
                self.sync()
        return offset

    def sync(self) -> None:
        """All lines are on the disk when this returns."""
        descriptor = self.open()
        lines, self._unsynced = self._unsynced, []
        self._unsynced_bytes = 0
        try:
            if self._sync_failed:
                self._write_again(lines)
            os.fsync(descriptor)
        except OSError as error:
            self._sync_failed = True
            self._unsynced[:0] = lines
            raise NotWritable(self.path, error) from error
        self._sync_failed = False

    @property
    def unsynced(self) -> list[bytes]:
        """Lines of which it is not certain that they are on the disk."""
        return [line for _, line in self._unsynced]

    def close(self) -> None:
        """Let the file go. What was not synced is in the system's hands."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _take_back(self, descriptor: int) -> None:
        """Cut half a line off, unless another process has written behind it."""
        if self._torn is None:
            return
        start, end = self._torn
        with suppress(OSError):
            if os.fstat(descriptor).st_size == end:
                os.ftruncate(descriptor, start)
                self._torn = None

    def _write_again(self, lines: list[tuple[int, bytes]]) -> None:
        """After a failed sync the system may take the lines for saved, and drop them: put each in its place once more.
        https://wiki.postgresql.org/wiki/Fsync_Errors"""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for offset, line in lines:
                if os.pwrite(descriptor, line, offset) < len(line):
                    raise OSError(errno.EIO, "not written whole")
        finally:
            os.close(descriptor)


def move_tail(path: Path, tail: bytes, aside: Path) -> None:
    """Move what a file ends with into a file of its own."""
    kept = AppendOnlyFile(aside)
    try:
        kept.append(tail)
        kept.sync()
    finally:
        kept.close()
    cut_off(path, len(tail))


def cut_off(path: Path, size_bytes: int) -> None:
    """Make a file shorter by so many bytes. Raises NotWritable."""
    try:
        os.truncate(path, path.stat().st_size - size_bytes)
    except OSError as error:
        raise NotWritable(path, error) from error


def finish_line(path: Path) -> None:
    """Add the line break that a file lacks at its end."""
    file = AppendOnlyFile(path)
    try:
        file.append(b"\n")
    finally:
        file.close()


def write_whole(path: Path, content: str) -> None:
    """Replace a file so that a reader, or a crash, sees the old one or the new one. Makes its folder.

    Raises NotWritable, and then the old one stands.
    """
    scratch = path.with_name(f".{path.name}.new")
    data = content.encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            while data:
                data = data[_write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(scratch, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(scratch)
        raise NotWritable(path, error) from error


def sync_folders(folders: Iterable[Path]) -> None:
    """The names of new files stand in their folders, and on some file systems a file that was synced is lost with its name:
    https://man7.org/linux/man-pages/man2/fsync.2.html#DESCRIPTION. Raises NotWritable."""
    for folder in folders:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except OSError:
            return  # not every system lets a folder be opened
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.EINVAL):  # nor be synced
                raise NotWritable(folder, error) from error
        finally:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> int:
    """How many bytes the system took: at least one."""
    written = os.write(descriptor, data)
    if written == 0:
        raise OSError(errno.EIO, "nothing was written")
    return written

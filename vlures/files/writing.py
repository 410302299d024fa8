"""The one place that writes what a run must not lose: files that grow line by line, and small files replaced whole.

Everything goes through this module's `os`, so that a test can replace the disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vlures.errors import VluresError

CANCELLED = b"\x18\n"
"""Ends half a line that could be neither finished nor cut off (ASCII's CAN). JSON never contains this character, so a
reader that finds it knows that the line never counted as written."""

MOST_UNSYNCED_BYTES = 16_000_000
"""Lines stay in memory until a sync succeeds; above this amount, a file syncs by itself."""


_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "Make room"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Give yourself the right to write there"),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files (`ulimit -n`)"),
    **dict.fromkeys((errno.ENOTDIR, errno.EISDIR), "Move aside what is in its place"),
    errno.ENOENT: "Put its folder back",
    errno.EFBIG: "Raise the limit of file sizes (`ulimit -f`)",
}


class NotWritable(VluresError):
    """A file cannot be written."""

    def __init__(self, path: Path, cause: OSError, comfort: str = "") -> None:
        """comfort: a sentence that precedes the remedy."""
        self.path = path
        self.cause = cause
        self.reason = cause.strerror or str(cause)
        """What the system said."""
        self.remedy = _REMEDIES.get(cause.errno or 0, "Check the disk")
        super().__init__(f"{path} cannot be written ({self.reason}). {comfort}{self.remedy}, then run again.")


class AppendOnlyFile:
    """A file of lines that grows at its end. It is opened, and created, on first use.

    A line goes out in one write to a file opened with O_APPEND, so that lines of two processes do not mix. Raises
    NotWritable where the disk fails; a line that did not fit is taken back whole, and the next append may succeed.
    """

    def __init__(self, path: Path, mode: int = 0o644) -> None:
        """mode: the permissions of a file that is created."""
        self.path = path
        self._mode = mode
        self._descriptor: int | None = None
        self._torn: tuple[int, int] | None = None
        """Start and end of half a line that could not be taken back."""
        self._unsynced: list[tuple[int, bytes]] = []
        self._unsynced_bytes = 0
        self._sync_failed = False

    def open(self) -> int:
        """The file's descriptor. Creates the file if it does not exist."""
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
            with suppress(NotWritable):  # the line is written; the next sync will report it
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
        """Lines that may not be on the disk yet."""
        return [line for _, line in self._unsynced]

    def close(self) -> None:
        """Close the file. Unsynced lines are in the system's hands."""
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
        """After a failed sync the system may consider the lines saved, and drop them: write each once more in its
        place. https://wiki.postgresql.org/wiki/Fsync_Errors"""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for offset, line in lines:
                if os.pwrite(descriptor, line, offset) < len(line):
                    raise OSError(errno.EIO, "not written whole")
        finally:
            os.close(descriptor)


def move_tail(path: Path, tail: bytes, aside: Path) -> None:
    """Move the end of a file into a file of its own."""
    kept = AppendOnlyFile(aside)
    try:
        kept.append(tail)
        kept.sync()
    finally:
        kept.close()
    cut_off(path, len(tail))


def cut_off(path: Path, size_bytes: int) -> None:
    """Shorten a file by so many bytes. Raises NotWritable."""
    try:
        os.truncate(path, path.stat().st_size - size_bytes)
    except OSError as error:
        raise NotWritable(path, error) from error


def finish_line(path: Path) -> None:
    """Add the missing line break at the end of a file."""
    file = AppendOnlyFile(path)
    try:
        file.append(b"\n")
    finally:
        file.close()


def write_whole(path: Path, content: str) -> None:
    """Replace a file so that a reader, or a crash, sees the old one or the new one. Creates its folder.

    Raises NotWritable, and then the old one remains.
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
    """Sync folders, which hold the names of new files: on some file systems a synced file is lost with its name,
    https://man7.org/linux/man-pages/man2/fsync.2.html#DESCRIPTION. Raises NotWritable."""
    for folder in folders:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
        except OSError:
            return  # not every system can open a folder
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.EINVAL):  # nor sync it
                raise NotWritable(folder, error) from error
        finally:
            os.close(descriptor)


def _write(descriptor: int, data: bytes) -> int:
    """How many bytes the system took: at least one."""
    written = os.write(descriptor, data)
    if written == 0:
        raise OSError(errno.EIO, "nothing was written")
    return written

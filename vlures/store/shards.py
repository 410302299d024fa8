"""Shards: what other processes of one run have answered, each in a file of its own beside the checkpoints.

A process holds its shard as long as it lives; the process that holds the run reads it as it grows. What a killed run
has left in shards, the next one takes in.
"""

from __future__ import annotations

import time
from pathlib import Path

from vlures.errors import VluresError
from vlures.files.writing import CANCELLED, AppendOnlyFile

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SHARDS_FOLDER = "shards"
"""In the folder of the checkpoints."""
SYNC_EVERY_S = 1.0


class Shard:
    """A shard that this process writes. Raises NotWritable where the disk fails."""

    def __init__(self, path: Path) -> None:
        """Raises VluresError if another process holds it, or the drive knows no locks."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = AppendOnlyFile(path)
        _lock_or_refuse(self._file.open(), path)
        self._synced_at = time.monotonic()

    def append(self, line: bytes) -> None:
        """line: as a checkpoint has it. Once a second all lines are brought to the disk."""
        self._file.append(line)
        if time.monotonic() - self._synced_at > SYNC_EVERY_S:
            self._file.sync()
            self._synced_at = time.monotonic()

    def close(self) -> None:
        """No more will be written, and whoever waits may know it."""
        self._file.sync()
        self._file.close()


class ShardReader:
    """Reads a shard as it grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def read_new(self) -> list[bytes]:
        """The whole lines since the last call."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        self._offset += end
        return [line for line in data[:end].splitlines(keepends=True) if not line.endswith(CANCELLED)]


def find_left_shards(checkpoints: Path) -> list[Path]:
    """Shards of an ended run that are still there."""
    return [path for path in sorted((checkpoints / SHARDS_FOLDER).glob("*.jsonl")) if not is_held(path)]


def remove_left_orders(checkpoints: Path) -> None:
    """Delete what a first process that was killed had told the others."""
    for path in (checkpoints / SHARDS_FOLDER).glob("*.due"):
        if not is_held(path):
            path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether the process that holds the file lives. A file that is gone is nobody's."""
    try:
        with path.open("r+b") as file:  # network drives lock only what may be written
            return not _lock(file.fileno())
    except OSError:
        return False


class HeldFile:
    """A file that shows, as long as it is held, that this process lives. It is deleted in the end."""

    def __init__(self, path: Path) -> None:
        """Raises VluresError where the drive knows no locks."""
        self._path = path
        self._file = path.open("r+b")
        _lock_or_refuse(self._file.fileno(), path)

    def close(self) -> None:
        self._path.unlink(missing_ok=True)
        self._file.close()


def _lock_or_refuse(descriptor: int, path: Path) -> None:
    """Raises VluresError if another process holds the file, or the drive knows no locks."""
    try:
        ours = _lock(descriptor)
    except OSError as error:
        raise VluresError(
            f"{path} cannot be locked ({error.strerror}), and several processes of one run need that; take an --output "
            "on another drive, or one process."
        ) from error
    if not ours:
        raise VluresError(f"{path} is in use by another process; wait for it.")


def _lock(descriptor: int) -> bool:
    """Whether the file is ours now, until it is closed. Raises OSError where the drive knows no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

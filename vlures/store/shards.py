"""Shards: what other processes of one run have answered, each in a file of its own beside the checkpoints.

A process holds its shard as long as it lives; the process that holds the run reads it as it grows. What a killed run
has left in shards, the next one takes in.
"""

from __future__ import annotations

from pathlib import Path

from vlures.errors import VluresError
from vlures.files.writing import AppendOnlyFile

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SHARDS_FOLDER = "shards"
"""In the folder of the checkpoints."""


class Shard:
    """A shard that this process writes. Raises NotWritable where the disk fails."""

    def __init__(self, path: Path) -> None:
        """Raises VluresError if another process holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = AppendOnlyFile(path)
        if not _lock(self._file.open()):
            raise VluresError(f"{path} is in use by another process; wait for it.")

    def append(self, line: bytes) -> None:
        """line: as a checkpoint has it."""
        self._file.append(line)

    def sync(self) -> None:
        """All lines are on the disk when this returns."""
        self._file.sync()

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
        return data[:end].splitlines(keepends=True)


def find_left_shards(checkpoints: Path) -> list[Path]:
    """Shards of an ended run that are still there."""
    return [path for path in sorted((checkpoints / SHARDS_FOLDER).glob("*.jsonl")) if not is_held(path)]


def remove_shard(path: Path) -> None:
    """Delete a shard whose lines are in the store, and after the last one of its launch what it was told to ask."""
    path.unlink()
    launch = path.stem.partition("-")[0]
    if not any(path.parent.glob(f"{launch}-*.jsonl")):
        (path.parent / f"{launch}.due").unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether the process that writes the shard lives."""
    with path.open("rb") as file:
        return not _lock(file.fileno())


def _lock(descriptor: int) -> bool:
    """Whether the file is ours now, until it is closed."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""A provider's files on disk: uploads and result files, each with a record that is written when it is complete."""

import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from vlures.sandbox.exchange import FileRange

DEFAULT_LIFE_S = 30 * 24 * 3600
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """A file's record; its bytes are in `<id>.data`."""

    id: str
    filename: str
    purpose: str
    size: int
    """Bytes."""
    created_at: int
    """Seconds since 1970."""
    expires_at: int | None
    """Seconds since 1970; None: never."""
    mime: str = ""
    """Gemini only."""
    sha256: str = ""
    """In hexadecimal; OpenAI: only once its content is dropped."""
    start: int = 0
    """The first of its bytes in `<id>.data`: version 0.1 stored an upload with the form around it."""
    lines: int = 0
    """Known once its content is dropped."""
    is_dropped: bool = False
    """Whether only this record of it is kept."""

    def describe_dropped(self) -> str:
        """Why its content cannot be had: a sentence."""
        return (
            f"The sandbox has dropped the content of the file {self.id}, because the batch created from it has ended. "
            f"It keeps a digest: {self.size:,} bytes in {self.lines:,} lines, SHA-256 {self.sha256}. "
            "A sandbox started with --keep-uploads keeps the content."
        )


@dataclass(frozen=True)
class Digest:
    """What is kept of a file's content."""

    sha256: str
    """In hexadecimal."""
    lines: int


def new_id(prefix: str) -> str:
    """A random id."""
    return prefix + secrets.token_hex(12)


class FileStore:
    """The folder of files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for incomplete in folder.glob("*.part"):
            incomplete.unlink()
        records = (msgspec.json.decode(path.read_bytes(), type=StoredFile) for path in folder.glob("*.json"))
        self._files = {file.id: file for file in sorted(records, key=lambda file: (file.created_at, file.id))}
        self._remove_left_content()

    def _remove_left_content(self) -> None:
        """Remove what a kill left between two steps: content without its record, and content that was to be dropped."""
        for path in self._folder.glob("*.data"):
            file = self._files.get(path.stem)
            if file is None or file.is_dropped:
                path.unlink()

    def new_temporary_file(self) -> Path:
        """A path for a file that is not complete yet."""
        return self._folder / f"{secrets.token_hex(12)}.part"

    def adopt(self, part: Path, file: StoredFile) -> StoredFile:
        """Move a complete file into the store, under this record."""
        part.replace(self._folder / f"{file.id}.data")
        return self._record(file)

    def _record(self, file: StoredFile) -> StoredFile:
        record = self.new_temporary_file()
        record.write_bytes(msgspec.json.encode(file))
        record.replace(self._folder / f"{file.id}.json")
        self._files[file.id] = file
        return file

    def adopt_result(self, part: Path, file_id: str, filename: str, life_s: int | None) -> StoredFile:
        """Move a batch's complete result file into the store. life_s: seconds until it expires (None: 30 days)."""
        now = int(time.time())
        size = part.stat().st_size
        return self.adopt(
            part, StoredFile(file_id, filename, "batch_output", size, now, now + (life_s or DEFAULT_LIFE_S))
        )

    def find(self, file_id: str) -> StoredFile | None:
        """The record, or None if there is no such file or it has expired."""
        file = self._files.get(file_id)
        expired = file is not None and file.expires_at is not None and file.expires_at <= time.time()
        return None if expired else file

    def read(self, file: StoredFile) -> bytes:
        """All of a file's bytes."""
        part = self.range_of(file)
        with part.path.open("rb") as source:
            source.seek(part.start)
            return source.read(part.size)

    def listing(self) -> list[StoredFile]:
        """Every file, newest first."""
        files = list(reversed(self._files.values()))  # a copy: a batch's thread may add or delete one
        return [file for file in files if self.find(file.id)]

    def delete(self, file_id: str) -> bool:
        """Delete a file; returns whether it existed."""
        if self._files.pop(file_id, None) is None:
            return False
        (self._folder / f"{file_id}.json").unlink(missing_ok=True)
        (self._folder / f"{file_id}.data").unlink(missing_ok=True)
        return True

    def digest(self, file: StoredFile) -> Digest:
        """Read the whole file for its digest. Raises FileNotFoundError if it is deleted meanwhile."""
        part = self.range_of(file)
        sha, breaks, last, left = hashlib.sha256(), 0, b"\n", part.size
        with part.path.open("rb") as source:
            source.seek(part.start)
            while left > 0 and (block := source.read(min(_BUFFER_BYTES, left))):
                sha.update(block)
                breaks += block.count(b"\n")
                last = block[-1:]
                left -= len(block)
        return Digest(sha.hexdigest(), breaks + (last != b"\n"))

    def drop_content(self, file: StoredFile, digest: Digest) -> StoredFile:
        """Keep only the record of a file, with its digest."""
        # The record first: after a kill in between, the next sandbox removes the content.
        dropped = self._record(replace(file, sha256=digest.sha256, lines=digest.lines, is_dropped=True))
        (self._folder / f"{file.id}.data").unlink(missing_ok=True)
        return dropped

    def range_of(self, file: StoredFile) -> FileRange:
        """Where the file's bytes are."""
        return FileRange(self._folder / f"{file.id}.data", file.start, file.size)

    def lines(self, file: StoredFile) -> Iterator[bytes]:
        """The file's lines without their newline; only b"\\n" ends a line."""
        part = self.range_of(file)
        left = part.size
        with part.path.open("rb", buffering=_BUFFER_BYTES) as source:
            source.seek(part.start)
            while left > 0:
                line = source.readline(left)
                if not line:
                    return
                left -= len(line)
                yield line.removesuffix(b"\n")

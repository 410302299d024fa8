"""Gemini's resumable uploads that have begun: each takes its bytes in order, piece by piece, and ends in a file."""

import hashlib
import secrets
import string
from dataclasses import dataclass, field
from pathlib import Path

from vlures.sandbox.file_store import StoredFile

BLOCK_BYTES = 1 << 20
_LETTERS = string.ascii_lowercase + string.digits


def short_id(length: int) -> str:
    """An id such as Google makes them, of small letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


@dataclass
class UploadSession:
    """One upload: what its start announced, what has come so far (`received` bytes in `path`), the file it became."""

    id: str
    path: Path
    file_id: str
    display_name: str
    mime: str
    announced: int | None
    received: int = 0
    file: StoredFile | None = None
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The SHA-256 of what has come so far, in hexadecimal."""
        return self._hash.hexdigest()

    def append(self, piece: Path) -> None:
        """Take the bytes of a piece that has come whole."""
        with piece.open("rb") as source, self.path.open("ab") as target:
            while block := source.read(BLOCK_BYTES):
                self._hash.update(block)
                target.write(block)
                self.received += len(block)


class UploadSessions:
    """The uploads that have begun; what is not finished at the end of the process is given up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for torn in folder.glob("*.part"):
            torn.unlink()
        self._sessions: dict[str, UploadSession] = {}

    def begin(self, file_id: str, display_name: str, mime: str, announced: int | None) -> UploadSession:
        """Start an upload; `announced` is its size in bytes, if it was told."""
        upload_id = short_id(32)
        path = self._folder / f"{upload_id}.part"
        path.touch()
        session = UploadSession(upload_id, path, file_id, display_name, mime, announced)
        self._sessions[upload_id] = session
        return session

    def find(self, upload_id: str) -> UploadSession | None:
        """The upload, or None if there is no such one."""
        return self._sessions.get(upload_id)

    def abandon(self, session: UploadSession) -> None:
        """Forget an upload and what has come of it."""
        self._sessions.pop(session.id, None)
        session.path.unlink(missing_ok=True)

"""Gemini's resumable uploads under way: each receives its bytes in order, piece by piece, and becomes a file."""

import hashlib
import secrets
import string
from dataclasses import dataclass, field
from pathlib import Path

from vlures.sandbox.file_store import StoredFile

BLOCK_BYTES = 1 << 20
_LETTERS = string.ascii_lowercase + string.digits


def short_id(length: int) -> str:
    """A random id like Google's, of lower-case letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


@dataclass
class UploadSession:
    """One upload."""

    id: str
    path: Path
    """What has arrived so far."""
    file_id: str
    display_name: str
    mime: str
    announced: int | None
    """Its size in bytes, if the start named it."""
    received: int = 0
    """Bytes."""
    file: StoredFile | None = None
    """The file that it became."""
    _hash: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """SHA-256 of what has arrived so far, in hexadecimal."""
        return self._hash.hexdigest()

    def append(self, piece: Path) -> None:
        """Append a complete piece."""
        with piece.open("rb") as source, self.path.open("ab") as target:
            while block := source.read(BLOCK_BYTES):
                self._hash.update(block)
                target.write(block)
                self.received += len(block)


class UploadSessions:
    """The uploads under way; those not finished when the process ends are dropped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for incomplete in folder.glob("*.part"):
            incomplete.unlink()
        self._sessions: dict[str, UploadSession] = {}

    def begin(self, file_id: str, display_name: str, mime: str, announced: int | None) -> UploadSession:
        """Start an upload. announced: its size in bytes, if known."""
        upload_id = short_id(32)
        path = self._folder / f"{upload_id}.part"
        path.touch()
        session = UploadSession(upload_id, path, file_id, display_name, mime, announced)
        self._sessions[upload_id] = session
        return session

    def find(self, upload_id: str) -> UploadSession | None:
        """The upload, or None if it is unknown."""
        return self._sessions.get(upload_id)

    def abandon(self, session: UploadSession) -> None:
        """Drop an upload and what has arrived of it."""
        self._sessions.pop(session.id, None)
        session.path.unlink(missing_ok=True)

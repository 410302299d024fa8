"""The record that `vlures fetch` leaves beside the data: source, revision and licence."""

from __future__ import annotations

from pathlib import Path

import msgspec

from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, read_file

FETCHED_FILE = "vlures-fetch.json"
LARGEST_BYTES = 100_000


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset from a hub."""

    repository: str
    revision: str
    """Its commit."""
    licence: str | None
    """As its card states it."""
    confirmed: str
    """When the user agreed to the licence (ISO 8601, UTC)."""
    endpoint: str
    files: int
    size_bytes: int
    complete: bool
    """Every file had its checksum when this was written."""

    @property
    def described(self) -> dict[str, str | None]:
        """Its entry in run.json."""
        return {"repository": self.repository, "revision": self.revision, "licence": self.licence}


def read_fetched(folder: Path) -> Fetched | None:
    """The record in exactly this folder; None if it was not fetched.

    Raises VluresError if it cannot be read.
    """
    path = folder / FETCHED_FILE
    try:
        if not path.exists():
            return None
        data = read_file(path, LARGEST_BYTES)
    except (OSError, UnusableFile) as error:
        raise VluresError(f"{path} {error}; remove it and fetch again, which keeps what is there.") from error
    try:
        return msgspec.json.decode(data, type=Fetched)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise VluresError(
            f"{path} is not what `vlures fetch` wrote there ({error}); remove it and fetch again, which keeps what is "
            "there."
        ) from error


def find_fetched(folder: Path) -> Fetched | None:
    """The record in the folder or in one of the two above it: datasets have their images in sub-folders."""
    for place in (folder, *folder.absolute().parents[:2]):
        if fetched := read_fetched(place):
            return fetched
    return None

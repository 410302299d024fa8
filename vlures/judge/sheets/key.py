"""The key of a set of sheets: which row of which sheet is which answer. It stays with the researcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from vlures.errors import VluresError
from vlures.files.reading import LARGEST_JSON_BYTES, UnusableFile, read_file
from vlures.files.writing import write_whole
from vlures.judge.sheets.arranging import Control
from vlures.records import Cell

KEY_FILE = "key.json"
KEY_FORMAT = "vlures key of sheets, 1"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A row of a sheet."""

    id: str
    run: str
    variant: str
    cell: Cell
    sample_id: str
    answer_digest: str
    """SHA-256 of the text that is rated."""
    image_digest: str
    shown_digest: str
    """Of the texts that the page shows, as digest_shown makes it."""
    cells_digest: str
    """Of the texts in the workbook's cells."""
    long: bool
    """Some of its text stands on the workbook's sheet of long texts."""
    control: Control | None
    third: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class KeySheet:
    """What one rater got in one language."""

    rater: str
    language: str | None
    """Of the answers."""
    rubric: str
    """Digest of the wording by which they are rated."""
    texts_digest: str
    """Of the workbook's sheet of long texts."""
    rows: Sequence[KeyRow]
    """In the order of the sheet."""


@dataclass(frozen=True, slots=True)
class Key:
    """Everything that brings scores back to their answers."""

    set: str
    """The name of the set."""
    time: str
    """When it was made, ISO 8601, UTC."""
    seed: int
    per_cell: int
    runs: Mapping[str, str]
    """Name → folder, as an absolute path."""
    sheets: Sequence[KeySheet]
    format: str = KEY_FORMAT
    keep: str = "This file says which model gave which answer. Keep it; never hand it out with the sheets."


def write_key(path: Path, key: Key) -> None:
    """Raises NotWritable."""
    write_whole(path, msgspec.json.format(msgspec.json.encode(key), indent=1).decode() + "\n")


def read_key(path: Path) -> Key:
    """Raises VluresError for a file that is no key."""
    try:
        key = msgspec.json.decode(read_file(path, LARGEST_JSON_BYTES), type=Key)
    except UnusableFile as error:
        raise VluresError(f"The key {path} {error}; name the key.json of this set of sheets with --key.") from error
    except msgspec.MsgspecError as error:
        raise VluresError(
            f"{path} is no key of sheets ({error}); name the key.json that `vlures sheets out` wrote with --key."
        ) from error
    if key.format != KEY_FORMAT:
        raise VluresError(f"{path} is a key of another version of vlures ({key.format!r}); use that version.")
    return key

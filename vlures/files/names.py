"""Names of folders and files: a single folder on every system, never one that leads elsewhere; paths as texts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

LONGEST_NAME = 100
LONGEST_NAME_BYTES = 180
"""In UTF-8. File systems allow 255; a results file's name has 45 more than its run's name, a rehearsal's folder 8."""

_NAME = re.compile(rf"\w[\w.-]{{0,{LONGEST_NAME - 1}}}")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
"""Devices on Windows, with any ending:
https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file#naming-conventions"""


def name_after_model(model: str) -> str | None:
    """A folder's name made of a model's name, always the same; None if nothing of it is usable."""
    name = re.sub(r"[^\w.-]+", "-", model).lstrip(".")[:LONGEST_NAME]
    name = name.encode()[:LONGEST_NAME_BYTES].decode(errors="ignore").rstrip(".")
    if not re.search(r"\w", name):
        return None
    return f"model-{name}" if _RESERVED.fullmatch(name) else name


def refuse_name(name: str) -> str | None:
    """Why a name that the user gave cannot be a folder's, as the end of a sentence; None if it can."""
    if not _NAME.fullmatch(name):
        return (
            "a name begins with a letter or digit, goes on with letters, digits, '.', '_' and '-', and has at most "
            f"{LONGEST_NAME} of them"
        )
    if len(name.encode(errors="replace")) > LONGEST_NAME_BYTES:
        return f"it has more than {LONGEST_NAME_BYTES} bytes; take a shorter one"
    if name.endswith("."):
        return "some systems drop the '.' at its end; leave it out"
    if _RESERVED.fullmatch(name):
        return "that is a device on Windows, not a folder; take another"
    return None


def path_as_text(path: Path) -> str:
    """A file's path; bytes of its name that are not UTF-8, as in old archives, become replacement characters."""
    return path.as_posix().encode(errors="surrogateescape").decode(errors="replace")


def as_read(name: str) -> str:
    """A name as a person reads it: in the normal form NFC. A Mac takes names apart (NFD): `ガ` becomes `カ` and a
    mark."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def find_as_read(name: str, names: Iterable[str]) -> str | None:
    """The one of these names that is this one, or else the only one that reads like it; None if none or several do."""
    names = list(names)
    if name in names:
        return name
    alike = [other for other in names if as_read(other) == as_read(name)]
    return alike[0] if len(alike) == 1 else None

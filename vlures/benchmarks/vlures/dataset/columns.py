"""Which of a table's columns is which: by name or, where names are unclear, by --columns."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlures.benchmarks.vlures.samples import COLUMN_ROLES
from vlures.errors import UsageError
from vlures.files.names import as_read, find_as_read

ChosenColumns = tuple[tuple[str, str], ...]
"""Role and column, as the user gave them; an empty column name means that there is none."""

SYNONYMS: dict[str, tuple[str, ...]] = {
    "file": (
        "file_name",
        "filename",
        "file",
        "file_path",
        "image",
        "image_name",
        "image_file",
        "image_file_name",
        "image_filename",
        "image_path",
        "img",
        "picture",
        "path",
    ),
    "text": ("text", "long_text", "longtext", "article", "article_text", "full_text", "body", "content", "passage"),
    "language": ("language", "lang", "language_code", "lang_code", "language_name", "locale"),
    "id": ("id", "sample_id", "image_id"),
}
"""Names of each column; case, blanks and hyphens make no difference."""

HUB_FILE_COLUMN = "file_name"
"""The Hub fixes this name for the file in a folder of images
(https://huggingface.co/docs/datasets/image_dataset#imagefolder), so it takes precedence."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A table's columns by role; None where it has none."""

    file: str
    text: str | None
    language: str | None
    id: str | None
    id_first: bool = False
    """The user named the ID column, so it takes precedence over the numbers in file names."""

    def __str__(self) -> str:
        roles = [f"{role} from `{name}`" for role in COLUMN_ROLES if (name := getattr(self, role))]
        missing = [f"no {role}" for role in ("text", "language") if not getattr(self, role)]
        return ", ".join(roles + missing)


def find_columns(table: Path, names: Sequence[str], choices: ChosenColumns) -> Columns:
    """Settle which column is which.

    Raises UsageError, listing the columns, where none or several could be the file name or the text.
    """
    chosen = dict(choices)
    doubled = {name for name, times in Counter(names).items() if times > 1}
    found: dict[str, str | None] = {}
    for role in COLUMN_ROLES:
        if role in chosen:
            found[role] = _take_chosen(table, names, role, chosen[role])
        else:
            found[role] = _find_by_name(table, names, role)
        if found[role] in doubled:
            raise UsageError(f"{table} has the column {found[role]!r} more than once; give each its own name.")
    file = found["file"]
    if not file:
        raise UsageError(f"{table}: no column is named like a column of file names. {_ask('file', names)}")
    if not found["text"] and "text" not in chosen:
        raise UsageError(
            f"{table}: no column is named like a column of texts. {_ask('text', names)} If there is none: --columns "
            "text="
        )
    named = [name for name in found.values() if name]
    if len(set(named)) < len(named):
        raise UsageError(f"--columns: one column of {table} cannot have two roles; it has {_list(names)}.")
    return Columns(file, found["text"], found["language"], found["id"], id_first=bool(chosen.get("id")))


def _take_chosen(table: Path, names: Sequence[str], role: str, name: str) -> str | None:
    if not name:
        return None
    alike = find_as_read(name, names)
    if alike is None:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else f"; it has {_list(names)}."
        raise UsageError(f"--columns {role}={name}: {table} has no such column{hint}")
    return alike


def _find_by_name(table: Path, names: Sequence[str], role: str) -> str | None:
    fitting = list(dict.fromkeys(name for name in names if _plain(name) in SYNONYMS[role]))
    if role == "file" and HUB_FILE_COLUMN in fitting:
        return HUB_FILE_COLUMN
    if len(fitting) > 1:
        raise UsageError(
            f"{table}: the {role} could be any of {', '.join(map(repr, fitting))}; say which: --columns "
            f"{role}={fitting[0]}"
        )
    return fitting[0] if fitting else None


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", as_read(name).strip().lower())


def _ask(role: str, names: Sequence[str]) -> str:
    return f"It has {_list(names)}; say which one: --columns {role}=NAME."


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:100]) for name in names[:20])
    return f"the columns {shown}{' …' if len(names) > 20 else ''}" if names else "no columns"

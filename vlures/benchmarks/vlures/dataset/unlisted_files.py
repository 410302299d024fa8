"""Files beside a table that it does not list. Works on names only: no image is opened and no text read."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from vlures.benchmarks.problems import MOST_OF_A_KIND, Problem
from vlures.benchmarks.vlures.dataset.layouts import list_folder
from vlures.benchmarks.vlures.dataset.pairs import TEXT_SUFFIXES, numeric_id
from vlures.errors import VluresError
from vlures.images import IMAGE_SUFFIXES

IMAGE_FOLDERS = ("images", "train", "train/images")
"""Folders, relative to the table, in which an image may be if it is not where the table says."""


def refuse_texts_beside(table: Path) -> None:
    """Raises VluresError if texts with an ID lie beside a table: either could be the dataset.

    A LICENSE.txt has no ID, so it is ignored.
    """
    found = sorted(name for name in _names_in(table.parent, TEXT_SUFFIXES) if _has_id(name))
    if found:
        raise VluresError(
            f"{table.parent} has both {table.name} and texts as files "
            f"({', '.join(found[:4])}{' …' if len(found) > 4 else ''}); name the table itself with --dataset {table}, "
            "or move one of the two away."
        )


def name_key(file: str) -> int:
    """A number for a file's name that is the same for `x.png` and `./x.png`, and holds in this process only."""
    return hash(PurePosixPath(file))


def find_unnamed_images(table: Path, named: array[int], is_chosen: bool) -> tuple[Problem, ...]:
    """The images where a table's may be that none of its rows names, in whatever language, as one problem or none.

    named: the name_key of each row's file. is_chosen: the user named this table, maybe one of several over these
    images, so that others are no error.
    """
    keys = sorted(named)
    unnamed = [
        str(path)
        for place in ("", *IMAGE_FOLDERS)
        for name in _names_in(table.parent / place, IMAGE_SUFFIXES)
        if not _is_named(path := PurePosixPath(place, name), keys)
    ]
    if not unnamed:
        return ()
    number = len(unnamed)
    reason = f"{number:,} image{'' if number == 1 else 's'} that no row of {table.name} names"
    return (Problem("note" if is_chosen else "error", tuple(sorted(unnamed)[:MOST_OF_A_KIND]), reason, times=number),)


def _is_named(path: PurePosixPath, keys: Sequence[int]) -> bool:
    """Whether a row has it by its whole path, or by a part of it that is looked for in IMAGE_FOLDERS."""
    for start in range(len(path.parts)):
        key = hash(PurePosixPath(*path.parts[start:]))
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            return True
    return False


def _names_in(folder: Path, suffixes: frozenset[str]) -> Iterator[str]:
    for path in list_folder(folder) if folder.is_dir() else ():
        if not path.name.startswith(".") and path.suffix.lower() in suffixes:
            yield path.name


def _has_id(name: str) -> bool:
    try:
        numeric_id(PurePosixPath(name).stem)
    except VluresError:
        return False
    return True

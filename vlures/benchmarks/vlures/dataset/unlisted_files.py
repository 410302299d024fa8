"""Files beside a table, or beside folders of languages, that nothing takes. No image is read, and no text."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from vlures.benchmarks.left_files import find_left_files
from vlures.benchmarks.problems import MOST_OF_A_KIND, Problem, Severity
from vlures.benchmarks.vlures.dataset.fetched import FETCHED_FILE
from vlures.benchmarks.vlures.dataset.language_names import find_folder_language
from vlures.benchmarks.vlures.dataset.layouts import list_folder
from vlures.benchmarks.vlures.dataset.pairs import TEXT_SUFFIXES, list_suffixes, numeric_id
from vlures.errors import VluresError
from vlures.files.bounds import Bounds
from vlures.files.named_files import with_slashes
from vlures.files.names import as_read
from vlures.images import IMAGE_SUFFIXES

IMAGE_FOLDERS = ("images", "train", "train/images")
"""Folders, relative to the table, in which an image may be if it is not where the table says."""


def refuse_texts_beside(table: Path) -> None:
    """Raises VluresError if texts with an ID lie beside a table: either could be the dataset.

    A LICENSE.txt has no ID, so it is ignored.
    """
    names = (path.name for path in list_folder(table.parent) if path.suffix.lower() in TEXT_SUFFIXES)
    found = sorted(name for name in names if _has_id(name) and not name.startswith("."))
    if found:
        raise VluresError(
            f"{table.parent} has both {table.name} and texts as files "
            f"({', '.join(found[:4])}{' …' if len(found) > 4 else ''}); name the table itself with --dataset {table}, "
            "or move one of the two away."
        )


def name_key(file: str) -> int:
    """A number for a file's name that is the same for `x.png`, `./x.png` and all that reads like it, and holds in this
    process only."""
    return _key(PurePosixPath(with_slashes(file)))


def _key(path: PurePosixPath) -> int:
    return hash(as_read(str(path)))


def find_unnamed_files(
    table: Path, folder: Path, named: array[int], bounds: Bounds, *, is_chosen: bool
) -> tuple[Problem, ...]:
    """Problems about the files where a table's images may be, and in the dataset's folder, that none of its rows names,
    in whatever language: one for all images, and one for each that is of a kind that is not sent.

    named: the name_key of each row's file. is_chosen: the user named this table, maybe one of several over these
    images, so that others are no error.
    """
    keys = sorted(named)
    severity: Severity = "note" if is_chosen else "error"
    images: list[Path] = []
    others: list[Path] = []
    for path in _list_places(table, folder):
        if path in (table, folder / FETCHED_FILE) or path.is_dir():
            continue
        root = table.parent if path.is_relative_to(table.parent) else folder
        if _is_named(PurePosixPath(path.relative_to(root).as_posix()), keys):
            continue
        (images if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") else others).append(path)
    expected = f"no row of {table.name} names it, nor is it an image ({list_suffixes(IMAGE_SUFFIXES)})"
    left = find_left_files(others, bounds, folder, expected, lambda _: severity)
    return (*_describe_unnamed(images, table, folder, severity), *left)


def find_unread_folders(table: Path, folder: Path, read: Collection[Path]) -> tuple[Problem, ...]:
    """A note about the folders from which no image was read. read: those from which one was."""
    left = (path for path in _list_places(table, folder) if path.is_dir() and path not in read)
    return find_left_files(left, Bounds(folder), folder, "", lambda _: "note")


def _describe_unnamed(images: Sequence[Path], table: Path, folder: Path, severity: Severity) -> Iterator[Problem]:
    if images:
        names = sorted(path.relative_to(folder).as_posix() for path in images)[:MOST_OF_A_KIND]
        reason = f"{len(images):,} image{'' if len(images) == 1 else 's'} that no row of {table.name} names"
        yield Problem(severity, tuple(names), reason, times=len(images))


def _list_places(table: Path, folder: Path) -> Iterator[Path]:
    """What is in the folders where images may be and in the dataset's own, without those folders."""
    places = [folder, *(table.parent / place for place in ("", *IMAGE_FOLDERS))]
    for place in dict.fromkeys(places):
        if place.is_dir():
            yield from (path for path in list_folder(place) if path not in places)


def _is_named(path: PurePosixPath, keys: Sequence[int]) -> bool:
    """Whether a row has it by its whole path, or by a part of it that is looked for in IMAGE_FOLDERS."""
    for start in range(len(path.parts)):
        key = _key(PurePosixPath(*path.parts[start:]))
        at = bisect_left(keys, key)
        if at < len(keys) and keys[at] == key:
            return True
    return False


def find_files_beside(folder: Path, bounds: Bounds) -> tuple[Problem, ...]:
    """Problems about what lies beside the folders of languages."""
    beside = (path for path in list_folder(folder) if not (path.is_dir() and find_folder_language(path.name)))
    expected = "only the folders of languages are read"
    found = find_left_files((path for path in beside if path.name != FETCHED_FILE), bounds, folder, expected, _as_error)
    return tuple(replace(problem, folder=folder) for problem in found)


def _as_error(path: Path) -> Severity:  # noqa: ARG001 (whichever it is)
    return "error"


def _has_id(name: str) -> bool:
    try:
        numeric_id(PurePosixPath(name).stem)
    except VluresError:
        return False
    return True

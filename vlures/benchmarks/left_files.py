"""Files of a dataset's folder that are not taken, each with its reason, so that no sample is lost unseen."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from vlures.benchmarks.problems import MOST_OF_A_KIND, Problem, ProblemList, Severity
from vlures.errors import VluresError
from vlures.files.bounds import Bounds
from vlures.files.reading import open_file
from vlures.files.signatures import (
    IS_LFS_POINTER,
    LONGEST_HEAD,
    FileKind,
    describe_foreign,
    find_kind,
    find_kind_by_name,
    is_lfs_pointer,
)

KINDS = {"image": "images that are not taken"}


def find_left_files(
    paths: Iterable[Path],
    bounds: Bounds,
    place: Path,
    expected: str,
    severity_of: Callable[[Path], Severity],
) -> tuple[Problem, ...]:
    """Problems about files and folders that are not taken.

    paths: those that are not taken. bounds: links that lead out of it are not opened. place: names are relative to it.
    expected: what a file would have to be, as the end of a sentence. severity_of: of an image that is not taken.
    """
    images = ProblemList(KINDS)
    hidden, folders, others = [], [], []
    for path in sorted(paths):
        name = path.relative_to(place).as_posix()
        if path.name.startswith("."):
            hidden.append(name)
        elif path.is_dir():
            folders.append(name)
        elif reason := _describe_image(path, bounds):
            images.add("image", (name,), reason, severity_of(path))
        else:
            others.append(name)
    return (
        *images.problems(place.name),
        *note_files(others, f"not taken: {expected}"),
        *note_files(folders, "not read: a folder"),
        *note_files(hidden, "not read: its name begins with a dot"),
    )


def _describe_image(path: Path, bounds: Bounds) -> str | None:
    """Why a file that is an image, by its name or its bytes, is not taken; None for another."""
    by_name = find_kind_by_name(path)
    try:
        bounds.check(path)
        with open_file(path) as file:
            head = file.read(LONGEST_HEAD)
    except (VluresError, OSError) as error:
        return str(error) if by_name is not None else None
    if by_name is not None and is_lfs_pointer(head):
        return IS_LFS_POINTER
    kind = find_kind(head)
    if kind is not None and kind.is_sent:
        return _ask_to_rename(path, kind)
    if by_name is not None and not head:
        return "is empty (0 bytes)"
    foreign = kind if kind is not None and kind.is_image else by_name
    return describe_foreign(foreign, path) if foreign is not None else None


def _ask_to_rename(path: Path, kind: FileKind) -> str:
    named = path.with_suffix(kind.endings[0]).name if len(path.suffix) <= 5 else path.name + kind.endings[0]
    command = f"mv {shlex.quote(path.name)} {shlex.quote(named)}"
    return f"is {kind.name}, but its name does not end like one; rename it (`{command}`)"


def note_files(names: Sequence[str], reason: str) -> Iterable[Problem]:
    """At most one note about all of these files."""
    if len(names) > MOST_OF_A_KIND:
        reason = f"and {len(names) - MOST_OF_A_KIND:,} more, {reason}"
    return [Problem("note", tuple(names[:MOST_OF_A_KIND]), reason, times=len(names))] if names else []

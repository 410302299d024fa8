"""Removing rehearsals, and telling what that would free."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path, PurePath

from vlures.errors import VluresError
from vlures.runs.rehearsal_files import STATE_FOLDER
from vlures.runs.rehearsals import Kept, Piece, Rehearsal, examine
from vlures.runs.table_text import align
from vlures.sandbox.state_files import LOCK_FILE
from vlures.store.lock import hold_folder

ADVICE = "wait for it, or stop it, then clean"
SMALLEST_IN_MB = 50_000
SANDBOX_ENDS_S = 5.0
"""How long the sandbox of a run that was killed may take to end."""


def tabulate_rehearsals(rehearsals: Sequence[Rehearsal]) -> str:
    """A line for each rehearsal."""
    headers = ["rehearsal", "last run (UTC)", "answers", "the run", "sandbox state", "frees"]
    rows = (
        [
            found.folder,
            f"{datetime.fromisoformat(found.last_run):%Y-%m-%d %H:%M}" if found.last_run else "–",
            found.answers,
            describe_size(found.size_bytes - (found.state_bytes or 0)),
            "–" if found.state_bytes is None else describe_size(found.state_bytes),
            describe_size(found.size_bytes),
        ]
        for found in rehearsals
    )
    return align(headers, rows, texts=2)


def describe_size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB" if size_bytes >= SMALLEST_IN_MB else f"{size_bytes / 1e3:,.1f} kB"


def describe_others(found: Rehearsal) -> str:
    """What is kept in a rehearsal's folder; empty if nothing is."""
    if not found.others:
        return ""
    named = ", ".join(map(str, found.others))
    return f"{found.folder} also has what vlures did not write, and that is kept: {named}"


def remove(folder: Path, say: Callable[[str], None]) -> Rehearsal | Kept:
    """Remove a rehearsal; returns what it was, or why it is kept.

    Raises VluresError if another process holds it, and if something of it cannot be removed: what is left is still a
    rehearsal then, as it is after a kill.
    """
    found = examine(folder)
    if isinstance(found, Kept):
        return found
    with hold_folder(folder, ADVICE, say), _hold_state(folder / STATE_FOLDER):
        found = examine(folder)  # again, now that nobody else writes
        if isinstance(found, Rehearsal):
            _remove_found(found)
    return found


@contextmanager
def _hold_state(state: Path) -> Iterator[None]:
    """Hold the sandbox's state. Raises VluresError if a sandbox is using it."""
    if state.is_symlink() or not state.is_dir():
        yield
        return
    from filelock import FileLock, Timeout

    lock = FileLock(state / LOCK_FILE, timeout=SANDBOX_ENDS_S)
    try:
        lock.acquire()
    except Timeout:
        raise VluresError(f"{state} is in use by a sandbox; stop it, then clean.") from None
    except OSError as error:
        raise _not_removable(state / LOCK_FILE, state.parent, error) from error
    try:
        yield
    finally:
        lock.release()


def _remove_found(found: Rehearsal) -> None:
    kept = {parent for path in found.others for parent in path.parents}
    for piece in (*found.ours, Piece(PurePath(), is_folder=True)):
        path = found.folder / piece.path
        try:
            if not piece.is_folder:
                path.unlink(missing_ok=True)
            elif piece.path not in kept:
                path.rmdir()
        except OSError as error:
            raise _not_removable(path, found.folder, error) from error


def _not_removable(path: Path, folder: Path, error: OSError) -> VluresError:
    return VluresError(
        f"{path} cannot be removed ({error.strerror}), so the rest of {folder} is still there; correct that, then "
        f"`vlures clean --yes {folder}` removes it."
    )

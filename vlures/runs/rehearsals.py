"""Which output folders are rehearsals that may be removed: a sandbox gave all that is in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import urlsplit

import msgspec

from vlures.backends.batch.accounts import SANDBOX_ACCOUNT
from vlures.benchmarks import find_stored_variants
from vlures.config.route import is_this_machine
from vlures.errors import VluresError, counted
from vlures.records import FINAL_STATUSES, Job
from vlures.results.files import results_folder
from vlures.results.rehearsal import holds_sandbox_answers, is_rehearsal
from vlures.runs.rehearsal_files import JOBS_FILE, LOCKS, RUN_FILE, STATE_FOLDER, Layout
from vlures.sandbox.answers.phrases import bears_mark
from vlures.sandbox.state_files import LEDGER_FILE
from vlures.store.checkpoints import CheckpointStore
from vlures.store.rescue import find_rescued


@dataclass(frozen=True, slots=True)
class Piece:
    """A file or folder that vlures wrote."""

    path: PurePath
    """Below the rehearsal's folder."""
    is_folder: bool
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal that may be removed."""

    folder: Path
    last_run: str | None
    """ISO 8601, UTC."""
    answers: int
    ours: tuple[Piece, ...]
    """In the order in which they are to be removed."""
    others: tuple[PurePath, ...]
    """What vlures does not recognise, links included: it is kept. Paths below the folder."""

    @property
    def state_bytes(self) -> int | None:
        """Of its sandbox's state; None if that is elsewhere."""
        sizes = [piece.size_bytes for piece in self.ours if piece.path.parts[0] == STATE_FOLDER]
        return sum(sizes) if sizes else None

    @property
    def size_bytes(self) -> int:
        """Of all that would be removed."""
        return sum(piece.size_bytes for piece in self.ours)


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder that is not removed."""

    folder: Path
    reason: str
    """The end of a sentence that begins with the folder."""
    seems_rehearsal: bool = True
    """Whether one would expect it among the rehearsals."""


def examine(folder: Path) -> Rehearsal | Kept:
    """What `vlures clean` may do with an output folder. Reads only, and follows no link out of it.

    Raises VluresError where a folder cannot be read.
    """
    try:
        if folder.is_symlink():
            return Kept(folder, "is a link, which is not followed", seems_rehearsal=False)
        linked = [path for path in sorted(folder.glob("checkpoints_*")) if path.is_symlink()]
        if linked:
            return Kept(folder, f"has a link among its checkpoints ({linked[0].name}), which is not followed")
        stores = [CheckpointStore(folder, variant, writable=False) for _, variant in find_stored_variants(folder)]
        objection = None if not stores and _is_remainder(folder) else _find_objection(folder, stores)
        return objection or _take_stock(folder, stores)
    except OSError as error:
        raise VluresError(
            f"{error.filename or folder} cannot be read ({error.strerror}); correct its permissions, or name other "
            "rehearsals."
        ) from error
    except VluresError as error:  # a file of the run is unreadable, or of a later version
        return Kept(folder, f"cannot be judged: {error}")


def _is_remainder(folder: Path) -> bool:
    """Whether a removal that was killed left nothing but the locks."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return bool(names) and names <= set(LOCKS)


def _find_objection(folder: Path, stores: Sequence[CheckpointStore]) -> Kept | None:
    """Why a folder is not to be removed; None for a rehearsal that holds nothing else."""
    begun = [store for store in stores if store.read_json(RUN_FILE) or store.cells or store.jobs]
    rehearsed = [store for store in begun if is_rehearsal(store)]
    if not rehearsed:
        reason = "is a run that no sandbox answered" if begun else "holds no run"
        return Kept(folder, reason, seems_rehearsal=False)
    if len(rehearsed) < len(begun):
        other = next(store for store in begun if store not in rehearsed)
        return Kept(folder, f"also holds a run that no sandbox answered ({other.folder.name})")
    stored = {path.name for path in folder.glob("checkpoints_*") if path.is_dir()}
    if unknown := sorted(stored - {store.folder.name for store in stores}):
        return Kept(folder, f"also holds checkpoints that this version does not know ({unknown[0]})")
    for store in stores:
        if foreign := next((job for job in store.jobs if not is_sandbox_job(job, store)), None):
            account = foreign.account or "an account that is not recorded"
            return Kept(folder, f"also holds a batch of {account} ({foreign.batch_id or foreign.tag})")
        if rescued := find_rescued(store.folder):
            return Kept(folder, f"has answers that a failing disk left in {rescued[0]}; run it again to take them in")
    if unproven := sum(map(_count_unproven, stores)):
        what = counted(unproven, "answer", "is", "are")
        return Kept(folder, f"holds answers that may be a model's: {what} without a sandbox's mark, nor in its ledger")
    return None


def is_sandbox_job(job: Job, store: CheckpointStore) -> bool:
    """Whether a sandbox has a job's batch, or nobody has. Version 0.1 recorded no account."""
    if job.batch_id is None and job.state != "creating":
        return True
    if job.account is None:
        return job.state in ("collected", "dropped")
    named = urlsplit(job.account.partition(" ")[0]).hostname or ""
    return job.account == SANDBOX_ACCOUNT or (holds_sandbox_answers(store) and is_this_machine(named))


class _Usage(msgspec.Struct):
    output_tokens: float | None = None


class _Line(msgspec.Struct):
    """What of a checkpoint's line tells whose answer it is."""

    status: str
    text: str | None = None
    usage: _Usage | None = None


class _LedgerEntry(msgspec.Struct):
    said: str = ""


def _count_unproven(store: CheckpointStore) -> int:
    """Answers of which nothing says that a sandbox gave them, displaced ones included."""
    unmarked = [line.text or "" for line in _read_lines(store) if _needs_proof(line)]
    if not unmarked:
        return 0
    said = _read_ledger(store.folder.parent / STATE_FOLDER / LEDGER_FILE)
    return sum(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() not in said for text in unmarked)


def _needs_proof(line: _Line) -> bool:
    if line.status not in FINAL_STATUSES:
        return False
    if line.text:
        return not bears_mark(line.text)
    # A prompt that was blocked was not answered, nor paid for.
    return line.status != "refused" or bool(line.usage and line.usage.output_tokens)


def _read_lines(store: CheckpointStore) -> Iterator[_Line]:
    decode = msgspec.json.Decoder(_Line).decode
    for path in sorted(store.folder.glob("*.jsonl")):
        if store.variant.cell_of(path.name) is None:
            continue
        with path.open("rb") as file:
            for line in file:
                try:
                    yield decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue  # half a line, or one that never counted: the store has read all others


def _read_ledger(path: Path) -> set[str]:
    """The digests of what a sandbox said."""
    if path.is_symlink() or not path.is_file():
        return set()
    decode = msgspec.json.Decoder(_LedgerEntry).decode
    with path.open("rb") as file:
        return {decode(line).said for line in file if line.endswith(b"\n")}


def _take_stock(folder: Path, stores: Sequence[CheckpointStore]) -> Rehearsal:
    layout = _lay_out(folder, stores)
    ours: list[Piece] = []
    others: list[PurePath] = []
    _walk(folder, PurePath(), layout, ours, others)

    def order(piece: Piece) -> tuple[int, bool, int, PurePath]:
        step = layout.removal_step(piece.path, is_folder=piece.is_folder)
        return step, piece.is_folder, -len(piece.path.parts), piece.path  # a folder after what is in it

    entries = [entry for store in stores for cell in store.cells for entry in store.entries(cell).values()]
    return Rehearsal(
        folder,
        max((str(time) for store in stores if (time := store.read_json(RUN_FILE).get("time"))), default=None),
        sum(entry.status in FINAL_STATUSES for entry in entries),
        tuple(sorted(ours, key=order)),
        tuple(sorted(others)),
    )


def _lay_out(folder: Path, stores: Sequence[CheckpointStore]) -> Layout:
    name = folder.resolve().name
    return Layout(
        name,
        {
            store.folder.name: {path.name for path in store.folder.glob("*.jsonl") if store.variant.cell_of(path.name)}
            for store in stores
        },
        {
            results_folder(folder, store.variant).name: {store.variant.results_file(cell, name) for cell in store.cells}
            for store in stores
        },
        {store.folder.name: JOBS_FILE if holds_sandbox_answers(store) else RUN_FILE for store in stores},
    )


def _walk(root: Path, below: PurePath, layout: Layout, ours: list[Piece], others: list[PurePath]) -> None:
    """Sort what is in a folder. Links are not followed, nor are folders entered that are not ours."""
    with os.scandir(root / below) as entries:
        for entry in entries:
            path = below / entry.name
            if entry.is_dir(follow_symlinks=False) and layout.is_folder_of_ours(path):
                ours.append(Piece(path, is_folder=True))
                _walk(root, path, layout, ours, others)
            elif entry.is_file(follow_symlinks=False) and layout.is_file_of_ours(path):
                ours.append(Piece(path, False, entry.stat(follow_symlinks=False).st_size))
            else:
                others.append(path)

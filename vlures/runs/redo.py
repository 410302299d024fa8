"""Asking answered requests again (`--redo`, `--stale redo`): marked once, remembered until the run is complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from vlures.records import Cell
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now

REDO_FILE = "redo.json"


def sizes_when_redo_began(store: CheckpointStore) -> Mapping[str, int]:
    """Checkpoint file → its size in bytes when an unfinished redo began; empty if there is none."""
    sizes: Mapping[str, int] = store.read_json(REDO_FILE).get("sizes", {})
    return sizes


def mark_asked_again(store: CheckpointStore, asked_again: Iterable[tuple[Cell, str, str]]) -> None:
    """Make answered requests due. The sizes of the checkpoints are kept until the run is complete, so that an
    interrupted redo continues and asks nothing a third time.

    asked_again: cell, sample ID, reason.
    """
    marked = list(asked_again)
    if not marked:
        return
    if not store.read_json(REDO_FILE):
        paths = [store.checkpoint_path(cell) for cell in store.cells]
        store.write_json(REDO_FILE, {"time": now(), "sizes": {path.name: path.stat().st_size for path in paths}})
    for cell, sample_id, why in marked:
        store.ask_again(cell, sample_id, why)


def end_redo(store: CheckpointStore) -> None:
    """The run is complete: the next --redo is a new one."""
    (store.folder / REDO_FILE).unlink(missing_ok=True)

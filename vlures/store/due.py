"""What a run still lacks, judged by its folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vlures.errors import VluresError
from vlures.records import FINAL_STATUSES, Cell
from vlures.store.cell_state import Entry
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import parse_key


def is_due(entry: Entry | None) -> bool:
    """Whether a request with this standing response must be sent."""
    return entry is None or entry.due or entry.status not in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Left:
    """Requests of a cell without an answer."""

    in_flight: int
    """Those in open batches."""
    due: int


def count_left(store: CheckpointStore) -> dict[Cell, Left]:
    """What every cell of a run still lacks: the last run's planned requests against the answers since."""
    planned: dict[str, Any] = store.read_json("run.json").get("planned", {})
    if unknown := [name for name in planned if not store.variant.is_cell(name)]:
        raise VluresError(
            f"{store.folder / 'run.json'} cannot be read (`planned` names {unknown[0]!r}, which is not a cell); move "
            "it aside and run again."
        )
    # Answers outside of the last run's selection are counted separately.
    wanted = {Cell(name): counts.get("requests", 0) + counts.get("outside", 0) for name, counts in planned.items()}
    in_flight: dict[Cell, set[str]] = {}
    for job in store.open_jobs():
        for key in job.requests:
            cell, sample_id = parse_key(key, store.variant)
            in_flight.setdefault(cell, set()).add(sample_id)
    left = {}
    for cell in {*store.cells, *wanted, *in_flight}:
        entries, flying = store.entries(cell), in_flight.get(cell, set())
        again = {sample_id for sample_id, entry in entries.items() if is_due(entry)}
        asked = len(entries) + len(flying - entries.keys())
        left[cell] = Left(len(flying), len(again - flying) + max(0, wanted.get(cell, 0) - asked))
    return left

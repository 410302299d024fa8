"""Answers whose text is no answer to the benchmark, such as a judgement that is not the JSON that was asked for.

Each is stored as it came, since it was paid for, and its request is marked to be asked again.
"""

from __future__ import annotations

from vlures.benchmarks import Benchmark
from vlures.records import Cell
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import parse_key

FAULTY = "invalid"
"""The code of the failure that such an answer counts as."""


def mark_faulty(store: CheckpointStore, key: str, fault: str) -> None:
    """Make the request of a stored answer due, unless it is already."""
    _mark(store, *parse_key(key, store.variant), fault)


def mark_all_faulty(benchmark: Benchmark, store: CheckpointStore) -> None:
    """The same for all stored answers: a process may have died between an answer and its mark."""
    find_fault = benchmark.find_fault
    if find_fault is None:
        return
    for cell in store.cells:
        for sample_id, line in store.responses(cell):
            if line["status"] == "ok" and (fault := find_fault(line.get("text") or "")) is not None:
                _mark(store, cell, sample_id, fault)


def _mark(store: CheckpointStore, cell: Cell, sample_id: str, fault: str) -> None:
    entry = store.entry(cell, sample_id)
    if entry is not None and entry.status == "ok" and not entry.due:
        store.ask_again(cell, sample_id, f"{FAULTY}: {fault}")

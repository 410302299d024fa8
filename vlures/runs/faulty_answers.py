"""Answers whose text is no answer to the benchmark, such as a judgement that is not the JSON that was asked for.

Each is stored as it came, since it was paid for, and its request is marked to be asked again.
"""

from __future__ import annotations

from contextlib import suppress

from vlures.benchmarks import Benchmark, FindFault
from vlures.benchmarks.faults import FAULTY, count_as
from vlures.files.writing import NotWritable
from vlures.records import Cell, Response
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import parse_key


def refuse_fault(store: CheckpointStore, find_fault: FindFault | None, response: Response) -> Response:
    """A stored response as it counts. Where its text is no answer to the benchmark, it counts as failed; the stored
    line keeps the text, which was paid for, and the request is due again."""
    counted = count_as(response, find_fault)
    if counted is not response:
        fault = find_fault(response.text or "") if find_fault is not None else None
        # A failing disk may have kept the answer in memory. The next run looks at all stored answers again.
        with suppress(NotWritable):
            _mark(store, *parse_key(response.key, store.variant), fault or "")
    return counted


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

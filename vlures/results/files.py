"""Writes a store's results files and summary, under the names that the original scripts gave them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from vlures.benchmarks import FindFault
from vlures.files.writing import NotWritable, write_whole
from vlures.pricing.costs import UNKNOWN, Account, Prices, add_up, rerun_costs
from vlures.records import STATUSES, Cell, Variant
from vlures.safety.control_characters import as_line
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import count_left
from vlures.store.same_answers import describe_same_answers, find_same_answers


def results_folder(output_folder: Path, variant: Variant) -> Path:
    return output_folder / f"results_{variant.label}"


def write_results(
    output_folder: Path,
    name: str,
    store: CheckpointStore,
    prices: Prices = UNKNOWN,
    find_fault: FindFault | None = None,
) -> dict[str, Any]:
    """Write every cell's answers ({"<id>": "<text>"}, in the order of the IDs) and the summary; returns the summary.

    Answers only: failed, refused and truncated responses are in the checkpoints and counted in the summary. The answers
    are synced to the disk before anything is written. find_fault: why a text is no answer (None: it is one); such
    a text counts as failed, and only its checkpoint has it. Without it, answers that are the same are found. Raises
    NotWritable.
    """
    store.guard()
    store.sync()
    try:
        return _write_results(output_folder, name, store, prices, find_fault)
    except NotWritable as fault:
        raise NotWritable(fault.path, fault.cause, "The answers are safe in the checkpoints. ") from fault


def _write_results(
    output_folder: Path,
    name: str,
    store: CheckpointStore,
    prices: Prices,
    find_fault: FindFault | None,
) -> dict[str, Any]:
    folder = results_folder(output_folder, store.variant)
    same_answers = {}
    for cell in store.cells:
        answers = {
            sample_id: response["text"] for sample_id, response in store.responses(cell) if response["status"] == "ok"
        }
        if find_fault is not None:  # answers of one form are easily the same
            answers = {sample_id: text for sample_id, text in answers.items() if find_fault(text or "") is None}
        elif same := find_same_answers(answers):
            same_answers[cell] = same
        path = folder / store.variant.results_file(cell, name)
        write_whole(path, json.dumps(answers, ensure_ascii=False, indent=2) + "\n")
    summary = summarise(name, store, prices, find_fault) | ({"same_answers": same_answers} if same_answers else {})
    write_whole(folder / "summary.json", json.dumps(summary, ensure_ascii=False, indent=2) + "\n")
    return summary


def describe_summary(summary: Mapping[str, Any], variant: Variant) -> Iterator[str]:
    """Sentences for the user about a summary.json: answers that are the same under several IDs, by cell."""
    for cell, groups in (summary.get("same_answers") or {}).items():
        yield as_line(f"{variant.title(cell)}: {describe_same_answers(groups)}.")


def summarise(
    name: str, store: CheckpointStore, prices: Prices = UNKNOWN, find_fault: FindFault | None = None
) -> dict[str, Any]:
    """Counts by status, tokens and cost in USD (by today's prices; null where unknown), in total and per cell; the
    number of imported answers, if any; the number of due requests, and their estimated cost. find_fault: as
    write_results has it.
    """
    cells = {}
    everything: Counter[str] = Counter()
    all_imported = 0
    account = Account.read(store, prices)
    due = dict.fromkeys(account.cells, 0) | {cell: left.due for cell, left in count_left(store).items()}
    rerun = rerun_costs(account, due, store.read_json("run.json").get("mode", "batch"))
    for cell in account.cells:
        counts = count_statuses(store, cell, find_fault)
        everything.update(counts)
        imported = count_imported(store, cell)
        all_imported += imported
        totals = store.totals(cell)
        cells[cell] = {
            "status": {status: counts[status] for status in STATUSES if counts[status]},
            **({"imported": imported} if imported else {}),
            "usage": {
                "input_tokens": totals.input_tokens,
                "output_tokens": totals.output_tokens,
                "cached_tokens": totals.cached_tokens,
                "thinking_tokens": totals.thinking_tokens,
            },
            "cost_usd": _round(account.spent_on(cell)),
            "due": due[cell],
            "rerun_usd": _round(rerun[cell]),
        }
    return {
        "name": name,
        "setting": store.variant.label,
        "status": {status: everything[status] for status in STATUSES if everything[status]},
        **({"imported": all_imported} if all_imported else {}),
        "cost_usd": _round(account.in_all()),
        "due": sum(due.values()),
        "rerun_usd": _round(add_up(rerun.values())),
        "cells": cells,
    }


def _round(amount: float | None) -> float | None:
    return None if amount is None else round(amount, 6)


def count_statuses(store: CheckpointStore, cell: Cell, find_fault: FindFault | None) -> Counter[str]:
    """How many samples of the cell have each status; failed, where find_fault says that a text is no answer."""
    counts = Counter(entry.status for entry in store.entries(cell).values())
    if find_fault is not None:
        texts = (line["text"] for _, line in store.responses(cell) if line["status"] == "ok")
        faulty = sum(find_fault(text or "") is not None for text in texts)
        counts["ok"] -= faulty
        counts["failed"] += faulty
    return counts


def count_imported(store: CheckpointStore, cell: Cell) -> int:
    """How many standing answers of the cell were imported from the original scripts."""
    return sum(entry.imported for entry in store.entries(cell).values())

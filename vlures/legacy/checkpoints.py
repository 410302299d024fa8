"""Imports the original scripts' checkpoints into a run's own, each file once.

Real texts become answers that are marked `imported`. Placeholders for a missing answer ("Error: …", null, "") do not,
and are due. No stored answer is ever replaced, and the original files stay unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlures.benchmarks import Benchmark
from vlures.benchmarks.vlures.settings import Setting, parse_cell
from vlures.errors import counted
from vlures.legacy.checkpoint_files import (
    OriginalCheckpoint,
    digest_bytes,
    find_checkpoints,
    parse_checkpoint,
    read_checkpoint_bytes,
)
from vlures.records import FINAL_STATUSES, Cell, Response
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key


@dataclass(slots=True)
class ImportCounts:
    """What an import of checkpoints has done."""

    files: int = 0
    """Found."""
    new: int = 0
    """Of these, not imported before."""
    answers: int = 0
    """Stored now."""
    is_whole: bool = True
    """All that the new files hold could be read."""


def import_checkpoints(store: CheckpointStore, folder: Path, say: Callable[[str], None]) -> ImportCounts:
    """Store the answers of the folder's checkpoints, each file once; only VLURes has any. say: called with every
    finding.

    A file is marked as imported once its answers are on the disk, so an interrupted import reads it again, and nothing
    is stored twice. Raises VluresError for a file that cannot be read at all.
    """
    counts = ImportCounts()
    if not isinstance(store.variant, Setting):
        return counts
    for path, cell in find_checkpoints(folder, say):
        data = read_checkpoint_bytes(path)
        known = _digests(store, path)
        counts.files += 1
        if digest_bytes(data) in known:
            continue
        original = parse_checkpoint(path, cell, data)
        if known:
            say(f"{path}: another file of this name was imported before; new answers in this one are added.")
        new = _find_new(store, original)
        for sample_id, text in new.items():
            key = request_key(cell, store.variant, sample_id)
            store.append(Response(key, "ok", text=text, attempts=0, imported=path.name))
        store.sync_all()
        store.remember(_fact(path), {"digests": [*known, original.digest]})
        _report(original, store, new, say, "imported")
        counts.new += 1
        counts.answers += len(new)
        counts.is_whole = counts.is_whole and original.is_whole
    return counts


def assume_checkpoints_imported(store: CheckpointStore, say: Callable[[str], None]) -> None:
    """Let a plan count the answers that the next run will import from the store's own folder. Writes nothing."""
    assumed: dict[Cell, set[str]] = {}
    if not isinstance(store.variant, Setting):
        return
    for path, cell in find_checkpoints(store.folder, say):
        data = read_checkpoint_bytes(path)
        if digest_bytes(data) not in _digests(store, path):
            original = parse_checkpoint(path, cell, data)
            new = _find_new(store, original)
            _report(original, store, new, say, "will be imported by the next run and count as answered here")
            assumed.setdefault(cell, set()).update(new)
    for cell, numbers in assumed.items():
        for number in numbers:
            store.assume_imported(cell, number)


def find_unknown_samples(benchmark: Benchmark, store: CheckpointStore) -> list[str]:
    """Keys of imported answers about samples that the datasets lack, where those were read completely."""
    from vlures.benchmarks.vlures.benchmark import VluresBenchmark  # `vlures status` reads no data

    if not isinstance(benchmark, VluresBenchmark):
        return []
    datasets = {code: dataset for code, dataset in benchmark.datasets.items() if not dataset.selection}
    known = {code: {str(sample.id) for sample in dataset.samples} for code, dataset in datasets.items()}
    languages = {cell: parse_cell(cell)[0] for cell in store.cells}
    return [
        request_key(cell, store.variant, sample_id)
        for cell, language in languages.items()
        if language in known
        for sample_id, entry in store.entries(cell).items()
        if entry.imported and sample_id not in known[language]
    ]


def find_pending_checkpoints(store: CheckpointStore) -> list[Path]:
    """The checkpoints in the store's own folder that are not imported yet."""
    if not isinstance(store.variant, Setting):
        return []
    found = find_checkpoints(store.folder, lambda _: None)
    return [path for path, _ in found if digest_bytes(read_checkpoint_bytes(path)) not in _digests(store, path)]


def _fact(path: Path) -> str:
    return f"imported {path.name}"


def _digests(store: CheckpointStore, path: Path) -> list[str]:
    """Of the imported files of this name."""
    return list(store.recall(_fact(path)).get("digests", []))


def _find_new(store: CheckpointStore, original: OriginalCheckpoint) -> dict[str, str]:
    return {number: text for number, text in original.answers.items() if not _is_answered(store, original.cell, number)}


def _is_answered(store: CheckpointStore, cell: Cell, sample_id: str) -> bool:
    """Whether the store has an answer, even one that will be asked again."""
    entry = store.entry(cell, sample_id)
    return entry is not None and entry.status in FINAL_STATUSES


def _report(
    original: OriginalCheckpoint, store: CheckpointStore, new: dict[str, str], say: Callable[[str], None], fate: str
) -> None:
    cell, path = original.cell, original.path
    parts = [f"{counted(len(new), 'answer')} {fate}"]
    kept = original.answers.keys() - new.keys()
    if kept:
        others = sum(
            response.get("text") != original.answers[number] for number, response in _stored(store, cell, kept)
        )
        parts.append(f"{len(kept):,} not, because the run has an answer already ({others:,} with another text)")
    if due := sum(not _is_answered(store, cell, number) for number in original.empty):
        parts.append(f"{due:,} with an error or no text are due")
    say(f"{path}: {'; '.join(parts)}.")
    for problem in original.problems:
        say(f"{path}: {problem}.")


def _stored(store: CheckpointStore, cell: Cell, wanted: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((number, response) for number, response in store.responses(cell) if number in wanted)

"""What runs hold for tables: the statuses of their answers, and what judges and people said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from vlures.benchmarks import OLD_RUNS, Dimension, require_stored_variants
from vlures.errors import counted
from vlures.files.names import path_as_text
from vlures.judge.answers import digest_text, refuse_judge
from vlures.judge.verdicts import CHANGED, Verdict, is_about, read_verdicts
from vlures.records import Cell
from vlures.results.rehearsal import is_rehearsal
from vlures.store.checkpoints import CheckpointStore

WHY_LEFT_OUT = "the answers that people or judges rated have changed since, or are gone"


class Place(NamedTuple):
    """A cell of a run, asked in one way."""

    run: str
    """The folder's name; its path where two have the same."""
    variant: str
    cell: Cell


@dataclass(frozen=True, slots=True)
class AskedCell:
    """What a run holds of a cell."""

    place: Place
    benchmark: str
    divided: Mapping[str, str]
    """Where it stands in each of the benchmark's dimensions."""
    statuses: Counter[str]
    """How many standing answers have each status."""


@dataclass(frozen=True, slots=True)
class Run:
    """One variant of a run."""

    name: str
    folder: Path
    variant: str
    benchmark: str
    dimensions: Sequence[Dimension]
    about: Mapping[str, Any]
    """Its run.json."""
    rehearsal: bool
    """A sandbox gave the answers."""
    cells: Sequence[AskedCell]
    store: CheckpointStore
    """Read-only."""


@dataclass(frozen=True, slots=True)
class Study:
    """Several runs, and what was said of their answers."""

    runs: Sequence[Run]
    given: Sequence[tuple[Place, Verdict]]
    """All verdicts as they were given, controls among them, each with the name that its run has here. They show what a
    judge is like, also those on answers that have changed since."""
    verdicts: Sequence[tuple[Place, Verdict]]
    """Those on answers that stand now; where another answer stands by now, there is no score."""

    @property
    def cells(self) -> dict[Place, AskedCell]:
        return {cell.place: cell for run in self.runs for cell in run.cells}


def read_study(folders: Sequence[Path], say: Callable[[str], None]) -> Study:
    """Raises VluresError where a folder holds no run, or a file in it cannot be read."""
    names = name_runs(folders)
    runs = [run for folder, name in names.items() for run in _read_runs(folder, name, say)]
    given = [found for folder, name in names.items() for found in _read_verdicts(folder, name, runs, say)]
    return Study(runs, given, list(_that_stand(given, runs, say)))


def _read_verdicts(
    folder: Path, name: str, runs: Iterable[Run], say: Callable[[str], None]
) -> Iterator[tuple[Place, Verdict]]:
    known = {cell.place for run in runs for cell in run.cells}
    strangers = 0
    for verdict in read_verdicts(folder):
        place = Place(name, verdict.variant, verdict.cell)
        if place in known:
            # The folder may have been renamed since, or share its name with another one.
            yield place, verdict if verdict.run == name else replace(verdict, run=name)
        else:
            strangers += 1
    if strangers:
        say(f"{folder} holds {strangers:,} verdicts about cells that it has no answers in; they are left out.")


def _that_stand(
    given: Iterable[tuple[Place, Verdict]], runs: Iterable[Run], say: Callable[[str], None]
) -> Iterator[tuple[Place, Verdict]]:
    """The verdicts beside the answers that stand now."""
    stores = {(run.name, run.variant): run.store for run in runs}
    digests: dict[Place, Mapping[str, str]] = {}
    gone: Counter[str] = Counter()
    for place, verdict in given:
        if place not in digests:
            digests[place] = _digest_answers(stores[place.run, place.variant], place.cell)
        digest = digests[place].get(verdict.sample_id)
        if is_about(verdict, digest):
            yield place, verdict
            continue
        gone[place.run] += verdict.overall is not None
        if digest is not None:
            yield place, replace(verdict, answer_digest=digest, overall=None, criteria={}, missing=CHANGED)
    for name, count in gone.items():
        if count:
            say(f"{name}: {counted(count, 'score')} left out: {WHY_LEFT_OUT}. Judge or rate again.")


def _digest_answers(store: CheckpointStore, cell: Cell) -> dict[str, str]:
    """Of the text of every ok answer, by sample."""
    lines = store.responses(cell)
    return {sample_id: digest_text(line.get("text") or "") for sample_id, line in lines if line["status"] == "ok"}


def list_models(runs: Iterable[Run]) -> list[str]:
    """The models whose answers these runs hold, as they were asked for."""
    return sorted({str(run.about["model"]) for run in runs if run.about.get("model")})


def name_runs(folders: Iterable[Path]) -> dict[Path, str]:
    """Folders with their names; with their paths where two have the same name."""
    once = {folder.resolve(): folder for folder in folders}
    names = Counter(folder.name for folder in once)
    return {
        folder: resolved.name if names[resolved.name] == 1 else path_as_text(folder)
        for resolved, folder in once.items()
    }


def _read_runs(folder: Path, name: str, say: Callable[[str], None]) -> Iterable[Run]:
    for package, variant in require_stored_variants(folder):
        store = CheckpointStore(folder, variant, writable=False, say=say)
        run = store.read_json("run.json")
        refuse_judge(folder, run)
        benchmark = str(run.get("benchmark", OLD_RUNS))
        cells = [
            AskedCell(
                Place(name, variant.label, cell),
                benchmark,
                package.divide(run, variant, cell),
                Counter(entry.status for entry in store.entries(cell).values()),
            )
            for cell in store.cells
        ]
        yield Run(
            name,
            folder,
            variant.label,
            benchmark,
            package.dimensions(),
            run,
            is_rehearsal(store),
            _in_order(cells),
            store,
        )


def _in_order(cells: Iterable[AskedCell]) -> list[AskedCell]:
    return sorted(cells, key=lambda cell: [(len(value), value) for value in cell.divided.values()])

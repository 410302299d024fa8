"""What `vlures score` has found, beside what judges say: answers that are right or wrong by themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from vlures.errors import VluresError
from vlures.records import Cell
from vlures.results.scores import score_files
from vlures.store.small_files import read_small_file
from vlures.tables.reading import Place, Run
from vlures.tables.scores import CellScores, Rater
from vlures.tables.table import Column, Kind, Table, Value, texts

_LEFT_OUT = {"states"}
"""No figure, but a count of several."""


def tabulate_exact_scores(runs: Sequence[Run]) -> Table | None:
    """The figures of every run's scores.json, as its benchmark names them; None where there is none."""
    found: list[tuple[Run, Mapping[str, Any]]] = []
    for run in runs:
        path = run.folder / f"results_{run.variant}" / score_files("strict")[0]
        figures = read_small_file(path).get("figures")
        found += [(run, figure) for figure in figures or () if isinstance(figure, dict)]
    if not found:
        return None
    names = list(dict.fromkeys(name for _, figure in found for name in figure if name not in _LEFT_OUT))
    kinds = {name: _kind_of([figure.get(name) for _, figure in found]) for name in names}
    columns = [*texts("run", "variant"), *(Column(name.replace("_", " "), kinds[name]) for name in names)]
    rows = [[run.name, run.variant, *(_fit(figure.get(name), kinds[name]) for name in names)] for run, figure in found]
    notes = ["As `vlures score` gave them; a later answer is in them once it has been scored again."]
    return Table("exact", "Answers that are right or wrong", columns, rows, notes)


EXACT = "right answers"
"""The rater that gives 100 to what is right and 0 to what is wrong."""


class _Prediction(msgspec.Struct):
    """What a line of predictions.jsonl must say for two runs to be compared by it."""

    sample_id: str
    group: str
    right: bool
    image_id: str


def read_exact_scores(runs: Sequence[Run]) -> Rater | None:
    """The predictions of scored runs as scores: what is missing is wrong, as in `vlures score`. None where none of them
    is scored. Raises VluresError for a line that cannot be read."""
    images: dict[str, int] = {}
    cells: dict[Place, CellScores] = {}
    for run in runs:
        by_cell: dict[str, list[_Prediction]] = defaultdict(list)
        for line in _read_predictions(run.folder / f"results_{run.variant}" / score_files("strict")[2]):
            by_cell[line.group].append(line)
        for group, lines in by_cell.items():
            numbers = [images.setdefault(line.image_id, len(images)) for line in lines]
            cells[Place(run.name, run.variant, Cell(group))] = CellScores(
                [(line.sample_id, "") for line in lines],
                np.array([100.0 * line.right for line in lines]),
                np.array(numbers, dtype=np.intp),
                np.full(len(lines), np.nan),
                0,
                frozenset(numbers),
                frozenset(),
                frozenset(),
            )
    if not cells:
        return None
    return Rater(EXACT, "judge", cells, frozenset(), frozenset(), lowest=0, highest=100)


def _read_predictions(path: Path) -> list[_Prediction]:
    if not path.is_file():
        return []
    decoder = msgspec.json.Decoder(_Prediction)
    found = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            found.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise VluresError(
                f"{path}, line {number}, is no prediction ({error}); `vlures score` writes it again."
            ) from error
    return found


def _kind_of(values: Sequence[Any]) -> Kind:
    there = [value for value in values if value is not None]
    if any(isinstance(value, list) for value in there):
        return "interval"
    if there and all(isinstance(value, int) and not isinstance(value, bool) for value in there):
        return "count"
    if not there or any(isinstance(value, int | float) for value in there):
        return "number"
    return "text"


def _fit(value: Any, kind: Kind) -> Value:
    if kind == "interval":
        return (float(value[0]), float(value[1])) if isinstance(value, list) and len(value) == 2 else None
    if kind == "text":
        return "all" if value is None else str(value)
    return value if isinstance(value, int | float) else None

"""Two runs' scores of the same samples: paired by cell, sample ID and image, with what has no partner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlures.errors import VluresError
from vlures.metrics.clusters import Codes, Numbers
from vlures.records import Cell
from vlures.tables.reading import AskedCell, Run
from vlures.tables.scores import CellScores, Rater

Lengths = Mapping[Cell, Mapping[str, int]]
"""Characters of every ok answer, by cell and sample ID."""


@dataclass(frozen=True, slots=True)
class Side:
    """A run in one variant, as it is compared."""

    name: str
    run: Run
    lengths: Lengths

    @property
    def cells(self) -> dict[Cell, AskedCell]:
        return {cell.place.cell: cell for cell in self.run.cells}


@dataclass(frozen=True, slots=True)
class PairedCell:
    """One cell's samples that both sides have a score of, for the same image."""

    cell: Cell
    divided: Mapping[str, str]
    first: Numbers
    second: Numbers
    images: Codes
    length_differences: Numbers
    """Characters of the first answer less those of the second; NaN where one has no text."""
    answered: int
    """Samples that both sides have an ok answer to."""
    only_first: Sequence[str]
    """Sample IDs with a score on one side alone."""
    only_second: Sequence[str]
    other_image: Sequence[str]
    """Sample IDs that both sides have, but with another image: another sample."""

    @property
    def differences(self) -> Numbers:
        return self.first - self.second


def name_sides(runs: Sequence[Run]) -> list[Side]:
    """Runs with names that tell them apart: the variant stands in them where a folder has several."""
    several = len({run.name for run in runs}) < len(runs) or len({run.variant for run in runs}) > 1
    return [Side(f"{run.name} {run.variant}" if several else run.name, run, read_lengths(run)) for run in runs]


def read_lengths(run: Run) -> Lengths:
    """Raises VluresError where a stored answer cannot be read."""
    store = run.store
    return {
        cell: {
            sample_id: len(line.get("text") or "")
            for sample_id, line in store.responses(cell)
            if line["status"] == "ok"
        }
        for cell in store.cells
    }


def pair_sides(first: Side, second: Side, rater: Rater) -> list[PairedCell]:
    """All cells that both sides were asked and have a score in. Raises VluresError where there is none."""
    cells = second.cells
    found = []
    for cell, asked in first.cells.items():
        if cell not in cells:
            continue
        one, other = rater.cells.get(asked.place), rater.cells.get(cells[cell].place)
        if one is not None and other is not None:
            found.append(_pair_cell(asked, one, other, first.lengths.get(cell, {}), second.lengths.get(cell, {})))
    if not any(len(pair.first) for pair in found):
        raise VluresError(
            f"{first.name} and {second.name} share no sample with the same image that {rater.name} has scored; compare "
            "runs over the same data."
        )
    return [pair for pair in found if len(pair.first) or pair.only_first or pair.only_second or pair.other_image]


def _pair_cell(
    asked: AskedCell, one: CellScores, other: CellScores, lengths: Mapping[str, int], others: Mapping[str, int]
) -> PairedCell:
    here = {key[0]: place for place, key in enumerate(one.keys)}
    there = {key[0]: place for place, key in enumerate(other.keys)}
    shared = [sample_id for sample_id in here if sample_id in there]
    same = [one.images[here[sample_id]] == other.images[there[sample_id]] for sample_id in shared]
    paired = [sample_id for sample_id, is_same in zip(shared, same, strict=True) if is_same]
    first = np.array([here[sample_id] for sample_id in paired], dtype=np.intp)
    second = np.array([there[sample_id] for sample_id in paired], dtype=np.intp)
    apart = [
        lengths[sample_id] - others[sample_id] if sample_id in lengths and sample_id in others else np.nan
        for sample_id in paired
    ]
    return PairedCell(
        asked.place.cell,
        asked.divided,
        one.values[first],
        other.values[second],
        one.images[first],
        np.array(apart, dtype=np.float64),
        len(lengths.keys() & others.keys()),
        [sample_id for sample_id in here if sample_id not in there],
        [sample_id for sample_id in there if sample_id not in here],
        [sample_id for sample_id, is_same in zip(shared, same, strict=True) if not is_same],
    )

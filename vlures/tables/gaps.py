"""How far each value of a dimension lies from its reference: in VLURes, a language from English."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlures.benchmarks import Dimension
from vlures.metrics.clusters import Codes, Numbers, clustered_mean, macro_mean
from vlures.metrics.comparison import Difference, holm, paired_difference, sign_flip_p, unpaired_difference
from vlures.tables import correction
from vlures.tables.means import group_cells
from vlures.tables.reading import AskedCell, Place, Run
from vlures.tables.scores import CellScores, Rater
from vlures.tables.table import Column, Table, Value, interval, texts

NOTES = (
    "gap: the mean of the row less that of the reference. paired: both answer about the same images, so differences "
    "of the same sample count (p by sign flips of images); unpaired: Welch's t test over images.",
    "p (Holm): adjusted for all gaps of this table. A judge may be kinder in one language than in another: a gap on "
    "its scale is not a gap of the model until people have rated both.",
)


@dataclass(frozen=True, slots=True)
class _Gap:
    labels: list[Value]
    difference: Difference
    paired: bool
    corrected: list[Value]
    """As people would give it: the values of correction.COLUMNS."""


def tabulate_gaps(rater: Rater, people: Rater | None, runs: Sequence[Run], mark: str) -> Table | None:
    """None where no dimension has a reference that was asked about beside others."""
    dimension = next((one for one in runs[0].dimensions if one.reference), None)
    if dimension is None:
        return None
    others = [one.name for one in runs[0].dimensions if one is not dimension]
    groups = group_cells(rater, runs, lambda cell: (cell.place.run, cell.place.variant))
    gaps = [gap for group, cells in groups.items() for gap in _gaps_of(list(group), cells, dimension, others, people)]
    if not gaps:
        return None
    tested = [place for place, gap in enumerate(gaps) if gap.difference.p is not None]
    adjusted = dict(zip(tested, holm([gaps[place].difference.p or 0.0 for place in tested]), strict=True))
    rows = [[*_describe(gap), adjusted.get(place), *gap.corrected] for place, gap in enumerate(gaps)]
    columns = [
        *texts("run", "variant", *others, dimension.name),
        Column("gap", "number"),
        Column("95 % interval", "interval"),
        Column("n", "count"),
        Column("test"),
        Column("p", "chance"),
        Column("p (Holm)", "chance"),
        *correction.COLUMNS,
    ]
    notes = [*NOTES, *([correction.NOTE] if any(gap.corrected[0] is not None for gap in gaps) else [])]
    return Table("gaps", f"Gap to {dimension.reference}, by {rater.name}{mark}", columns, rows, notes, rater.name)


def _describe(gap: _Gap) -> list[Value]:
    estimate = gap.difference.estimate
    test = "paired" if gap.paired else "unpaired"
    return [
        *gap.labels, estimate.value, interval(estimate.low, estimate.high), estimate.count, test, gap.difference.p
    ]  # fmt: skip


def _gaps_of(
    group: list[Value],
    cells: Mapping[Place, tuple[AskedCell, CellScores]],
    dimension: Dimension,
    others: Sequence[str],
    people: Rater | None,
) -> list[_Gap]:
    by_value: dict[str, dict[tuple[str, ...], tuple[Place, CellScores]]] = defaultdict(dict)
    for cell, scores in cells.values():
        by_value[cell.divided[dimension.name]][tuple(cell.divided[name] for name in others)] = cell.place, scores
    reference = by_value.pop(dimension.reference or "", {})
    found = []
    for value, parts in by_value.items():
        common = [part for part in parts if part in reference]
        pairs = [_pair(parts[part], reference[part]) for part in common]
        for part, pair in zip(common, pairs, strict=True):
            found.append(_Gap([*group, *part, value], *_compare([pair]), _correct([pair], people)))
        if len(pairs) > 1:
            found.append(_Gap([*group, *["all"] * len(others), value], *_compare(pairs), _correct(pairs, people)))
    return found


@dataclass(frozen=True, slots=True)
class _Pair:
    places: tuple[Place, Place]
    one: CellScores
    other: CellScores
    paired: tuple[Numbers, Numbers, Codes]
    """Values of both about the same sample with the same image, and that image."""

    @property
    def has_same_images(self) -> bool:
        """Whether one set of images serves both, though some answers may be refused or have no score."""
        shared = len(self.one.asked & self.other.asked)
        return 2 * shared >= max(len(self.one.asked), len(self.other.asked)) and len(self.paired[0]) > 1


def _compare(pairs: Sequence[_Pair]) -> tuple[Difference, bool]:
    """Of the macro means of the first ones and the second ones, and whether samples were paired."""
    if all(pair.has_same_images for pair in pairs):
        return _compare_paired([pair.paired for pair in pairs]), True
    if len(pairs) == 1:
        sides = (pairs[0].one, pairs[0].other)
        first, second = (clustered_mean(side.values, side.images, skewed=False) for side in sides)
    else:
        first = macro_mean([(pair.one.values, pair.one.images) for pair in pairs])
        second = macro_mean([(pair.other.values, pair.other.images) for pair in pairs])
    return unpaired_difference(first, second), False


def _correct(pairs: Sequence[_Pair], people: Rater | None) -> list[Value]:
    """The difference of the macro means as people would give them, over all answers of both."""
    weight = 1 / len(pairs)
    firsts = [(weight, pair.places[0], pair.one) for pair in pairs]
    return correction.correct([*firsts, *((-weight, pair.places[1], pair.other) for pair in pairs)], people)


def _pair(one: tuple[Place, CellScores], other: tuple[Place, CellScores]) -> _Pair:
    return _Pair((one[0], other[0]), one[1], other[1], _pair_up(one[1], other[1]))


def _pair_up(one: CellScores, other: CellScores) -> tuple[Numbers, Numbers, Codes]:
    there = {(key[0], image): place for place, (key, image) in enumerate(_samples(other))}
    here = [(place, there.get((key[0], image), -1)) for place, (key, image) in enumerate(_samples(one))]
    pairs = np.array([pair for pair in here if pair[1] >= 0], dtype=np.intp).reshape(-1, 2)
    return one.values[pairs[:, 0]], other.values[pairs[:, 1]], one.images[pairs[:, 0]]


def _samples(scores: CellScores) -> list[tuple[tuple[str, str], int]]:
    return list(zip(scores.keys, scores.images.tolist(), strict=True))


def _compare_paired(sides: Sequence[tuple[Numbers, Numbers, Codes]]) -> Difference:
    if len(sides) == 1:
        return paired_difference(*sides[0])
    parts = [(first - second, images) for first, second, images in sides]
    estimate = macro_mean(parts)
    if estimate.error is None:
        return Difference(estimate, None)
    weighed = np.concatenate([values / len(values) for values, _ in parts])
    return Difference(estimate, sign_flip_p(weighed, np.concatenate([images for _, images in parts])))

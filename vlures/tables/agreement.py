"""How far judges agree with each other and with people, over all runs, for each value of the dimension with a reference
(in VLURes: per language)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from vlures.metrics.agreement import (
    Agreement,
    bland_altman,
    intraclass_correlation,
    krippendorff_alpha,
    quadratic_kappa,
)
from vlures.metrics.clusters import Codes, Numbers
from vlures.metrics.ranks import count_pairs, kendall_tau_b, pairwise_accuracy, spearman
from vlures.tables.reading import Place, Run
from vlures.tables.scores import PEOPLE, Rater, align
from vlures.tables.table import Column, Table, Value, interval, texts

FEWEST = 3
"""Answers that two raters share: with fewer, no coefficient means anything."""

NOTES = (
    "alpha, kappa and ICC are corrected for chance: they are no shares of equal scores. Intervals are 95 %, by drawing "
    "images with replacement 2,000 times.",
    "Read them beside SD: where answers hardly differ, an unchanged judge agrees less. bias, limits and mean "
    "|difference| are in points, first rater less second; slope above 0: the first spreads its scores wider.",
    "accuracy: of pairs of answers, the share that both order alike or both call tied.",
)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What two raters have both scored."""

    first: Numbers
    second: Numbers
    images: Codes


def tabulate_agreement(raters: Sequence[Rater], runs: Sequence[Run]) -> Table | None:
    """None where no two raters have scored the same answers."""
    split = next((one.name for one in runs[0].dimensions if one.reference), None)
    rows: list[list[Value]] = []
    for first, second in combinations(raters, 2):
        for part, places in _parts(runs, split):
            shared = _share(first, second, places)
            if len(shared.first) >= FEWEST:
                rows.append([first.name, second.name, *([part] if split else []), *_describe(shared)])
    if not rows:
        return None
    columns = [
        *texts("first", "second", *([split] if split else [])),
        *(Column("n", "count"), Column("images", "count")),
        *(Column("alpha", "number"), Column("95 % alpha", "interval")),
        *(Column("ordinal alpha", "number"), Column("kappa", "number"), Column("95 % kappa", "interval")),
        *(Column(name, "number") for name in ("Spearman", "Kendall", "accuracy", "ICC(A,1)", "ICC(A,k)")),
        *(Column("bias", "number"), Column("95 % bias", "interval"), Column("limits", "interval")),
        *(Column(name, "number") for name in ("slope", "mean |difference|", "SD first", "SD second")),
    ]
    notes = [*NOTES]
    if any(PEOPLE in (row[0], row[1]) for row in rows):
        notes.append(f"{PEOPLE}: the mean of all people who rated an answer.")
    return Table("agreement", "Agreement of raters, over all runs", columns, rows, notes)


def tabulate_persons(persons: Sequence[Rater], runs: Sequence[Run]) -> Table | None:
    """How far people agree among themselves: the most that a judge can be asked for."""
    split = next((one.name for one in runs[0].dimensions if one.reference), None)
    rows: list[list[Value]] = []
    for part, places in _parts(runs, split):
        units, values, images = _pool(persons, places)
        found = krippendorff_alpha(units, values, images) if len(units) else None
        ordinal = krippendorff_alpha(units, values, scale="ordinal") if found else None
        if found is None:
            continue
        bounds = interval(found.low, found.high)
        rated = len(np.unique(units[np.bincount(units)[units] > 1]))
        spread = float(values.std(ddof=1))
        label = [part] if split else []
        rows.append([*label, rated, len(values), found.value, bounds, ordinal.value if ordinal else None, spread])
    if not rows:
        return None
    columns = [
        *texts(*([split] if split else [])),
        *(Column("answers rated twice or more", "count"), Column("ratings", "count")),
        *(Column("alpha", "number"), Column("95 % alpha", "interval")),
        *(Column("ordinal alpha", "number"), Column("SD", "number")),
    ]
    return Table("people", "Agreement of people among themselves", columns, rows, [NOTES[0]])


def _parts(runs: Sequence[Run], split: str | None) -> Iterator[tuple[str, set[Place]]]:
    cells = [cell for run in runs for cell in run.cells]
    found: dict[str, set[Place]] = {"all": {cell.place for cell in cells}}
    if split is not None:
        for cell in cells:
            found.setdefault(cell.divided[split], set()).add(cell.place)
        if len(found) == 2:
            del found["all"]
    yield from found.items()


def _share(first: Rater, second: Rater, places: set[Place]) -> _Shared:
    one, other, images = [np.empty(0)], [np.empty(0)], [np.empty(0, dtype=np.intp)]
    for place, scores in first.cells.items():
        if place in places and place in second.cells:
            others = second.cells[place]
            here, there = align(scores, others)
            one.append(scores.values[here])
            other.append(others.values[there])
            images.append(scores.images[here])
    return _Shared(np.concatenate(one), np.concatenate(other), np.concatenate(images))


def _pool(raters: Sequence[Rater], places: set[Place]) -> tuple[Codes, Numbers, Codes]:
    """Ratings as a list: the answer of each, the score, the image."""
    units: dict[object, int] = {}
    rated, values, images = [], [np.empty(0)], [np.empty(0, dtype=np.intp)]
    for rater in raters:
        for place, scores in rater.cells.items():
            if place in places:
                rated += [units.setdefault((place, key), len(units)) for key in scores.keys]
                values.append(scores.values)
                images.append(scores.images)
    return np.array(rated, dtype=np.intp), np.concatenate(values), np.concatenate(images)


def _describe(shared: _Shared) -> list[Value]:
    first, second, images = shared.first, shared.second, shared.images
    each = np.arange(len(first))
    both = np.concatenate([each, each]), np.concatenate([first, second])
    alpha = krippendorff_alpha(*both, np.concatenate([images, images]))
    ordinal = krippendorff_alpha(*both, scale="ordinal")
    kappa = quadratic_kappa(first, second, images)
    pairs = count_pairs(first, second)
    icc = intraclass_correlation(np.column_stack([first, second])) or (None, None)
    apart = bland_altman(first, second, images)
    assert apart is not None
    return [
        *(len(first), len(np.unique(images)), *_with_bounds(alpha), ordinal.value if ordinal else None),
        *(*_with_bounds(kappa), spearman(first, second), kendall_tau_b(pairs), pairwise_accuracy(pairs), *icc),
        *(apart.bias.value, interval(apart.bias.low, apart.bias.high), (apart.low, apart.high)),
        *(apart.slope, apart.mean_absolute, float(first.std(ddof=1)), float(second.std(ddof=1))),
    ]


def _with_bounds(found: Agreement | None) -> tuple[Value, Value]:
    return (found.value, interval(found.low, found.high)) if found else (None, None)

"""Tables that compare runs: the same samples, one judge with one wording, every p adjusted for its table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from vlures.errors import UsageError, VluresError
from vlures.metrics.clusters import LEVEL, Estimate, clustered_mean, macro_mean, within
from vlures.metrics.comparison import equivalence_p, holm, sign_flip_p, smallest_detectable, tiers
from vlures.records import Cell
from vlures.tables.exact import read_exact_scores
from vlures.tables.judges import describe_mark, find_sight
from vlures.tables.pairing import PairedCell, Side, name_sides, pair_sides
from vlures.tables.reading import Run, Study, list_models, read_study
from vlures.tables.scores import Rater, find_judges, find_people, verdicts_of
from vlures.tables.table import Column, Table, Value, interval, texts, without_empty_columns

NAMED = 8
"""Unmatched samples that a row names; the others are counted."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """Two sides over some cells."""

    first: str
    second: str
    divided: Sequence[str]
    cells: Sequence[PairedCell]
    estimate: Estimate
    p: float | None


def compare_runs(
    folders: Sequence[Path],
    say: Callable[[str], None],
    *,
    variants: Sequence[str] = (),
    raters: Sequence[str] = (),
    equivalent_within: float | None = None,
) -> list[Table]:
    """Tables of every judge that has judged all runs, of people, and of what can be scored exactly.

    Raises UsageError where there is nothing to compare with each other, VluresError where runs were judged by different
    judges or wordings, or cannot be read.
    """
    study = read_study(folders, say)
    sides = name_sides(_choose_runs(study.runs, variants))
    if len({side.run.benchmark for side in sides}) > 1:
        raise UsageError("These runs are of different benchmarks, which share no sample; compare runs of one.")
    tables: list[Table] = []
    for rater, mark in _choose_raters(study, sides, raters):
        tables += [without_empty_columns(table) for table in _compare(sides, rater, mark, equivalent_within)]
    return tables


def _choose_runs(runs: Sequence[Run], wanted: Sequence[str]) -> list[Run]:
    """Those of the wanted variants; else of the variants that all folders share, else all where each has one."""
    folders = {run.folder for run in runs}
    by_folder = [{run.variant for run in runs if run.folder == folder} for folder in folders]
    known = sorted(set.union(*by_folder))
    if unknown := [variant for variant in wanted if variant not in known]:
        raise UsageError(f"No run has the variant {', '.join(unknown)}; they have {', '.join(known)}.")
    common = set.intersection(*by_folder)
    if wanted:
        chosen = [run for run in runs if run.variant in wanted]
    elif len(folders) == 1 or all(len(held) == 1 for held in by_folder):
        chosen = list(runs)
    elif len(common) == 1:
        chosen = [run for run in runs if run.variant in common]
    else:
        raise UsageError(f"These runs have several variants; choose with --variant: {', '.join(known)}.")
    if len(chosen) < 2:
        raise UsageError("There is one run in one variant, and nothing to compare it with; name another folder.")
    return chosen


def _choose_raters(study: Study, sides: Sequence[Side], wanted: Sequence[str]) -> list[tuple[Rater, str]]:
    """Raters with scores of every side, with what is to be said of each beside its name."""
    judges, people = find_judges(study), find_people(study)
    exact = read_exact_scores([side.run for side in sides])
    raters = [*judges, *([people] if people else []), *([exact] if exact else [])]
    found = [rater for rater in raters if all(_has_scored(rater, side) for side in sides)]
    if unknown := [name for name in wanted if all(rater.name != name for rater in raters)]:
        known = ", ".join(rater.name for rater in raters) or "none"
        raise UsageError(f"No rater {', '.join(unknown)} has scored these runs' answers; raters: {known}.")
    found = [rater for rater in found if not wanted or rater.name in wanted]
    if not found:
        who = "; ".join(f"{side.name}: {_raters_of(side, raters)}" for side in sides)
        raise VluresError(
            f"No judge has judged all of these runs ({who}), and scores of different judges are on different scales; "
            "judge them with one (`vlures judge`)."
        )
    for rater in found:
        if rater.kind == "judge" and rater is not exact:
            _check_wording(rater, sides)
    models = list_models([side.run for side in sides])
    marks = {judge.name: describe_mark(judge, find_sight(verdicts_of(judge, study)), models) for judge in judges}
    return [(rater, marks.get(rater.name, "")) for rater in found]


def _has_scored(rater: Rater, side: Side) -> bool:
    return any(cell.place in rater.cells and len(rater.cells[cell.place].keys) for cell in side.run.cells)


def _raters_of(side: Side, raters: Sequence[Rater]) -> str:
    return ", ".join(rater.name for rater in raters if _has_scored(rater, side)) or "nobody"


def _check_wording(rater: Rater, sides: Sequence[Side]) -> None:
    """Raises VluresError where one name stands for different judges, or a cell was judged by different wordings."""
    models = {side.name: _models_of(rater, side) for side in sides}
    if len(set(models.values())) > 1:
        told = "; ".join(f"{name}: {', '.join(sorted(found)) or 'unknown'}" for name, found in models.items())
        raise VluresError(
            f"{rater.name} was not the same model everywhere ({told}), and different judges are on different scales; "
            "judge all runs with one dated model."
        )
    for one, other in combinations(sides, 2):
        cells = other.cells
        for cell, asked in one.cells.items():
            first = rater.cells.get(asked.place)
            second = rater.cells.get(cells[cell].place) if cell in cells else None
            if first is not None and second is not None and first.rubrics != second.rubrics:
                raise VluresError(
                    f"{rater.name} judged the cell {cell} by another wording in {one.name} than in {other.name}; judge "
                    "both by the same one."
                )


def _models_of(rater: Rater, side: Side) -> frozenset[str]:
    return frozenset().union(*(rater.cells[cell.place].models for cell in side.run.cells if cell.place in rater.cells))


def _compare(sides: Sequence[Side], rater: Rater, mark: str, margin: float | None) -> list[Table]:
    pairs = {(one.name, other.name): pair_sides(one, other, rater) for one, other in combinations(sides, 2)}
    dimensions = [dimension.name for dimension in sides[0].run.dimensions]
    whole = [
        _sum_up(first, second, ["all"] * len(dimensions), [cell for cell in cells if len(cell.first)])
        for (first, second), cells in pairs.items()
    ]
    each = [
        _sum_up(first, second, [cell.divided[name] for name in dimensions], [cell])
        for (first, second), cells in pairs.items()
        for cell in cells
        if len(cell.first)
    ]
    by = f"by {rater.name}{mark}"
    return [
        _tabulate("overall", f"Differences over all cells, {by}", [], whole, rater, margin),
        _tabulate_tiers(sides, pairs, whole, rater, by),
        _tabulate("cells", f"Differences by cell, {by}", dimensions, each, rater, margin),
        *_tabulate_unmatched(pairs, dimensions, rater, by),
    ]


def _sum_up(first: str, second: str, divided: Sequence[str], cells: Sequence[PairedCell]) -> _Compared:
    """The mean difference, each cell of equal weight."""
    parts = [(cell.differences, cell.images) for cell in cells]
    estimate = clustered_mean(*parts[0], skewed=False) if len(parts) == 1 else macro_mean(parts)
    if estimate.error is None:
        return _Compared(first, second, divided, cells, estimate, None)
    weighed = np.concatenate([values / len(values) for values, _ in parts])
    p = sign_flip_p(weighed, np.concatenate([images for _, images in parts]))
    return _Compared(first, second, divided, cells, estimate, p)


def adjust(compared: Sequence[_Compared]) -> list[float | None]:
    """Holm's p of each; those without a p are no part of the family."""
    tested = [place for place, one in enumerate(compared) if one.p is not None]
    adjusted = dict(zip(tested, holm([compared[place].p or 0.0 for place in tested]), strict=True))
    return [adjusted.get(place) for place in range(len(compared))]


def _tabulate(
    name: str, title: str, dimensions: Sequence[str], compared: Sequence[_Compared], rater: Rater, margin: float | None
) -> Table:
    columns = [
        *texts("first", "second", *dimensions),
        *(Column("difference", "number"), Column("95 % interval", "interval")),
        *(Column("p", "chance"), Column("p (Holm)", "chance"), Column("smallest found", "number")),
        *(Column("wins", "count"), Column("ties", "count"), Column("losses", "count")),
        *(Column("n", "count"), Column("images", "count"), Column("judged", "share"), Column("length", "number")),
        *([Column(f"p (within ±{margin:g})", "chance")] if margin is not None else []),
    ]
    family = sum(one.p is not None for one in compared)
    rows = [
        _row_of(one, chance, family, bool(dimensions), margin)
        for one, chance in zip(compared, adjust(compared), strict=True)
    ]
    notes = [
        "difference: first less second, in points, over samples that both have, by ID and image. Intervals are 95 %, "
        "over images; p is by sign flips of images.",
        f"p (Holm): adjusted for all comparisons of this table, which are {family:,}. Above 0.05 a difference is not "
        "shown; that does not show that there is none.",
        "smallest found: the true difference that this comparison finds four times in five, at Holm's strictest step.",
        "judged: of the samples that both have answered, the share that both have a score of. length: characters of "
        "the first answer less those of the second, on average.",
    ]
    if margin is not None:
        notes.append(f"p (within ±{margin:g}): below 0.05 the two differ by less (two one-sided tests), not adjusted.")
    return Table(name, title, columns, rows, notes, rater.name)


def _row_of(
    one: _Compared, chance: float | None, family: int, with_dimensions: bool, margin: float | None
) -> list[Value]:
    differences = np.concatenate([cell.differences for cell in one.cells])
    lengths = np.concatenate([cell.length_differences for cell in one.cells])
    lengths = lengths[~np.isnan(lengths)]
    answered = sum(cell.answered for cell in one.cells)
    estimate = one.estimate
    return [
        *(one.first, one.second, *(one.divided if with_dimensions else [])),
        *(estimate.value, interval(estimate.low, estimate.high), one.p, chance),
        smallest_detectable(estimate, level=(1 - LEVEL) / max(1, family)),
        *(int((differences > 0).sum()), int((differences == 0).sum()), int((differences < 0).sum())),
        *(estimate.count, estimate.clusters, min(1.0, len(differences) / answered) if answered else None),
        float(lengths.mean()) if len(lengths) else None,
        *([equivalence_p(estimate, margin)] if margin is not None else []),
    ]


def _tabulate_tiers(
    sides: Sequence[Side],
    pairs: Mapping[tuple[str, str], Sequence[PairedCell]],
    whole: Sequence[_Compared],
    rater: Rater,
    by: str,
) -> Table:
    """Over the cells that all sides share."""
    common = set.intersection(*({cell.cell for cell in cells if len(cell.first)} for cells in pairs.values()))
    figures = [_mean_of(side, common, rater) for side in sides]
    shown = {
        (one.first, one.second): chance is not None and chance < 1 - LEVEL
        for one, chance in zip(whole, adjust(whole), strict=True)
    }
    names = [side.name for side in sides]
    differs = [[shown.get((one, other), shown.get((other, one), False)) for other in names] for one in names]
    found = tiers([figure.value if figure else 0.0 for figure in figures], differs)
    rows: list[list[Value]] = [
        [tier, name, len(common), figure.count, figure.value, interval(figure.low, figure.high)]
        for tier, name, figure in sorted(
            zip(found, names, figures, strict=True), key=lambda row: (row[0], -(row[2].value if row[2] else 0))
        )
        if figure is not None
    ]
    columns = [
        *(Column("tier", "count"), Column("run"), Column("cells", "count"), Column("n", "count")),
        *(Column("macro mean", "number"), Column("95 % interval", "interval")),
    ]
    notes = [
        "Runs of one tier are not shown to differ from its best one (p (Holm) of the differences over all cells). "
        "Means are over each run's own scores; differences count the samples that both have."
    ]
    return Table("tiers", f"Tiers, {by}", columns, rows, notes, rater.name)


def _mean_of(side: Side, common: set[Cell], rater: Rater) -> Estimate | None:
    scores = [rater.cells[cell.place] for cell in side.run.cells if cell.place.cell in common]
    parts = [(cell.values, cell.images) for cell in scores if len(cell.keys)]
    return within(macro_mean(parts), rater.lowest, rater.highest) if parts else None


def _tabulate_unmatched(
    pairs: Mapping[tuple[str, str], Sequence[PairedCell]], dimensions: Sequence[str], rater: Rater, by: str
) -> list[Table]:
    rows: list[list[Value]] = []
    for (first, second), cells in pairs.items():
        for cell in cells:
            left = (cell.only_first, cell.only_second, cell.other_image)
            if any(left):
                counts = [len(cell.first), *map(len, left)]
                rows.append([first, second, *(cell.divided[name] for name in dimensions), *counts, _name(left)])
    if not rows:
        return []
    columns = [
        *texts("first", "second", *dimensions),
        *(Column(name, "count") for name in ("paired", "only first", "only second", "other image")),
        Column("samples"),
    ]
    notes = [
        "only first, only second: the other side has no score of the sample (not asked, no ok answer, or not judged). "
        "other image: the same ID stands for another image, so it is another sample."
    ]
    return [Table("unmatched", f"Samples without a partner, {by}", columns, rows, notes, rater.name)]


def _name(left: Sequence[Sequence[str]]) -> str:
    names = ("only first", "only second", "other image")
    return "; ".join(
        f"{name}: {', '.join(samples[:NAMED])}{' …' if len(samples) > NAMED else ''}"
        for name, samples in zip(names, left, strict=True)
        if samples
    )

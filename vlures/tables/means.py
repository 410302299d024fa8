"""Tables of means: by cell, as macro means, by variant side by side, and by what was given and asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from vlures.benchmarks import Dimension
from vlures.errors import counted
from vlures.metrics.clusters import Codes, Estimate, Numbers, clustered_mean, macro_mean, missing_bounds, within
from vlures.tables import correction
from vlures.tables.correction import correct_cell
from vlures.tables.reading import AskedCell, Place, Run
from vlures.tables.scores import CellScores, Rater
from vlures.tables.table import Column, Table, Value, interval, texts

MUCH_MISSING = 0.02
"""Of the answers of a cell: above it, bounds are shown for what the missing scores could be."""

JUDGE_SCALE = (
    "Means are on the judge's own scale: nothing here shows that people would give the same. Leniency differs by "
    "language, so compare languages with care."
)
BY_IMAGE = (
    "Intervals are 95 %, over images: several answers about one image are not independent. Student's t, corrected for "
    "skewness (Hall 1992)."
)


def tabulate_answers(runs: Sequence[Run], blind: Sequence[str]) -> Table:
    """What was asked and what became of it. blind: which judges do not use the image, each as the beginning of a
    sentence: they are named before any score."""
    columns = [
        *texts("run", "variant", "model"),
        Column("answers", "count"),
        *(Column(status, "share") for status in ("ok", "refused", "truncated", "failed")),
    ]
    rows: list[list[Value]] = []
    for run in runs:
        statuses = sum((cell.statuses for cell in run.cells), start=type(run.cells[0].statuses)()) if run.cells else {}
        total = sum(statuses.values())
        model = f"{run.about.get('model') or 'unknown'}{' (sandbox)' if run.rehearsal else ''}"
        shares = [statuses[status] / total if total else None for status in ("ok", "refused", "truncated", "failed")]
        rows.append([run.name, run.variant, model, total, *shares])
    notes = [f"The judge {who}: it scores answers as high with another image or none." for who in blind]
    if any(run.rehearsal for run in runs):
        notes.append("A sandbox gave answers marked so: they are synthetic.")
    return Table("answers", "Answers", columns, rows, notes)


def tabulate_means(rater: Rater, people: Rater | None, runs: Sequence[Run], mark: str) -> Table:
    """Every cell's mean. mark: what is to be said of the rater beside its name."""
    dimensions = runs[0].dimensions
    columns = [
        *texts("run", "variant", *(dimension.name for dimension in dimensions)),
        *(Column("n", "count"), Column("images", "count"), Column("missing", "share")),
        *(Column(status, "share") for status in ("refused", "truncated", "failed")),
        *(Column("mean"), Column("95 % interval", "interval"), Column("refused as lowest")),
        *(Column("if missing were lowest"), Column("if highest")),
        *(Column("corrected"), Column("95 % corrected", "interval"), Column("rated by people", "count")),
        Column("scale"),
    ]
    columns = [Column(one.name, "number") if one.name in _NUMBERS else one for one in columns]
    rows, doubts = [], set()
    for run in runs:
        for cell in run.cells:
            scores = rater.cells.get(cell.place)
            if scores is None:
                continue
            row, doubt = _row_of(cell, dimensions, scores, rater, people)
            rows.append(row)
            doubts |= {doubt} - {None}
    notes = [BY_IMAGE, "missing: the share of ok answers without a score. Refused, truncated and failed answers have "
             "none; their rates are of all that was asked."]  # fmt: skip
    if any(row[-1] == "judge" for row in rows):
        notes.append(JUDGE_SCALE)
    if any(row[-1] == "people" for row in rows):
        notes.append("corrected: the mean that people would give, from a random sample that they rated (PPI++).")
    notes += [f"Not corrected where {doubt}." for doubt in sorted(filter(None, doubts))]
    notes += filter(None, (_describe_unscored(run, rater) for run in runs))
    return Table("means", f"Means by {rater.name}{mark}", columns, rows, notes, rater.name)


def _describe_unscored(run: Run, rater: Rater) -> str | None:
    """Cells that a rater of the run has scored nothing of: they were left out of its judging, or asked after it."""
    unscored = sum(cell.place not in rater.cells for cell in run.cells)
    if not 0 < unscored < len(run.cells):
        return None
    return f"Without a score by {rater.name}, so in no mean: {counted(unscored, 'cell')} of {run.name} {run.variant}."


_NUMBERS = {"mean", "refused as lowest", "if missing were lowest", "if highest", "corrected"}


def _row_of(
    cell: AskedCell, dimensions: Sequence[Dimension], scores: CellScores, rater: Rater, people: Rater | None
) -> tuple[list[Value], str | None]:
    asked, refused, right = sum(cell.statuses.values()), cell.statuses["refused"], cell.statuses["ok"]
    count = len(scores.keys)
    missing = max(right - count, scores.missing) if rater.kind == "judge" else scores.missing
    wanted = count + missing
    rates: list[Value] = [cell.statuses[status] / asked if asked else None for status in _NOT_OK]
    row: list[Value] = [cell.place.run, cell.place.variant, *(cell.divided[one.name] for one in dimensions)]
    row += [count, len(set(scores.images.tolist())), missing / wanted if wanted else None, *rates]
    if count == 0:
        return [*row, *[None] * 8, "judge"], None
    figure = mean_of(scores, rater)
    lowest = (float(scores.values.sum()) + refused * rater.lowest) / (count + refused)
    bounds: tuple[float | None, float | None] = (None, None)
    if missing > MUCH_MISSING * wanted:
        bounds = missing_bounds(scores.values, missing, rater.lowest, rater.highest)
    row += [figure.value, interval(figure.low, figure.high), lowest if refused else None, *bounds]
    if rater.kind == "person":
        return [*row, None, None, None, "people"], None
    corrected, doubt = correct_cell(scores, people.cells.get(cell.place) if people else None)
    if corrected is None:
        return [*row, None, None, None, "judge"], doubt
    estimate = within(corrected.estimate, rater.lowest, rater.highest)
    rated = len(people.cells[cell.place].keys) if people else 0
    return [*row, estimate.value, interval(estimate.low, estimate.high), rated, "people"], None


_NOT_OK = ("refused", "truncated", "failed")


def mean_of(scores: CellScores, rater: Rater) -> Estimate:
    """The mean of a cell's scores."""
    return within(clustered_mean(scores.values, scores.images), rater.lowest, rater.highest)


def macro_of(cells: Sequence[CellScores], rater: Rater) -> Estimate:
    """The mean of cells' means, each of equal weight."""
    parts: list[tuple[Numbers, Codes]] = [(scores.values, scores.images) for scores in cells if len(scores.keys)]
    return within(macro_mean(parts), rater.lowest, rater.highest)


Group = tuple[str, ...]


def group_cells(
    rater: Rater, runs: Sequence[Run], key: Callable[[AskedCell], Group]
) -> dict[Group, dict[Place, tuple[AskedCell, CellScores]]]:
    """Cells with scores, by what they have in common."""
    found: dict[Group, dict[Place, tuple[AskedCell, CellScores]]] = defaultdict(dict)
    for run in runs:
        for cell in run.cells:
            scores = rater.cells.get(cell.place)
            if scores is not None and len(scores.keys):
                found[key(cell)][cell.place] = cell, scores
    return found


def tabulate_macro_means(rater: Rater, people: Rater | None, runs: Sequence[Run], mark: str) -> Table:
    """Of every run: over all cells, and over the cells of each value of each dimension."""
    dimensions = runs[0].dimensions
    columns = [*texts("run", "variant", *(one.name for one in dimensions)), *_FIGURES, *correction.COLUMNS]
    rows: list[list[Value]] = []
    for wanted in _levels(dimensions):
        groups = group_cells(
            rater,
            runs,
            lambda cell, wanted=wanted: (  # type: ignore[misc]
                cell.place.run,
                cell.place.variant,
                *(cell.divided[one.name] if one.name == wanted else "all" for one in dimensions),
            ),
        )
        rows += [[*group, *_figures(cells, rater), *_correct(cells, rater, people)] for group, cells in groups.items()]
    notes = ["Each cell has the same weight, however many answers it has; cells says how many they are.", BY_IMAGE]
    if rater.kind == "judge":
        notes.append(correction.NOTE if any(row[-1] for row in rows) else JUDGE_SCALE)
    return Table("macro", f"Macro means by {rater.name}{mark}", columns, rows, notes, rater.name)


_FIGURES = (
    *(Column("cells", "count"), Column("n", "count"), Column("images", "count")),
    *(Column("macro mean", "number"), Column("95 % interval", "interval")),
)


def _levels(dimensions: Sequence[Dimension]) -> Iterator[str | None]:
    yield None
    if len(dimensions) > 1:
        yield from (one.name for one in dimensions)


def _figures(cells: Mapping[Place, tuple[AskedCell, CellScores]], rater: Rater) -> list[Value]:
    figure = macro_of([scores for _, scores in cells.values()], rater)
    return [len(cells), figure.count, figure.clusters, figure.value, interval(figure.low, figure.high)]


def _correct(cells: Mapping[Place, tuple[AskedCell, CellScores]], rater: Rater, people: Rater | None) -> list[Value]:
    """A macro mean as people would give it."""
    parts = [(1 / len(cells), place, scores) for place, (_, scores) in cells.items()]
    value, bounds, rated = correction.correct(parts, people)
    if isinstance(bounds, tuple):
        bounds = max(bounds[0], rater.lowest), min(bounds[1], rater.highest)
    return [value, bounds, rated]


def tabulate_variants(rater: Rater, runs: Sequence[Run], mark: str) -> Table | None:
    """The ways of asking side by side, over the cells that all ways of a run have; None where there is one way."""
    variants = list(dict.fromkeys(run.variant for run in runs))
    if len(variants) < 2:
        return None
    split = next((one.name for one in runs[0].dimensions if one.reference), None)
    groups = group_cells(rater, runs, lambda cell: (cell.place.run, cell.divided[split] if split else "all"))
    rows: list[list[Value]] = []
    for (run, part), cells in groups.items():
        held = {variant: {p.cell for p in cells if p.variant == variant} for variant in variants}
        common = set.intersection(*(found for found in held.values() if found))
        of_all: list[Value] = []
        for variant in variants:
            kept = [scores for place, (_, scores) in cells.items() if place.variant == variant and place.cell in common]
            figure = macro_of(kept, rater) if kept else None
            of_all += [figure.value, interval(figure.low, figure.high)] if figure else [None, None]
        rows.append([run, *([part] if split else []), len(common), *of_all])
    columns = [*texts("run", *([split] if split else [])), Column("cells", "count")]
    for variant in variants:
        columns += [Column(variant, "number"), Column(f"95 % {variant}", "interval")]
    notes = ["Macro means over the cells that every variant shown in a row has.", BY_IMAGE]
    return Table("variants", f"Variants side by side, by {rater.name}{mark}", columns, rows, notes, rater.name)


def tabulate_crossing(rater: Rater, runs: Sequence[Run], mark: str) -> Table | None:
    """What was given by what was asked for; None where no benchmark crosses a dimension, or nothing differs."""
    crossed = next((one for one in runs[0].dimensions if one.crossed_with), None)
    if crossed is None or crossed.crossed_with is None:
        return None
    given, asked = crossed.crossed_with, crossed.name
    cells = [cell for run in runs for cell in run.cells]
    if all(cell.divided[given] == cell.divided[asked] for cell in cells):
        return None
    groups = group_cells(
        rater, runs, lambda cell: (cell.place.run, cell.place.variant, cell.divided[given], cell.divided[asked])
    )
    rows = [[*group, *_figures(found, rater)] for group, found in groups.items()]
    columns = [*texts("run", "variant", given, asked), *_FIGURES]
    title = f"{given.capitalize()} × {asked}, by {rater.name}{mark}"
    return Table("crossing", title, columns, rows, [BY_IMAGE], rater.name)

"""Every table of several runs, in the order in which they are read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vlures.errors import UsageError, VluresError
from vlures.tables.agreement import tabulate_agreement, tabulate_persons
from vlures.tables.exact import tabulate_exact_scores
from vlures.tables.gaps import tabulate_gaps
from vlures.tables.judges import describe_mark, find_sight, tabulate_controls
from vlures.tables.means import (
    tabulate_answers,
    tabulate_crossing,
    tabulate_macro_means,
    tabulate_means,
    tabulate_variants,
)
from vlures.tables.reading import Run, Study, list_models, read_study
from vlures.tables.scores import Rater, find_judges, find_people, find_persons, verdicts_of
from vlures.tables.table import Table, without_empty_columns


def make_tables(
    folders: Sequence[Path], say: Callable[[str], None], wanted: Sequence[str] = (), raters: Sequence[str] = ()
) -> list[Table]:
    """All tables of the runs in these folders, or those of these names, or of these raters.

    Raises VluresError where a folder holds no run or a file cannot be read, UsageError where no run has what a wanted
    table is made of.
    """
    study = read_study(folders, say)
    made = list(_tabulate(study))
    if unknown := set(raters) - {table.rater for table in made}:
        known = ", ".join(sorted({table.rater for table in made if table.rater})) or "none"
        raise UsageError(f"No rater {', '.join(sorted(unknown))} has scored these runs' answers; raters: {known}.")
    tables = [
        without_empty_columns(table)
        for table in made
        if (not wanted or table.name in wanted) and (not raters or table.rater in raters)
    ]
    for name in wanted:
        if all(table.name != name for table in tables):
            raise UsageError(f"There is no table {name!r} of these runs: {_WHY[name]}.")
    if not any(run.cells for run in study.runs):
        raise VluresError(f"{folders[0]} has no answers yet; `vlures run` asks for them.")
    if not study.verdicts and not any(table.name == "exact" for table in tables):
        say("Nothing has been judged or scored yet: `vlures judge` and `vlures score` do that.")
    return tables


_NOT_JUDGED = "nothing has been judged; `vlures judge` does that"
_WHY = {
    "answers": "they have no answers",
    "controls": "no judge has judged controls",
    **dict.fromkeys(("means", "macro"), _NOT_JUDGED),
    "gaps": "nothing has been judged beside its reference",
    "variants": "they were asked in one way, or nothing has been judged",
    "crossing": "what was given and what was asked for are the same, or nothing has been judged",
    "agreement": "no two raters have scored the same answers",
    "people": "no two people have rated the same answers",
    "exact": "nothing has been scored; `vlures score` does that",
}


def _tabulate(study: Study) -> Iterator[Table]:
    by_benchmark: dict[str, list[Run]] = defaultdict(list)
    for run in study.runs:
        by_benchmark[run.benchmark].append(run)
    for runs in by_benchmark.values():
        places = {cell.place for run in runs for cell in run.cells}
        given, verdicts = (
            [(place, verdict) for place, verdict in found if place in places] for found in (study.given, study.verdicts)
        )
        yield from _of_benchmark(Study(runs, given, verdicts), runs)


def _of_benchmark(study: Study, runs: Sequence[Run]) -> Iterator[Table]:
    judges, people, persons = find_judges(study), find_people(study), find_persons(study)
    found = [(judge, verdicts_of(judge, study)) for judge in judges]
    seen = [(judge, find_sight(verdicts), verdicts) for judge, verdicts in found]
    yield tabulate_answers(runs, [f"{judge.name} is {sight.blind}" for judge, sight, _ in seen if sight.blind])
    if (controls := tabulate_controls(seen)) is not None:
        yield controls
    models = list_models(runs)
    marked = [(judge, describe_mark(judge, sight, models)) for judge, sight, _ in seen]
    for rater, mark in [*marked, *([(people, "")] if people else [])]:
        yield from _of_rater(rater, people if rater.kind == "judge" else None, runs, mark)
    raters = [*judges, *([people] if people else [])]
    yield from filter(None, (tabulate_agreement(raters, runs), tabulate_persons(persons, runs)))
    if (exact := tabulate_exact_scores(runs)) is not None:
        yield exact


def _of_rater(rater: Rater, people: Rater | None, runs: Sequence[Run], mark: str) -> Iterator[Table]:
    if not any(len(scores.keys) for scores in rater.cells.values()):
        return
    yield tabulate_means(rater, people, runs, mark)
    yield tabulate_macro_means(rater, people, runs, mark)
    others = (
        tabulate_gaps(rater, people, runs, mark),
        tabulate_variants(rater, runs, mark),
        tabulate_crossing(rater, runs, mark),
    )
    yield from filter(None, others)

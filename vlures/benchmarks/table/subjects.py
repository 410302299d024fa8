"""What stored answers about a table's rows are about, as far as the table is unchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from vlures.benchmarks import Assignment, Question, Subject
from vlures.benchmarks.columns import TAKEN, Columns
from vlures.benchmarks.stored_questions import Mark, read_stored_questions
from vlures.benchmarks.table.benchmark import TableBenchmark
from vlures.benchmarks.table.options import Options
from vlures.benchmarks.table.rows import QuestionTable, TableRow, read_table
from vlures.errors import VluresError
from vlures.records import Response
from vlures.store.checkpoints import CheckpointStore

OWN: dict[str, type] = {"question": str, "system": str, "reference_answer": str}
TYPES: dict[str, type] = {kind.__name__: kind for kind in (bool, int, float, str)}
QUESTION: dict[str, type] = {"group": str, "sample_id": str}


def export_names(columns: Iterable[str]) -> dict[str, str]:
    """Other column → its name in the export: `table_…` where that name is taken."""
    names: dict[str, str] = {}
    taken = {*TAKEN, *OWN, *QUESTION}
    for column in sorted(columns, key=lambda column: column in taken):  # those that keep their names first
        name = column
        while name in taken:
            name = f"table_{name}"
        names[column] = name
        taken.add(name)
    return names


def find_columns(run: Mapping[str, Any]) -> Columns:
    """run: a run.json. By today's table; by what the run says of it where it is gone."""
    stored = _read_stored(run)
    if stored is not None:
        kinds = stored.table.find_kinds()
    else:
        others = (run.get("table_columns") or {}).get("others") or {}
        kinds = {name: TYPES.get(kind, str) for name, kind in others.items()}
    names = export_names(kinds)
    return Columns(question=QUESTION, subject=OWN | {names[name]: kinds[name] for name in kinds}, local={})


@dataclass(slots=True)
class TableSubjects:
    """As vlures.benchmarks.Subjects."""

    benchmark: TableBenchmark | None = None
    kinds: Mapping[str, type] = field(default_factory=dict)
    """Of the other columns, by their names in the export."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Other column → its name in the export, in the table's order."""
    missing: list[str] = field(default_factory=list)
    withheld: int = 0

    def find(self, question: Question, response: Response, *, wanted: bool) -> Subject | None:
        if self.benchmark is None:
            return None
        row = self.benchmark.rows_by_id.get(question.sample_id)
        unknown = response.status == "failed"  # the question is unknown
        if row is not None and (unknown or self._is_asked(row, question, response.digest)):
            return Subject(row.image, row.question, self._describe(row))
        if wanted and not unknown:
            raise VluresError(
                f"{self.benchmark.table.path} has no row any more that {response.key} is about: it, its image or its "
                "question has changed. Put the old one back, ask again (`vlures run --stale redo`), or export without "
                "--with-images."
            )
        self.withheld += not unknown
        return None

    def is_asked_today(self, question: Question, digest: str) -> bool:
        row = self.benchmark.rows_by_id.get(question.sample_id) if self.benchmark else None
        return row is not None and self._is_asked(row, question, digest)

    def find_assignment(self, question: Question, response: Response) -> Assignment | None:
        row = self.benchmark.rows_by_id.get(question.sample_id) if self.benchmark else None
        if row is None or not self._is_asked(row, question, response.digest):
            return None
        return Assignment("\n\n".join(filter(None, (row.system, row.question))), None, question.cell, None)

    def _is_asked(self, row: TableRow, question: Question, digest: str) -> bool:
        assert self.benchmark is not None
        return row.group == question.cell and self.benchmark.request(question).digest == digest

    def _describe(self, row: TableRow) -> dict[str, Any]:
        assert self.benchmark is not None
        own = {"question": row.question, "system": row.system or None, "reference_answer": row.answer}
        others = zip(self.names.values(), row.others, strict=True)
        return own | {name: _fit(value, self.kinds.get(name, str)) for name, value in others}


def _fit(value: Any, kind: type) -> Any:
    """A value as one of its column's type."""
    if value is None or type(value) is kind:
        return value
    return float(value) if kind is float else str(value).lower() if isinstance(value, bool) else str(value)


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> TableSubjects:
    """run: the run.json of the store."""
    options = (run.get("config") or {}).get("questions")
    benchmark = _read_stored(run)
    if benchmark is not None:
        names = export_names(benchmark.table.other_columns)
        in_order = {column: names[column] for column in benchmark.table.other_columns}
        return TableSubjects(benchmark, find_columns(run).subject, in_order)
    if not options:
        return TableSubjects(missing=[f"{store.folder / 'run.json'} does not say which table was asked"])
    return TableSubjects(missing=[f"Seen from here, the table {options} is not there or cannot be read"])


def _read_stored(run: Mapping[str, Any]) -> TableBenchmark | None:
    """The whole table that a run has asked, as it is today; None if it cannot be read."""
    stored = read_stored_questions(run, Options, _read_whole)
    return None if stored is None else TableBenchmark(stored.questions, stored.asked)


def _read_whole(options: Options, mark: Mark) -> QuestionTable:
    columns = tuple(options.columns.items())
    return _read_once(options.questions, mark, options.dataset, columns, options.text_encoding, options.follow_links)


@lru_cache(maxsize=4)
def _read_once(
    questions: str | None,
    mark: Mark,  # noqa: ARG001 (an unchanged file is read once)
    dataset: str | None,
    columns: tuple[tuple[str, str], ...],
    text_encoding: Literal["utf-8", "latin-1"],
    follow_links: bool,
) -> QuestionTable:
    return read_table(
        Options(
            questions=questions,
            dataset=dataset,
            columns=dict(columns),
            text_encoding=text_encoding,
            follow_links=follow_links,
        )
    )

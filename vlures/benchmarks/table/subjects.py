"""What stored answers about a table's rows are about, as far as the table is unchanged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from vlures.benchmarks import Question, Subject
from vlures.benchmarks.columns import TAKEN, Columns
from vlures.benchmarks.table.benchmark import KINDS, TableBenchmark
from vlures.benchmarks.table.options import Options
from vlures.benchmarks.table.rows import TableRow, read_table
from vlures.config.resolve import stored_section, stored_target
from vlures.errors import VluresError
from vlures.records import Response
from vlures.store.checkpoints import CheckpointStore

OWN: dict[str, type] = {"question": str, "system": str, "reference_answer": str}
TYPES = {name: kind for kind, name in KINDS.items()}
QUESTION: dict[str, type] = {"group": str, "sample_id": str}


def export_name(column: str) -> str:
    """The exported name of an additional column: `table_…` where the export has a column of that name itself."""
    return f"table_{column}" if column in TAKEN or column in OWN or column in QUESTION else column


def find_columns(run: Mapping[str, Any]) -> Columns:
    """run: a run.json."""
    others = (run.get("table_columns") or {}).get("others") or {}
    extra = {export_name(name): TYPES.get(kind, str) for name, kind in others.items()}
    return Columns(question=QUESTION, subject=OWN | extra, local={})


@dataclass(slots=True)
class TableSubjects:
    """As vlures.benchmarks.Subjects."""

    benchmark: TableBenchmark | None = None
    kinds: Mapping[str, type] = field(default_factory=dict)
    """Of the other columns."""
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

    def _is_asked(self, row: TableRow, question: Question, digest: str) -> bool:
        assert self.benchmark is not None
        return row.group == question.cell and self.benchmark.request(question).digest == digest

    def _describe(self, row: TableRow) -> dict[str, Any]:
        assert self.benchmark is not None
        own = {"question": row.question, "system": row.system or None, "reference_answer": row.answer}
        others = zip(self.benchmark.table.other_columns, row.others, strict=True)
        return own | {export_name(name): self._convert(export_name(name), value) for name, value in others}

    def _convert(self, name: str, value: Any) -> Any:
        kind = self.kinds.get(name, str)
        if value is None or isinstance(value, kind):
            return value
        return (
            str(value) if isinstance(value, str | int | float) else json.dumps(value, ensure_ascii=False, default=str)
        )


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> TableSubjects:
    """run: the run.json of the store."""
    stored = run.get("config") or {}
    subjects = TableSubjects(kinds=find_columns(run).subject)
    try:
        options, target = stored_section(Options, stored), stored_target(run)
    except msgspec.ValidationError:
        options, target = Options(), None
    if options.questions is None or target is None:
        subjects.missing.append(f"{store.folder / 'run.json'} does not say which table was asked")
        return subjects
    try:
        whole = Options(**{**vars(options), "limit": None, "samples": ()})
        subjects.benchmark = TableBenchmark(read_table(whole), target.asked)
    except VluresError:
        subjects.missing.append(f"Seen from here, the table {options.questions} is not there or cannot be read")
    return subjects

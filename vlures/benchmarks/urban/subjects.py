"""What stored answers about a QA file's questions are about, as far as the file is unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from vlures.benchmarks import Assignment, Question, Subject
from vlures.benchmarks.columns import Columns
from vlures.benchmarks.stored_questions import Mark, read_stored_questions
from vlures.benchmarks.urban.benchmark import UrbanBenchmark
from vlures.benchmarks.urban.options import Options
from vlures.benchmarks.urban.prompts import make_prompt
from vlures.benchmarks.urban.rows import QaFile, UrbanRow, read_qa_file
from vlures.benchmarks.urban.subtypes import SLOTS
from vlures.benchmarks.urban.variant import PromptStyle
from vlures.errors import VluresError
from vlures.records import Response
from vlures.store.checkpoints import CheckpointStore

COLUMNS = Columns(
    question={"group": str, "sample_id": str},
    subject={
        **dict.fromkeys(("image_id", "subtype", "qtype", "question", "reference_answer"), str),
        **dict.fromkeys(SLOTS, str),
    },
    local={},
)


@dataclass(slots=True)
class UrbanSubjects:
    """As vlures.benchmarks.Subjects."""

    benchmark: UrbanBenchmark | None = None
    missing: list[str] = field(default_factory=list)
    withheld: int = 0

    def find(self, question: Question, response: Response, *, wanted: bool) -> Subject | None:
        if self.benchmark is None:
            return None
        row = self.benchmark.rows_by_id.get(question.sample_id)
        unknown = response.status == "failed"  # the question is unknown
        if row is not None and row.image is not None and (unknown or self._is_asked(row, question, response.digest)):
            return Subject(row.image, row.question, _describe(row))
        if wanted and not unknown:
            raise VluresError(
                f"{self.benchmark.qa_file.path} has no question any more that {response.key} is about: it, its image "
                "or its wording has changed. Put the old one back, ask again (`vlures run --stale redo`), or export "
                "without --with-images."
            )
        self.withheld += not unknown
        return None

    def is_asked_today(self, question: Question, digest: str) -> bool:
        row = self.benchmark.rows_by_id.get(question.sample_id) if self.benchmark else None
        return row is not None and self._is_asked(row, question, digest)

    def find_assignment(self, question: Question, response: Response) -> Assignment | None:
        row = self.benchmark.rows_by_id.get(question.sample_id) if self.benchmark else None
        if row is None or self.benchmark is None or not self._is_asked(row, question, response.digest):
            return None
        return Assignment(make_prompt(row, self.benchmark.variant), None, question.cell, "en")

    def _is_asked(self, row: UrbanRow, question: Question, digest: str) -> bool:
        assert self.benchmark is not None
        return row.subtype.group == question.cell and self.benchmark.request(question).digest == digest


def _describe(row: UrbanRow) -> dict[str, Any]:
    own = {
        "image_id": row.image_id,
        "subtype": row.written_subtype,
        "qtype": row.qtype,
        "question": row.question,
        "reference_answer": row.answer,
    }
    return own | {name: row.slots.get(name) for name in SLOTS}


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> UrbanSubjects:
    """run: the run.json of the store."""
    options = (run.get("config") or {}).get("questions")
    benchmark = _read_stored(run)
    if benchmark is not None:
        return UrbanSubjects(benchmark)
    if not options:
        return UrbanSubjects(missing=[f"{store.folder / 'run.json'} does not say which QA file was asked"])
    return UrbanSubjects(missing=[f"Seen from here, the QA file {options} is not there or cannot be read"])


def _read_stored(run: Mapping[str, Any]) -> UrbanBenchmark | None:
    """All of the QA file that a run has asked, as it is today; None if it cannot be read."""
    stored = read_stored_questions(run, Options, _read_whole)
    return None if stored is None else UrbanBenchmark(stored.questions, stored.asked, stored.options.variant)


def _read_whole(options: Options, mark: Mark) -> QaFile:
    return _read_once(options.questions, mark, options.dataset, options.prompt_style, options.follow_links)


@lru_cache(maxsize=4)
def _read_once(
    questions: str | None,
    mark: Mark,  # noqa: ARG001 (an unchanged file is read once)
    dataset: str | None,
    prompt_style: PromptStyle,
    follow_links: bool,
) -> QaFile:
    return read_qa_file(
        Options(questions=questions, dataset=dataset, prompt_style=prompt_style, follow_links=follow_links)
    )

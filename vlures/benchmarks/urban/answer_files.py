"""Answers to street-view questions that were made elsewhere: JSON Lines or one JSON list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vlures.benchmarks import Question
from vlures.benchmarks.problems import ProblemList
from vlures.benchmarks.urban.benchmark import question_of
from vlures.benchmarks.urban.qa_files import Record, read_records
from vlures.benchmarks.urban.rows import QaFile, UrbanRow, stem_of
from vlures.errors import VluresError, counted
from vlures.records import Response, Status

TEXT_FIELDS = ("raw", "pred_answer", "prediction")
"""Where a row may have the model's text: as predictions.jsonl has it, as the original evaluation writes it, and as
others do."""
SAID_LINES = 5

_Key = tuple[str, str, str | None]
"""Image, question and subtype. Without a subtype, the question must be the only one of its words about the image."""


def read_answers(path: Path, qa_file: QaFile, say: Callable[[str], None]) -> Mapping[Question, Response]:
    """The answers in a file, by the questions of the QA file. A row has `image_id` and `question`, or `sample_id`; the
    model's text in one of TEXT_FIELDS (null: it gave none); and, where a question is asked twice, `subtype`.

    say: called with a sentence about what was left out. Raises VluresError if the file cannot be read, or answers none
    of the questions.
    """
    problems = ProblemList({"row": "rows that are left out"})
    ids = {row.id: row for row in qa_file.rows}
    asked = _index(qa_file)
    answers: dict[Question, Response] = {}

    def complain(place: str, reason: str) -> None:
        problems.add("row", (f"{path.name} {place}",), reason)

    for place, record in read_records(path, complain, lambda place, reason: say(f"{path.name} {place}: {reason}.")):
        row = _find_row(record, ids, asked)
        if isinstance(row, str):
            complain(place, row)
            continue
        text = _find_text(record)
        if isinstance(text, ValueError):
            complain(place, str(text))
        elif question_of(row) in answers:
            complain(place, "answers a question that an earlier row has answered; the first answer counts")
        elif text is not None or record.get("state") != "missing":
            answers[question_of(row)] = _as_response(text, record.get("state"))
    found = problems.problems(path.name)
    if found:
        for problem in found[:SAID_LINES]:
            say(f"{', '.join(problem.files)}: {problem.reason}.")
        say(f"{counted(sum(problem.times for problem in found), 'row', 'is', 'are')} left out of {path}.")
    if not answers:
        raise VluresError(
            f"{path} answers no question of {qa_file.path}; its rows need `image_id`, `question` and the model's text "
            f"as `{TEXT_FIELDS[0]}`."
        )
    return answers


def _index(qa_file: QaFile) -> dict[_Key, UrbanRow | None]:
    """The rows by what they ask; None where several ask it."""
    asked: dict[_Key, UrbanRow | None] = {}
    for row in qa_file.rows:
        asked[row.cluster, row.question, row.written_subtype] = row
        loose = (row.cluster, row.question, None)
        asked[loose] = None if loose in asked else row
    return asked


def _find_row(record: Record, ids: Mapping[str, UrbanRow], asked: Mapping[_Key, UrbanRow | None]) -> UrbanRow | str:
    """The question that a row answers, or why none is found."""
    sample_id, image, question, subtype = (
        record.get(name) for name in ("sample_id", "image_id", "question", "subtype")
    )
    if isinstance(sample_id, str) and sample_id in ids:
        return ids[sample_id]
    if not isinstance(image, str) or not isinstance(question, str):
        unknown = "its `sample_id` is none of the QA file's questions"
        return unknown if sample_id is not None else "without `image_id` or `question`"
    key = (stem_of(image), question, subtype.strip() if isinstance(subtype, str) else None)
    if key not in asked:
        return "answers none of the QA file's questions"
    return asked[key] or "answers a question that several rows of the QA file ask; add its `subtype`"


def _find_text(record: Record) -> str | ValueError | None:
    for name in TEXT_FIELDS:
        if name in record:
            text = record[name]
            if text is None or isinstance(text, str):
                return text
            if isinstance(text, int | float):
                return str(text)
            return ValueError(f"its `{name}` is not a text")
    return ValueError(f"without the model's text (`{TEXT_FIELDS[0]}`)")


_KEPT: Mapping[object, Status] = {"truncated": "truncated", "refused": "refused"}
"""States of predictions.jsonl: what was cut off stays so, whatever its text says."""


def _as_response(text: str | None, state: object) -> Response:
    status = _KEPT.get(state) if isinstance(state, str) else None
    return Response(key="", status=status or ("failed" if text is None else "ok"), text=text)

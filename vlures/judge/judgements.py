"""Stored replies of a judge → verdicts. What is not there, or is no verdict, is missing with its reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vlures.judge.answers import digest_text
from vlures.judge.benchmark import JudgeBenchmark, question_of
from vlures.judge.controls import Item
from vlures.judge.forms import Form, Invalid, Reading, read_reply
from vlures.judge.verdicts import CHANGED, DUE, Verdict
from vlures.records import Cell, Request
from vlures.runs.allowances import is_answer_to
from vlures.store.checkpoints import CheckpointStore


def collect_verdicts(benchmark: JudgeBenchmark, store: CheckpointStore) -> Iterator[Verdict]:
    """A verdict for every judgement that is selected, and for every other answer that was ever judged."""
    answers = benchmark.answers
    rater, rubric_name = store.folder.parent.name, store.variant.label.removeprefix("judge_")
    stored = Replies(store)
    items = dict(benchmark.items)
    for answer in answers.judged:  # judged by an earlier run that selected more
        item = Item("answer", answer, None, answer.image, answer.assignment, answer.text)
        if store.entry(*_place(item)) is not None:
            items.setdefault(question_of(item), item)
    for question, item in items.items():
        reply = stored.find(question.cell, question.sample_id)
        request = benchmark.request_of(question, item)
        reading = read_standing(reply, request, benchmark.asked.provider, stored.allowances, benchmark.form)
        answer = item.answer
        yield Verdict(
            rater=rater,
            kind="judge",
            run=answers.run,
            variant=answer.id.variant,
            cell=answer.id.cell,
            sample_id=answer.id.sample_id,
            answer_digest=digest_text(item.text),
            image_digest=answer.image.digest,
            control=item.control,
            rubric=benchmark.rubric_digest(answer),
            rubric_name=rubric_name,
            language=answer.assignment.language,
            model=(reply or {}).get("model"),
            **_as_fields(reading),
        )


def _place(item: Item) -> tuple[Cell, str]:
    question = question_of(item)
    return question.cell, question.sample_id


class Replies:
    """The standing replies of a judge, a cell at a time."""

    def __init__(self, store: CheckpointStore) -> None:
        self._store = store
        self._cells: dict[Cell, Mapping[str, Mapping[str, Any]]] = {}
        recorded = store.read_json("run.json").get("allowances") or {}
        self.allowances: list[int] = recorded.get("same_question") or []

    def find(self, cell: Cell, sample_id: str) -> Mapping[str, Any] | None:
        if cell not in self._cells:
            self._cells[cell] = dict(self._store.responses(cell))
        return self._cells[cell].get(sample_id)


def read_standing(
    reply: Mapping[str, Any] | None, request: Request, provider: str, allowances: list[int], form: Form
) -> Reading | str:
    """What a stored reply says; or why it says nothing, as Verdict.missing has it.

    reply: a line of a checkpoint; None if there is none. request: what is asked today. allowances: output token limits
    under which an earlier reply still stands.
    """
    if reply is None:
        return DUE
    status: str = reply["status"]
    if status == "failed":
        return f"failed: {(reply.get('error') or {}).get('code') or 'no reason was given'}"
    digest = reply.get("digest") or ""
    if digest != request.digest and not is_answer_to(request, provider, digest, allowances):
        return CHANGED
    if status != "ok":
        return status
    reading = read_reply(reply.get("text") or "", form)
    return f"invalid: {reading.reason}" if isinstance(reading, Invalid) else reading


def _as_fields(reading: Reading | str) -> dict[str, Any]:
    """Of a verdict."""
    if isinstance(reading, str):
        return {"missing": reading}
    return {
        "overall": reading.overall,
        "criteria": reading.criteria,
        "reasons": reading.reasons,
        "unwrapped": reading.unwrapped,
    }

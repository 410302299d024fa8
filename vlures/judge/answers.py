"""A run's stored answers as what a judge is asked about: each with its image and the task as it was set."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from vlures.benchmarks import Assignment, Question, Subjects, require_stored_variants
from vlures.errors import VluresError, counted
from vlures.judge.verdicts import CHANGED
from vlures.records import Cell, Image, Response
from vlures.results.rehearsal import is_rehearsal
from vlures.store.checkpoints import CheckpointStore

NO_IMAGE = "no image"
"""Counts answers to questions that showed none: a judge has nothing to look at."""


class AnswerId(NamedTuple):
    """Which answer of a run."""

    variant: str
    """The label of the variant that was asked."""
    cell: Cell
    sample_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that can be judged."""

    id: AnswerId
    text: str
    image: Image
    assignment: Assignment
    imported: bool

    @property
    def digest(self) -> str:
        return digest_text(self.text)


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers of a run."""

    run: str
    """The name of its folder."""
    judged: tuple[Answer, ...]
    """Image by image."""
    left_out: Mapping[tuple[str, Cell], Counter[str]]
    """By variant and cell: how many answers are not judged, by their status, NO_IMAGE, or
    CHANGED: their image, article or prompt has, or is gone."""
    models: frozenset[str]
    """That have answered, or were asked."""
    rehearsal: bool
    """A sandbox has answered."""
    missing: tuple[str, ...] = ()
    """What could not be found at all, in sentences."""


@dataclass(slots=True)
class _Found:
    answers: list[Answer] = field(default_factory=list)
    left_out: dict[tuple[str, Cell], Counter[str]] = field(default_factory=dict)
    models: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    rehearsal: bool = False


def digest_text(text: str) -> str:
    """SHA-256 of a text that is rated, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_answers(output_folder: Path, wanted: Callable[[AnswerId], bool], say: Callable[[str], None]) -> Answers:
    """The answers of a run in all its variants. Only whole answers are judged: what was refused, cut off or failed is
    counted. wanted: whether an answer is selected.

    Raises VluresError if the folder holds no run, or one that is a judge's itself.
    """
    found = _Found()
    for package, variant in require_stored_variants(output_folder):
        store = CheckpointStore(output_folder, variant, writable=False, say=say)
        run = store.read_json("run.json")
        refuse_judge(output_folder, run)
        found.rehearsal = found.rehearsal or is_rehearsal(store)
        if isinstance(run.get("model"), str):
            found.models.add(run["model"])
        subjects = package.find_subjects(run, store)
        found.missing += [f"{sentence}; its answers cannot be judged." for sentence in subjects.missing]
        _read_variant(store, subjects, wanted, found)
    order: dict[str, int] = {}
    for answer in found.answers:
        order.setdefault(answer.image.digest, len(order))
    found.answers.sort(key=lambda answer: order[answer.image.digest])
    return Answers(
        output_folder.resolve().name,
        tuple(found.answers),
        found.left_out,
        frozenset(found.models),
        found.rehearsal,
        tuple(found.missing),
    )


def refuse_judge(output_folder: Path, run: Mapping[str, Any]) -> None:
    """Raises VluresError for a run whose answers are judgements. run: its run.json."""
    if run.get("benchmark") == "judge":
        raise VluresError(f"{output_folder} is a judge's own run; name the run whose answers it judges.")


def _read_variant(
    store: CheckpointStore, subjects: Subjects, wanted: Callable[[AnswerId], bool], found: _Found
) -> None:
    label = store.variant.label
    for answer_id, line in _standing(store, label):
        if not wanted(answer_id):
            continue
        response = _convert(store, answer_id, line)
        if response.model is not None:
            found.models.add(response.model)
        left_out = found.left_out.setdefault((label, answer_id.cell), Counter())
        if response.status != "ok" or response.text is None:
            left_out[response.status if response.status != "ok" else "failed"] += 1
            continue
        question = Question(answer_id.cell, answer_id.sample_id)
        subject = subjects.find(question, response, wanted=False)
        assignment = subjects.find_assignment(question, response) if subject is not None else None
        if subject is None or assignment is None:
            left_out[CHANGED] += 1
            continue
        if subject.image is None:
            left_out[NO_IMAGE] += 1
            continue
        found.answers.append(Answer(answer_id, response.text, subject.image, assignment, response.imported is not None))


def _standing(store: CheckpointStore, label: str) -> Iterator[tuple[AnswerId, dict[str, Any]]]:
    """Every standing response, by sample and then by cell."""

    def of_cell(cell: Cell) -> Iterator[tuple[AnswerId, dict[str, Any]]]:
        return ((AnswerId(label, cell, sample_id), line) for sample_id, line in store.responses(cell))

    def order(standing: tuple[AnswerId, dict[str, Any]]) -> tuple[int, str]:
        return len(standing[0].sample_id), standing[0].sample_id  # as responses() orders them

    return heapq.merge(*map(of_cell, store.cells), key=order)


def _convert(store: CheckpointStore, answer_id: AnswerId, line: dict[str, Any]) -> Response:
    try:
        return msgspec.convert(line, Response)
    except msgspec.ValidationError as error:
        raise VluresError(
            f"{store.checkpoint_path(answer_id.cell)}: the answer {line.get('key')} cannot be read ({error}); correct "
            "or remove its line."
        ) from error


def describe_left_out(counts: Mapping[str, int]) -> str:
    """Answers that are not judged, by reason."""
    words = {
        CHANGED: "about an image, an article or a prompt that is gone or has changed",
        NO_IMAGE: "to questions without an image",
    }
    return ", ".join(f"{count:,} {words.get(status, status)}" for status, count in sorted(counts.items()))


def describe_same_texts(answers: Answers) -> str | None:
    """A warning where one text stands under several images of a cell: the original scripts stored one reply to eight
    images under each of them."""
    texts: dict[tuple[str, str, str], set[str]] = {}
    for answer in answers.judged:
        texts.setdefault((answer.id.variant, answer.id.cell, answer.digest), set()).add(answer.image.digest)
    several = [images for images in texts.values() if len(images) > 1]
    if not several:
        return None
    imported = " (as the original zero-shot scripts stored them)" if any(a.imported for a in answers.judged) else ""
    return (
        f"{counted(len(several), 'text', 'stands', 'stand')} under several images of one cell{imported}, "
        f"{max(map(len, several))} at most: they may be answers to several images at once, and their judgements say "
        "nothing about each image."
    )

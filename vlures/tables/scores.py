"""Verdicts as arrays: one rater's scores of the answers of each cell. People are one rater, the mean of all of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from vlures.judge.forms import find_scale
from vlures.judge.verdicts import Verdict
from vlures.metrics.clusters import Codes, Numbers
from vlures.tables.reading import Place, Study

PEOPLE = "people"
"""The rater whose scores are the means of all people's."""

AnswerKey = tuple[str, str]
"""A sample's ID and the digest of the answer's text: what raters of one cell are paired by."""


@dataclass(frozen=True, slots=True)
class CellScores:
    """One rater's scores of a cell's answers, in the same order everywhere."""

    keys: Sequence[AnswerKey]
    values: Numbers
    images: Codes
    """Of the whole study: the same number is the same image in every cell."""
    probabilities: Numbers
    """With which each answer was drawn; NaN where that is unknown."""
    missing: int
    """Answers with verdicts, of which none has a score."""
    asked: frozenset[int]
    """Images of all verdicts, with a score or without."""
    rubrics: frozenset[str]
    models: frozenset[str]
    """That gave the scores."""


@dataclass(frozen=True, slots=True)
class Rater:
    """A judge, a person, or people together."""

    name: str
    kind: Literal["judge", "person"]
    cells: Mapping[Place, CellScores]
    models: frozenset[str]
    wordings: frozenset[str]
    """Names of the wordings."""
    lowest: int
    """Of the scale."""
    highest: int
    persons: int = 0
    """How many people it stands for."""
    controls: Sequence[tuple[Place, Verdict]] = field(default_factory=tuple)


@dataclass(slots=True)
class _Gathered:
    scores: dict[AnswerKey, list[int]] = field(default_factory=dict)
    images: dict[AnswerKey, int] = field(default_factory=dict)
    probabilities: dict[AnswerKey, float] = field(default_factory=dict)
    unscored: set[AnswerKey] = field(default_factory=set)
    """Answers with a verdict that has no score."""
    rubrics: set[str] = field(default_factory=set)
    asked: set[int] = field(default_factory=set)
    models: set[str] = field(default_factory=set)

    def add(self, verdict: Verdict, image: int) -> None:
        self.rubrics.add(verdict.rubric)
        self.asked.add(image)
        key = (verdict.sample_id, verdict.answer_digest)
        if verdict.overall is None:
            self.unscored.add(key)
            return
        if verdict.model is not None:
            self.models.add(verdict.model)
        self.scores.setdefault(key, []).append(verdict.overall)
        self.images[key] = image
        if verdict.probability is not None:
            self.probabilities[key] = verdict.probability

    def as_scores(self) -> CellScores:
        keys = list(self.scores)
        return CellScores(
            keys,
            np.array([sum(scores) / len(scores) for scores in self.scores.values()], dtype=np.float64),
            np.array([self.images[key] for key in keys], dtype=np.intp),
            np.array([self.probabilities.get(key, np.nan) for key in keys], dtype=np.float64),
            len(self.unscored - self.scores.keys()),
            frozenset(self.asked),
            frozenset(self.rubrics),
            frozenset(self.models),
        )


def find_judges(study: Study) -> list[Rater]:
    """Each judge with each of its wordings is a rater of its own: their scores are never averaged."""
    found: dict[tuple[str, str], list[tuple[Place, Verdict]]] = defaultdict(list)
    for place, verdict in study.verdicts:
        if verdict.kind == "judge":
            found[verdict.rater, verdict.rubric_name].append((place, verdict))
    wordings = defaultdict(set)
    for name, wording in found:
        wordings[name].add(wording)
    images = number_images(study)
    return [
        _as_rater(name if len(wordings[name]) == 1 else f"{name} ({wording})", "judge", verdicts, images)
        for (name, wording), verdicts in sorted(found.items())
    ]


def verdicts_of(judge: Rater, study: Study) -> list[Verdict]:
    """All that a judge has ever said, controls among it: what its controls show needs the answers' first scores."""
    return [
        verdict
        for _, verdict in study.given
        if verdict.kind == "judge" and judge.name in (verdict.rater, f"{verdict.rater} ({verdict.rubric_name})")
    ]


def find_people(study: Study) -> Rater | None:
    """All people as one rater; None where nobody has rated an answer."""
    verdicts = [(place, verdict) for place, verdict in study.verdicts if verdict.kind == "person"]
    if not any(verdict.overall is not None and verdict.control is None for _, verdict in verdicts):
        return None
    return _as_rater(PEOPLE, "person", verdicts, number_images(study))


def find_persons(study: Study) -> list[Rater]:
    """Each person as a rater."""
    found: dict[str, list[tuple[Place, Verdict]]] = defaultdict(list)
    for place, verdict in study.verdicts:
        if verdict.kind == "person":
            found[verdict.rater].append((place, verdict))
    images = number_images(study)
    return [_as_rater(name, "person", verdicts, images) for name, verdicts in sorted(found.items())]


def number_images(study: Study) -> dict[str, int]:
    """Digests of images as numbers of clusters."""
    numbers: dict[str, int] = {}
    for _, verdict in study.verdicts:
        numbers.setdefault(verdict.image_digest, len(numbers))
    return numbers


def _as_rater(
    name: str,
    kind: Literal["judge", "person"],
    verdicts: Iterable[tuple[Place, Verdict]],
    images: Mapping[str, int],
) -> Rater:
    gathered: dict[Place, _Gathered] = defaultdict(_Gathered)
    controls: list[tuple[Place, Verdict]] = []
    models, wordings, persons = set(), set(), set()
    scale = find_scale("")
    for place, verdict in verdicts:
        models.add(verdict.model)
        wordings.add(verdict.rubric_name)
        persons.add(verdict.rater)
        scale = find_scale(verdict.rubric_name)  # a judge has one wording
        if verdict.control is not None:
            controls.append((place, verdict))
        else:
            gathered[place].add(verdict, images[verdict.image_digest])
    cells = {place: cell.as_scores() for place, cell in gathered.items()}
    return Rater(
        name,
        kind,
        cells,
        frozenset(model for model in models if model is not None),
        frozenset(wordings),
        *scale,
        persons=len(persons) if kind == "person" else 0,
        controls=controls,
    )


def align(first: CellScores, second: CellScores) -> tuple[Codes, Codes]:
    """The places, in each of the two, of the answers that both have a score of."""
    places = {key: place for place, key in enumerate(second.keys)}
    both = [(place, places[key]) for place, key in enumerate(first.keys) if key in places]
    pairs = np.array(both, dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]

"""A set of question-answer pairs: which are asked of each image, which subtypes are left out, what the set holds."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from vlures.benchmarks.urban.subtypes import read_wordings
from vlures.benchmarks.urban.synthesis.facts import ViewFacts
from vlures.benchmarks.urban.synthesis.metadata import Metadata
from vlures.benchmarks.urban.synthesis.rows import Row, make_traced_row
from vlures.benchmarks.urban.synthesis.rules import Made, NotMade, make_questions
from vlures.benchmarks.urban.synthesis.splits import Shares, choose_splits
from vlures.benchmarks.urban.synthesis.texts import draw
from vlures.errors import UsageError

SPLIT_FILES = {"train": "train.jsonl", "val": "val.jsonl", "test": "test.jsonl"}
"""Split → the name of its QA file."""


@dataclass(frozen=True, slots=True)
class Choices:
    """What is made of the metadata."""

    seed: int
    shares: Shares
    cot: bool = False
    """Rows have a target for a model that reasons."""
    constant_labels: bool = False
    """Subtypes whose answer is always the same are kept."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A subtype whose answer is always the same."""

    answer: str
    why: str
    """The end of a sentence."""
    questions: int


@dataclass(frozen=True, slots=True)
class QaSet:
    """Questions about images, made anew whenever they are asked for: millions of rows need no memory."""

    facts: tuple[ViewFacts, ...]
    splits: Mapping[str, str]
    """Image → split."""
    choices: Choices
    constants: Mapping[str, Constant]
    """By subtype."""
    not_made: Mapping[tuple[str, str], int]
    """(subtype, reason) → how often it was not asked."""

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Every row with its split, image by image."""
        for facts in self.facts:
            for made in make_questions(facts):
                if isinstance(made, Made) and self._is_kept(made.subtype):
                    row = make_traced_row(made, facts.image_id, self.choices.seed, cot=self.choices.cot)
                    yield self.splits[facts.image_id], row

    def _is_kept(self, subtype: str) -> bool:
        return self.choices.constant_labels or subtype not in self.constants


def make_qa_set(metadata: Metadata, choices: Choices) -> QaSet:
    """The same metadata and choices give the same rows."""
    facts = tuple(_choose_objects(each, choices.seed) for each in metadata.facts)
    answers: dict[str, set[str]] = {}
    asked: Counter[str] = Counter()
    not_made: Counter[tuple[str, str]] = Counter()
    for each in facts:
        for made in make_questions(each):
            if isinstance(made, NotMade):
                not_made[made.subtype, made.reason] += 1
            else:
                answers.setdefault(made.subtype, set()).add(made.answer)
                asked[made.subtype] += 1
    constants = {}
    for name, subtype in read_wordings().subtypes.items():
        if len(answers.get(name, ())) == 1:
            why = "by its rule" if subtype.constant else "in these images"
            constants[name] = Constant(min(answers[name]), why, asked[name])
    names = sorted(each.image_id for each in facts)
    splits = choose_splits(len(names), random.Random(f"{choices.seed} splits"), choices.shares)  # noqa: S311
    return QaSet(facts, dict(zip(names, splits, strict=True)), choices, constants, not_made)


def _choose_objects(facts: ViewFacts, seed: int) -> ViewFacts:
    """Every visible object is asked about, and as many absent ones, by the seed; at least one, so that an empty street
    is asked about too."""
    visible = [name for name, count in facts.counts.items() if count]
    absent = [name for name, count in facts.counts.items() if not count]
    absent.sort(key=lambda name: draw(seed, "absent", facts.image_id, name))
    return replace(facts, asked_objects=(*visible, *sorted(absent[: max(1, len(visible))])))


def read_shares(text: str) -> Shares:
    """`70,15,15` as the shares of train, val and test. Raises UsageError."""
    try:
        percents = [float(part) for part in text.split(",")]
    except ValueError:
        percents = []
    are_shares = len(percents) == len(SPLIT_FILES) and all(0 <= each <= 100 for each in percents)
    if not are_shares or not math.isclose(sum(percents), 100):
        raise UsageError(
            f"--split {text}: write three percentages whose sum is 100, for train, val and test, such as 70,15,15."
        )
    return tuple((name, percent / 100) for name, percent in zip(SPLIT_FILES, percents, strict=True))

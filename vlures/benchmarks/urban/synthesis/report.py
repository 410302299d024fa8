"""What a set of question-answer pairs holds, for programs and for people."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from vlures import __version__
from vlures.benchmarks.urban.subtypes import AnswerKind, Subtype, find_subtype, read_wordings
from vlures.benchmarks.urban.synthesis.facts import DepthKind
from vlures.benchmarks.urban.synthesis.metadata import Metadata
from vlures.benchmarks.urban.synthesis.paraphrases import Paraphrases
from vlures.benchmarks.urban.synthesis.qa_set import SPLIT_FILES, QaSet
from vlures.benchmarks.urban.synthesis.rows import Row

MEASURED: tuple[AnswerKind, ...] = ("proportion", "number")
"""Kinds of answers that are told by their range, not by how often each is given."""


@dataclass(slots=True)
class Tally:
    """Counts rows as they are written."""

    images: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in SPLIT_FILES})
    """Split → its images."""
    questions: Counter[str] = field(default_factory=Counter)
    """By split."""
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    """Subtype, as rows have it → answer → how often it is given."""
    asked: dict[str, set[str]] = field(default_factory=dict)
    """Subtype → its images."""

    def add(self, split: str, row: Row) -> None:
        self.images[split].add(row["image_id"])
        self.questions[split] += 1
        self.answers.setdefault(row["subtype"], Counter())[row["answer"]] += 1
        self.asked.setdefault(row["subtype"], set()).add(row["image_id"])

    def subtypes(self) -> list[tuple[str, Subtype]]:
        """In the order of subtypes.toml, each followed by its paraphrases."""
        order = list(read_wordings().subtypes)
        found = [(name, subtype) for name in self.answers if (subtype := find_subtype(name)) is not None]
        return sorted(found, key=lambda item: (order.index(item[1].name), item[0] != item[1].name))


def describe_set(
    metadata: Metadata, depth: DepthKind | None, qa_set: QaSet, tally: Tally, found: Paraphrases | None
) -> dict[str, Any]:
    """All that qa.json holds: what the set was made from and how, and what is in it.

    depth: how depths were read of records that do not say it. found: None where no paraphrases were asked for.
    """
    choices = qa_set.choices
    return {
        "vlures": __version__,
        "metadata": {
            "file": metadata.path.name,
            "sha256": metadata.digest,
            "images": len(metadata.facts),
            "left_out": metadata.left_out,
        },
        "seed": choices.seed,
        "split": {name: round(share, 6) for name, share in choices.shares},
        "depth": depth,
        "cot": choices.cot,
        "constant_labels": choices.constant_labels,
        "files": {
            name: {"images": len(tally.images[split]), "questions": tally.questions[split]}
            for split, name in SPLIT_FILES.items()
        },
        "subtypes": _describe_subtypes(tally),
        "constant": _describe_constants(qa_set),
        "not_asked": describe_left_out(qa_set),
        "paraphrases": None
        if found is None
        else {"used": len(found.answers), "left_out": dict(found.refused.most_common())},
    }


def _describe_subtypes(tally: Tally) -> dict[str, Any]:
    """Subtype → its numbers."""
    return {
        name: {
            "questions": tally.answers[name].total(),
            "images": len(tally.asked[name]),
            **_describe_answers(tally.answers[name], subtype.answer),
        }
        for name, subtype in tally.subtypes()
    }


def _describe_answers(answers: Counter[str], kind: AnswerKind) -> dict[str, Any]:
    """How often each answer is given, or the range of those that are measured."""
    if kind not in MEASURED:
        return {"answers": dict(_by_times(answers))}
    values = sorted(map(float, answers.elements()))
    return {"lowest": values[0], "median": round(statistics.median(values), 4), "highest": values[-1]}


def _by_times(answers: Counter[str]) -> list[tuple[str, int]]:
    return sorted(answers.items(), key=lambda item: (-item[1], item[0]))


def _describe_constants(qa_set: QaSet) -> dict[str, Any]:
    """Subtypes whose answer is always the same."""
    return {
        name: {
            "answer": constant.answer,
            "constant": constant.why,
            "questions": constant.questions,
            "kept": qa_set.choices.constant_labels,
        }
        for name, constant in qa_set.constants.items()
    }


def describe_left_out(qa_set: QaSet) -> list[dict[str, Any]]:
    """What was not asked, and why: subtypes in their usual order, the commonest reason first."""
    subtypes = read_wordings().subtypes
    order = list(subtypes)
    entries = sorted(qa_set.not_made.items(), key=lambda item: (order.index(item[0][0]), -item[1], item[0][1]))
    return [
        {"subtype": subtype, "reason": reason, "times": times}
        for (subtype, reason), times in entries
        if qa_set.choices.constant_labels or not subtypes[subtype].constant
    ]


def tabulate_subtypes(tally: Tally) -> str:
    """A line per subtype. One whose answers are nearly always the same tells little about a model; so the commonest
    answer stands beside it."""
    lines = []
    for name, subtype in tally.subtypes():
        answer, times = _by_times(tally.answers[name])[0]
        total = tally.answers[name].total()
        lines.append([subtype.group, name, total, len(tally.asked[name]), f"{answer} ({times / total:.0%})"])
    return _tabulate(lines, ["group", "subtype", "questions", "images", "commonest answer"], "llrrl")


def tabulate_constants(qa_set: QaSet) -> str:
    """A line per subtype with a constant answer."""
    lines = [[name, each.questions, each.answer, each.why] for name, each in qa_set.constants.items()]
    return _tabulate(lines, ["always the same answer", "questions", "answer", "constant"], "lrll")


def tabulate_left_out(qa_set: QaSet) -> str:
    """A line per subtype and reason."""
    lines = [[each["subtype"], each["times"], each["reason"]] for each in describe_left_out(qa_set)]
    return _tabulate(lines, ["not asked", "times", "because"], "lrl")


def _tabulate(lines: Sequence[Sequence[object]], headers: Sequence[str], sides: str) -> str:
    """sides: for each column `l` or `r`."""
    from tabulate import tabulate

    aligned = ["right" if side == "r" else "left" for side in sides]
    return tabulate(lines, headers, tablefmt="simple", disable_numparse=True, colalign=aligned)

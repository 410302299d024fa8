"""The answers that people can rate: those with status `ok` whose image and article still are what was asked about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlures.benchmarks import require_stored_variants
from vlures.errors import UsageError, VluresError, counted
from vlures.judge.answers import Answer, AnswerId, digest_text, read_answers
from vlures.judge.verdicts import about, read_verdicts
from vlures.records import Cell, Image


@dataclass(frozen=True, slots=True)
class Candidate:
    """An answer, with everything that a rater needs to know about it and nothing of who gave it."""

    run: str
    """The name of the run's folder."""
    variant: str
    """Its label."""
    cell: Cell
    sample_id: str
    language: str | None
    """Of the answer, as a BCP 47 tag."""
    answer: str
    image: Image
    task: str
    """As it was asked."""
    article: str | None
    """None where the model had none."""
    judged: float | None = None
    """A judge's overall score, to draw evenly from good and bad answers."""

    @property
    def answer_digest(self) -> str:
        return digest_text(self.answer)


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates of some runs, and what is none."""

    candidates: Sequence[Candidate]
    runs: Mapping[str, Path]
    """Name → folder."""
    left_out: Mapping[str, int]
    """Responses that are no candidates, by their status, CHANGED or NO_IMAGE."""


def find_candidates(
    folders: Sequence[Path], selection: Mapping[str, Any], judge: str | None, say: Callable[[str], None]
) -> Found:
    """All candidates of the runs.

    selection: only these cells, by the options of the runs' benchmarks. judge: whose scores are known; by default the
    only judge of each run. Raises UsageError for two runs of one name and an unknown judge or selection, VluresError
    where a run cannot be read.
    """
    runs: dict[str, Path] = {}
    candidates: list[Candidate] = []
    left_out: Counter[str] = Counter()
    for folder in folders:
        name = folder.resolve().name
        if name in runs:
            raise UsageError(
                f"{runs[name]} and {folder} have one name, and verdicts go by it; make a set of sheets for each."
            )
        runs[name] = folder
        answers = read_answers(folder, _choose(folder, selection), say)
        for sentence in answers.missing:
            say(sentence)
        for counts in answers.left_out.values():
            left_out.update(counts)
        scores = find_scores(folder, judge, say)
        candidates += (_make_candidate(name, answer, scores.get(answer.id)) for answer in answers.judged)
    if not candidates:
        raise VluresError(
            f"{', '.join(map(str, folders))}: no answer with status ok is there whose image is still what was asked "
            "about; see `vlures status`."
        )
    return Found(candidates, runs, left_out)


def _choose(folder: Path, selection: Mapping[str, Any]) -> Callable[[AnswerId], bool]:
    """A test of whether an answer is among those that the selection names."""
    if not selection:
        return lambda _: True
    packages = {variant.label: package for package, variant in require_stored_variants(folder)}
    rules = {label: package.read_selection(selection) for label, package in packages.items()}
    return lambda answer: rules[answer.variant](answer.cell)


def _make_candidate(run: str, answer: Answer, judged: float | None) -> Candidate:
    asked = answer.assignment
    return Candidate(
        *(run, answer.id.variant, answer.id.cell, answer.id.sample_id, asked.language, answer.text, answer.image),
        *(asked.task or asked.wording, asked.article, judged),
    )


def find_scores(folder: Path, judge: str | None, say: Callable[[str], None]) -> dict[AnswerId, float]:
    """A judge's overall scores of a run: variant, cell and sample → score, the mean of several.

    judge: its name; None: the only one, or none where there are several: their scores are not comparable. Raises
    UsageError if the run has no verdicts of this judge.
    """
    found: dict[str, dict[AnswerId, list[int]]] = {}
    for verdict in read_verdicts(folder):
        if verdict.kind == "judge" and verdict.control is None and verdict.overall is not None:
            _, variant, cell, sample_id = about(verdict)
            found.setdefault(verdict.rater, {}).setdefault(AnswerId(variant, cell, sample_id), []).append(
                verdict.overall
            )
    if judge is not None and judge not in found:
        there = f"there are {', '.join(sorted(found))}" if found else "there are none"
        raise UsageError(f"{folder} has no scores by the judge {judge}; {there}.")
    if judge is None and len(found) > 1:
        say(
            f"{folder} has scores by {counted(len(found), 'judge')}, so its answers are drawn without regard to any; "
            f"choose one with --judge: {', '.join(sorted(found))}."
        )
    if judge is None and len(found) != 1:
        return {}
    return {answer: _mean(scores) for answer, scores in found[judge or next(iter(found))].items()}


def _mean(scores: Iterable[int]) -> float:
    scores = list(scores)
    return sum(scores) / len(scores)

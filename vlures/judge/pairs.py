"""Two runs' answers to the same questions, of which a judge chooses the better one: asked in both orders.

A judge that chooses the other answer when the order is turned has no preference: it is counted as a flip, never as half
a win.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from vlures.benchmarks import FindFault, Question, Skips, digest_content, make_request
from vlures.errors import VluresError, counted
from vlures.files.writing import write_whole
from vlures.judge.answers import Answer, AnswerId, Answers
from vlures.judge.benchmark import (
    describe_judged,
    describe_packs,
    list_cells,
    note_answers,
    refuse_nothing,
    refuse_other_wordings,
    select,
)
from vlures.judge.forms import PAIRWISE_FORM, Reading, find_fault
from vlures.judge.judgements import Replies, read_standing
from vlures.judge.options import Options
from vlures.judge.packs import JudgePack, choose_pack, digest_pack
from vlures.judge.prompts import PromptWriter
from vlures.judge.variant import JudgeVariant, make_cell, make_sample_id, parse_cell
from vlures.judge.verdicts import JUDGED
from vlures.records import AskedModel, Cell, Image, Request
from vlures.store.checkpoints import CheckpointStore

PREFERENCES_FILE = "preferences.jsonl"
SUMMARY_FILE = "preferences.json"
EXPECTED_TOKENS = 180

Order = Literal["straight", "turned"]
ORDERS: tuple[Order, Order] = ("straight", "turned")
"""straight: the judged run's answer is shown first."""

Decision = Literal["first run", "second run", "neither", "flip", "split", "missing"]
"""neither: in both orders. flip: the other one when the order is turned. split: one in one order, neither in the other.
Flips and splits are no preference."""
DECISIONS: tuple[Decision, ...] = ("first run", "second run", "neither", "flip", "split", "missing")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two runs' answers to one question."""

    first: Answer
    second: Answer


@dataclass(frozen=True, slots=True)
class Preference:
    """What a judge has said of a pair, in both orders."""

    judge: str
    runs: tuple[str, str]
    variant: str
    cell: Cell
    sample_id: str
    image_digest: str
    decision: Decision
    choices: Mapping[Order, str]
    """Order → first, second or neither, as shown; or why it is missing."""
    reasons: Mapping[Order, str]
    rubric: str
    model: str | None
    answer_digests: tuple[str, str] = ("", "")
    """SHA-256 of both answers, in hexadecimal; empty where an earlier version wrote this."""


def read_preferences(output_folder: Path) -> list[Preference]:
    """What judges have said of pairs with a run's answers. Raises VluresError for a file that cannot be read."""
    found = []
    for path in sorted((output_folder / JUDGED).glob(f"*/{PREFERENCES_FILE}")):
        try:
            found += msgspec.json.Decoder(Preference).decode_lines(path.read_bytes())
        except msgspec.MsgspecError as error:
            raise VluresError(
                f"{path} cannot be read as lines of preferences ({error}); run `vlures judge --pairwise` again."
            ) from None
    return found


@dataclass(frozen=True)
class PairBenchmark:
    """A cell per cell of the judged run, two samples per pair, as vlures.benchmarks.Benchmark."""

    options: Options
    asked: AskedModel
    answers: tuple[Answers, Answers]
    packs: Mapping[str, JudgePack]
    skips: Skips | None = None
    name: str = field(default="judge", init=False)

    @cached_property
    def variant(self) -> JudgeVariant:
        return self.options.variant

    @cached_property
    def pairs(self) -> Mapping[AnswerId, Pair]:
        """Answers to the same question about the same image, image by image."""
        others = {answer.id: answer for answer in self.answers[1].judged}
        found = {}
        for first in select(self.answers[0].judged, self.options):
            second = others.get(first.id)
            if second is None or not _is_same_question(first, second):
                continue
            if self.skips is None or not self.skips(first.image):
                found[first.id] = Pair(first, second)
        return found

    @property
    def unmatched(self) -> int:
        """Selected answers of the first run without one of the second to the same question."""
        return len(select(self.answers[0].judged, self.options)) - len(self.pairs)

    def cells(self) -> Sequence[Cell]:
        return list_cells(self.answers[0])

    def questions(self) -> Iterator[Question]:
        return (_question(answer_id, order) for answer_id in self.pairs for order in ORDERS)

    def request(self, question: Question) -> Request:
        answer_id, order = _read_question(question)
        pair = self.pairs[answer_id]
        texts = (pair.first.text, pair.second.text) if order == "straight" else (pair.second.text, pair.first.text)
        image = pair.first.image
        pack = choose_pack(self.packs, pair.first.assignment.language)
        prompt = self._writers[pack.tag].write_pair(pair.first.assignment, texts, image.digest)
        return make_request(question, self.variant, self.asked, prompt, image, pack.tag, self._schema)

    @cached_property
    def _schema(self) -> dict[str, Any]:
        return PAIRWISE_FORM.schema()

    @cached_property
    def _writers(self) -> Mapping[str, PromptWriter]:
        return {tag: PromptWriter(pack) for tag, pack in self.packs.items()}

    def images(self) -> Iterator[Image]:
        return iter({pair.first.image.digest: pair.first.image for pair in self.pairs.values()}.values())

    def left_out(self, cell: Cell) -> int:
        """Answers of the first run that are in no pair."""
        variant, answered = parse_cell(cell)
        there = sum(answer.id[:2] == (variant, answered) for answer in self.answers[0].judged)
        paired = sum(answer_id[:2] == (variant, answered) for answer_id in self.pairs)
        return self.answers[0].left_out.get((variant, answered), Counter()).total() + there - paired

    def expected_output_tokens(self, cell: Cell) -> int:  # noqa: ARG002 (the same in all)
        return EXPECTED_TOKENS

    def describe(self) -> Mapping[str, Any]:
        by_cell: dict[Cell, list[tuple[str, str, str]]] = {cell: [] for cell in self.cells()}
        wording = sorted(map(digest_pack, self.packs.values()))
        for answer_id, pair in self.pairs.items():
            shown = (answer_id.sample_id, pair.first.digest, pair.second.digest)
            by_cell[make_cell(answer_id.variant, answer_id.cell)].append(shown)
        return {
            "prompt_digests": dict.fromkeys(by_cell, digest_content(wording)),
            "data_digests": {cell: digest_content(shown) for cell, shown in by_cell.items()},
            "judge": {
                "pairwise": [describe_judged(answers, self.asked) for answers in self.answers],
                "pairs": len(self.pairs),
                "unmatched": self.unmatched,
                "wording": describe_packs(self.packs),
            },
        }

    @property
    def find_fault(self) -> FindFault:
        return find_fault(PAIRWISE_FORM)

    def conclude(self, store: CheckpointStore) -> None:
        found = list(self.collect(store))
        lines = "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in found)
        write_whole(store.folder.parent / PREFERENCES_FILE, lines)
        summary = summarise(found) | {"runs": self._runs, "unmatched": self.unmatched}
        write_whole(store.folder.parent / SUMMARY_FILE, json.dumps(summary, ensure_ascii=False, indent=2) + "\n")

    @property
    def _runs(self) -> tuple[str, str]:
        return self.answers[0].run, self.answers[1].run

    def collect(self, store: CheckpointStore) -> Iterator[Preference]:
        """What the stored replies say of each pair."""
        stored = Replies(store)
        for answer_id, pair in self.pairs.items():
            choices: dict[Order, str] = {}
            reasons: dict[Order, str] = {}
            model = None
            for order in ORDERS:
                question = _question(answer_id, order)
                reply = stored.find(question.cell, question.sample_id)
                request, provider = self.request(question), self.asked.provider
                reading = read_standing(reply, request, provider, stored.allowances, PAIRWISE_FORM)
                choices[order], reasons[order] = _read_choice(reading)
                model = (reply or {}).get("model") or model
            yield Preference(
                store.folder.parent.name,
                self._runs,
                *answer_id,
                pair.first.image.digest,
                decide(choices["straight"], choices["turned"]),
                choices,
                reasons,
                digest_pack(choose_pack(self.packs, pair.first.assignment.language)),
                model,
                (pair.first.digest, pair.second.digest),
            )

    def check_folder(self, store: CheckpointStore) -> None:
        refuse_other_wordings(store)

    def mark_folder(self, store: CheckpointStore) -> None: ...

    def notes(self) -> Iterator[str]:
        for answers in self.answers:
            yield from note_answers(answers, self.asked)
        if self.unmatched:
            yield (
                f"{counted(self.unmatched, 'answer')} of {self._runs[0]} without one of {self._runs[1]} to the same "
                "question about the same image: not compared."
            )


def decide(straight: str, turned: str) -> Decision:
    """What the choices in both orders add up to."""
    if not {straight, turned} <= {"first", "second", "neither"}:
        return "missing"
    if "neither" in (straight, turned):
        return "neither" if straight == turned else "split"
    if straight == turned:  # the same place, so the other answer
        return "flip"
    return "first run" if straight == "first" else "second run"


def summarise(preferences: Sequence[Preference]) -> dict[str, Any]:
    """Decisions, in all and by cell; of the pairs decided in both orders, the share that flipped; what is missing."""
    cells: dict[str, Counter[str]] = {}
    missing: Counter[str] = Counter()
    for each in preferences:
        cells.setdefault(make_cell(each.variant, each.cell), Counter())[each.decision] += 1
        if each.decision == "missing":
            missing.update(choice for choice in each.choices.values() if choice not in ("first", "second", "neither"))
    everything: Counter[str] = sum(cells.values(), Counter())
    decided = everything.total() - everything["missing"]
    return {
        "decisions": _in_order(everything),
        "flip_rate": round(everything["flip"] / decided, 4) if decided else None,
        "missing": dict(missing),
        "cells": {cell: _in_order(counts) for cell, counts in cells.items()},
    }


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {decision: counts.get(decision, 0) for decision in DECISIONS}


def _read_choice(reading: Reading | str) -> tuple[str, str]:
    """A choice and its reasons; or why it is missing, and nothing."""
    if isinstance(reading, str):
        return reading, ""
    assert reading.choice is not None  # PAIRWISE_FORM has one
    return reading.choice, reading.reasons


def _is_same_question(first: Answer, second: Answer) -> bool:
    return first.image.digest == second.image.digest and first.assignment == second.assignment


def _question(answer_id: AnswerId, order: Order) -> Question:
    return Question(make_cell(answer_id.variant, answer_id.cell), make_sample_id(order, answer_id.sample_id))


def _read_question(question: Question) -> tuple[AnswerId, Order]:
    variant, cell = parse_cell(question.cell)
    written, _, sample_id = question.sample_id.partition("~")
    return AnswerId(variant, cell, sample_id), "straight" if written == "straight" else "turned"


def load_pairs(
    options: Options,
    asked: AskedModel,
    first: Answers,
    second: Answers,
    packs: Mapping[str, JudgePack],
    skips: Skips | None,
) -> PairBenchmark:
    """Raises VluresError where the runs have no question in common."""
    assert options.judged is not None
    for folder, answers in ((options.judged, first), (options.pairwise or "", second)):
        if not answers.judged:
            refuse_nothing(folder, answers)
    benchmark = PairBenchmark(options, asked, (first, second), packs, skips)
    if not benchmark.pairs:
        raise VluresError(
            f"{options.judged} and {options.pairwise} have no answers to the same question about the same image; "
            "compare runs of one setting over the same samples."
        )
    return benchmark

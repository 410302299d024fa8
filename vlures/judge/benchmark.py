"""A run's answers as a benchmark: every request asks a judge about one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from vlures.benchmarks import FindFault, Question, Skips, digest_content, make_request
from vlures.errors import UsageError, VluresError
from vlures.judge.answers import (
    Answer,
    AnswerId,
    Answers,
    describe_left_out,
    describe_same_texts,
    digest_text,
    read_answers,
)
from vlures.judge.controls import Item, list_items
from vlures.judge.families import find_family
from vlures.judge.forms import Form, find_fault, form_of
from vlures.judge.options import UPSTREAM, Options
from vlures.judge.packs import PACKS, JudgePack, choose_pack, digest_pack, load_pack
from vlures.judge.prompts import PromptWriter, build_upstream_prompt
from vlures.judge.variant import JudgeVariant, make_cell, make_sample_id, parse_cell
from vlures.judge.verdicts import VERDICTS_FILE, write_verdicts
from vlures.records import AskedModel, Cell, Image, Request
from vlures.store.checkpoints import CheckpointStore

EXPECTED_TOKENS = 200
"""Of a judgement in English: reasons of about 140 words and the scores. A guess; real usage replaces it."""
EXPECTED_UPSTREAM_TOKENS = 10


@dataclass(frozen=True)
class JudgeBenchmark:
    """A cell per cell of the judged run, a sample per judgement, as vlures.benchmarks.Benchmark."""

    options: Options
    asked: AskedModel
    answers: Answers
    """All of the run, selected or not."""
    packs: Mapping[str, JudgePack]
    """By BCP 47 tag. English is always there."""
    skips: Skips | None = None
    """Images that are left out."""
    name: str = field(default="judge", init=False)

    @cached_property
    def variant(self) -> JudgeVariant:
        return self.options.variant

    @cached_property
    def form(self) -> Form:
        """Of a reply."""
        return form_of(self.variant.label)

    def cells(self) -> Sequence[Cell]:
        return list_cells(self.answers)

    def questions(self) -> Iterator[Question]:
        return iter(self.items)

    @cached_property
    def items(self) -> Mapping[Question, Item]:
        """The judgements that the options select, image by image."""
        options = self.options
        share = 0.0 if options.is_upstream else options.share  # a judge without an image is blind anyway
        items = list_items(select(self.answers.judged, options), share, options.repeats, options.control_seed, self.pad)
        order: dict[str, int] = {}
        for answer in self.answers.judged:
            order.setdefault(answer.image.digest, len(order))
        items.sort(key=lambda item: order[(item.image or item.answer.image).digest])
        return {question_of(item): item for item in items if not self._is_skipped(item)}

    def pad(self, language: str | None) -> tuple[str, str]:
        """Sentences without content in an answer's language, or in English."""
        padding = load_pack(language if language is not None and language in PACKS else "en").padding
        return padding.before, padding.after

    def request(self, question: Question) -> Request:
        return self.request_of(question, self.items[question])

    def request_of(self, question: Question, item: Item) -> Request:
        """The request of a judgement, selected or not."""
        image = None if self.options.is_upstream else item.image
        salt = image.digest if image is not None else ""
        if self.options.is_upstream:
            prompt = build_upstream_prompt(item.assignment, item.text, item.answer.image.path.name, salt)
            return make_request(question, self.variant, self.asked, prompt, None, "en", self._schema)
        pack = choose_pack(self.packs, item.answer.assignment.language)
        prompt = self._writers[pack.tag].write(item.assignment, item.text, salt)
        return make_request(question, self.variant, self.asked, prompt, image, pack.tag, self._schema)

    @cached_property
    def _schema(self) -> dict[str, Any]:
        """One object shared by all requests."""
        return self.form.schema()

    @cached_property
    def _writers(self) -> Mapping[str, PromptWriter]:
        return {tag: PromptWriter(pack, self.options.judge_what) for tag, pack in self.packs.items()}

    def images(self) -> Iterator[Image]:
        return iter({item.answer.image.digest: item.answer.image for item in self.items.values()}.values())

    def left_out(self, cell: Cell) -> int:
        """Answers that were refused, cut off or failed, or are about something else by now."""
        return self.answers.left_out.get(parse_cell(cell), Counter()).total()

    def expected_output_tokens(self, cell: Cell) -> int:  # noqa: ARG002 (the form decides, not the cell)
        return EXPECTED_UPSTREAM_TOKENS if self.options.is_upstream else EXPECTED_TOKENS

    def describe(self) -> Mapping[str, Any]:
        by_cell: dict[Cell, list[tuple[str, str, str]]] = {cell: [] for cell in self.cells()}
        wordings: dict[Cell, set[str]] = {cell: set() for cell in self.cells()}
        for question, item in self.items.items():
            if item.control is None:
                shown = (item.answer.id.sample_id, item.answer.digest, item.answer.image.digest)
                by_cell[question.cell].append(shown)
                wordings[question.cell].add(self.rubric_digest(item.answer))
        return {
            "prompt_digests": {cell: digest_content(sorted(found)) for cell, found in wordings.items()},
            "data_digests": {cell: digest_content(shown) for cell, shown in by_cell.items()},
            "judge": {
                **describe_judged(self.answers, self.asked),
                "rubric": self.options.rubric or "vlures",
                "what": self.options.judge_what,
                "scale": [self.form.lowest, self.form.highest],
                "control_seed": self.options.control_seed,
                "controls": Counter(item.control for item in self.items.values() if item.control is not None),
                "wording": self._describe_wording(),
            },
        }

    def _describe_wording(self) -> Mapping[str, Any]:
        """Every word that the judge is told besides what it judges."""
        if self.options.is_upstream:
            return {UPSTREAM: {"digest": self._upstream_digest, "text": self._upstream_wording}}
        return describe_packs(self.packs)

    @cached_property
    def _upstream_wording(self) -> str:
        from vlures.benchmarks import Assignment

        prompt = build_upstream_prompt(Assignment("{task}", "{article}", "", None), "{answer}", "{image}", "")
        return f"{prompt.system}\n\n{prompt.user}"

    @cached_property
    def _upstream_digest(self) -> str:
        return digest_text(self._upstream_wording)

    def rubric_digest(self, answer: Answer) -> str:
        """Of the wording by which an answer is judged."""
        if self.options.is_upstream:
            return self._upstream_digest
        return self._digests[choose_pack(self.packs, answer.assignment.language).tag]

    @cached_property
    def _digests(self) -> Mapping[str, str]:
        return {tag: digest_pack(pack) for tag, pack in self.packs.items()}

    @cached_property
    def find_fault(self) -> FindFault:
        return find_fault(self.form)

    def conclude(self, store: CheckpointStore) -> None:
        from vlures.judge.judgements import collect_verdicts

        write_verdicts(store.folder.parent / VERDICTS_FILE, collect_verdicts(self, store))

    def check_folder(self, store: CheckpointStore) -> None:
        refuse_other_wordings(store)

    def mark_folder(self, store: CheckpointStore) -> None: ...

    def notes(self) -> Iterator[str]:
        if self.options.is_upstream:
            yield (
                "--rubric upstream: the original judge's criteria, one score from 0 to 100, and no image is shown. Its "
                "scores are for comparison only; it has no controls, since it cannot see."
            )
        yield from note_answers(self.answers, self.asked)

    def _is_skipped(self, item: Item) -> bool:
        return self.skips is not None and item.image is not None and self.skips(item.image)


def question_of(item: Item) -> Question:
    answer = item.answer.id
    return Question(make_cell(answer.variant, answer.cell), make_sample_id(item.name, answer.sample_id))


def list_cells(answers: Answers) -> list[Cell]:
    """The cells of a judge, in the order of the judged run's."""
    found = {(answer.id.variant, answer.id.cell) for answer in answers.judged} | answers.left_out.keys()
    return [make_cell(variant, cell) for variant, cell in sorted(found)]


def select(answers: Sequence[Answer], options: Options) -> list[Answer]:
    """The answers that the options select."""
    taken: Counter[tuple[str, Cell]] = Counter()
    selected = []
    for answer in answers:
        where = answer.id.variant, answer.id.cell
        if options.limit is not None and taken[where] >= options.limit:
            continue
        if options.samples and answer.id.sample_id not in options.samples:
            continue
        taken[where] += 1
        selected.append(answer)
    return selected


def load_packs(options: Options) -> dict[str, JudgePack]:
    """The packs that the options choose. Raises VluresError for one that is missing or broken."""
    if options.is_upstream:
        return {"en": load_pack("en")}
    tags = PACKS if options.pack_language == "native" else ("en",)
    return {tag: load_pack(tag, options.rubric_folder) for tag in tags}


def describe_packs(packs: Mapping[str, JudgePack]) -> dict[str, Any]:
    return {tag: {"digest": digest_pack(pack), "text": msgspec.to_builtins(pack)} for tag, pack in packs.items()}


def describe_judged(answers: Answers, asked: AskedModel) -> dict[str, Any]:
    """What run.json holds of the judged run."""
    return {
        "run": answers.run,
        "models": sorted(answers.models),
        "same_family": find_family(asked.name, answers.models) is not None,
        "answers": len(answers.judged),
        "not_judged": {
            str(make_cell(variant, cell)): dict(counts)
            for (variant, cell), counts in sorted(answers.left_out.items())
            if counts
        },
    }


def note_answers(answers: Answers, asked: AskedModel) -> Iterator[str]:
    """Sentences for the user about the answers that are judged."""
    yield from answers.missing
    total: Counter[str] = Counter()
    for counts in answers.left_out.values():
        total += counts
    if total:
        yield f"Not judged: {describe_left_out(total)}. They are in no mean; their numbers stand beside it."
    if family := find_family(asked.name, answers.models):
        yield f"The judge {asked.name} and the judged model are of one family ({family}); the result is marked."
    if answers.rehearsal:
        yield f"The answers of {answers.run} are a sandbox's: synthetic, and worth nothing but a rehearsal."
    if same := describe_same_texts(answers):
        yield same


def refuse_other_wordings(store: CheckpointStore) -> None:
    """Raises VluresError where the judge's folder holds verdicts by another wording: they are never mixed."""
    own = store.folder.name
    others = sorted(path.name for path in store.folder.parent.glob("checkpoints_*") if path.name != own)
    if others:
        raise VluresError(
            f"{store.folder.parent} holds judgements by another wording ({others[0].removeprefix('checkpoints_')}); "
            "give this judge another --name."
        )


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None) -> Any:
    """Read the answers of the judged run, and the packs.

    Raises VluresError where nothing can be judged or a pack is broken, UsageError for a run that is not there.
    """
    from vlures.judge.pairs import load_pairs

    assert options.judged is not None
    packs = load_packs(options)
    answers = read_all(options.judged)
    if options.pairwise is not None:
        return load_pairs(options, asked, answers, read_all(options.pairwise), packs, skips)
    benchmark = JudgeBenchmark(options, asked, answers, packs, skips)
    if not benchmark.items:
        refuse_nothing(options.judged, answers)
    return benchmark


def read_all(folder: str) -> Answers:
    """All answers of a run. Raises UsageError for a folder that is not there, VluresError for one without a run."""
    if not Path(folder).is_dir():
        raise UsageError(f"There is no folder {folder}; name the run to judge, such as outputs/gpt-6-luna.")
    return read_answers(Path(folder), _every, lambda _: None)


def _every(answer: AnswerId) -> bool:  # noqa: ARG001
    return True


def refuse_nothing(folder: str, answers: Answers) -> None:
    """Raises VluresError: nothing can be judged."""
    total: Counter[str] = Counter()
    for counts in answers.left_out.values():
        total += counts
    why = describe_left_out(total) or " ".join(answers.missing) or "none is selected, or there is none"
    raise VluresError(f"{folder} has no answer that can be judged ({why}); see `vlures status {folder}`.")

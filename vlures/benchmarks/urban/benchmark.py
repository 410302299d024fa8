"""The street-view questions of a QA file as a benchmark."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from vlures.benchmarks import Question, Skips, digest_content, make_request
from vlures.benchmarks.image_check import ImageCheck
from vlures.benchmarks.left_files import note_files
from vlures.benchmarks.problems import Problem, refuse_data
from vlures.benchmarks.urban.options import Options
from vlures.benchmarks.urban.prompts import make_prompt
from vlures.benchmarks.urban.rows import QaFile, UrbanRow, name_qa_check, read_qa_file
from vlures.benchmarks.urban.subtypes import NUMERIC, AnswerKind, read_wordings
from vlures.benchmarks.urban.variant import UrbanVariant
from vlures.errors import VluresError, counted
from vlures.files.text import describe_double_encoded, looks_double_encoded
from vlures.images import IMAGE_SUFFIXES
from vlures.records import AskedModel, Cell, Image, Prompt, Request
from vlures.safety.control_characters import as_line
from vlures.store.checkpoints import CheckpointStore

ANSWER_TOKENS = {"question": 30, "template": 6}
"""Of an answer without reasoning, by prompt style. Our own estimate: the fixed wording asks for the answer alone, a
question by itself often gets a sentence. Real usage replaces it after the first answers."""
REASONING_TOKENS = 160
"""More, where reasoning is asked for."""


@dataclass(frozen=True)
class UrbanBenchmark:
    """A cell per evaluation group, a sample per question, as vlures.benchmarks.Benchmark.

    Cells are groups, not subtypes: a group's subtypes are scored together, and a paraphrase belongs where its original
    does. The subtype is in the sample's ID, so no answer is taken for one to another subtype.
    """

    qa_file: QaFile
    asked: AskedModel
    variant: UrbanVariant
    skips: Skips | None = None
    """Images that are left out."""
    name: str = field(default="urban", init=False)

    def cells(self) -> Sequence[Cell]:
        found = {row.subtype.group for row in self.qa_file.rows}
        groups = dict.fromkeys(subtype.group for subtype in read_wordings().subtypes.values())
        return [Cell(group) for group in groups if group in found]

    def questions(self) -> Iterator[Question]:
        """Image by image, in the order of their first rows."""
        by_image: dict[str, list[UrbanRow]] = {}
        for row in self.qa_file.rows:
            by_image.setdefault(_image(row).digest, []).append(row)
        for rows in by_image.values():
            if not self._is_skipped(rows[0]):
                yield from (question_of(row) for row in rows)

    def request(self, question: Question) -> Request:
        row = self.rows_by_id[question.sample_id]
        prompt = Prompt("", (make_prompt(row, self.variant),))
        return make_request(question, self.variant, self.asked, prompt, _image(row), "en")

    def images(self) -> Iterator[Image]:
        return (_image(row) for row in self.qa_file.rows)

    def left_out(self, cell: Cell) -> int:
        return sum(row.subtype.group == cell and self._is_skipped(row) for row in self.qa_file.rows)

    def expected_output_tokens(self, cell: Cell) -> int:  # noqa: ARG002 (the style decides, not the group)
        return ANSWER_TOKENS[self.variant.style] + (REASONING_TOKENS if self.variant.cot else 0)

    def describe(self) -> Mapping[str, Any]:
        groups: dict[str, list[UrbanRow]] = {cell: [] for cell in self.cells()}
        for row in self.qa_file.rows:
            groups[row.subtype.group].append(row)
        return {
            "prompt_digests": {
                group: digest_content([(row.id, make_prompt(row, self.variant)) for row in rows])
                for group, rows in groups.items()
            },
            "data_digests": {
                group: digest_content([(row.id, _image(row).digest) for row in rows]) for group, rows in groups.items()
            },
            "qa_file": {
                "path": str(self.qa_file.path),
                "rows": len(self.qa_file.rows),
                "left_out": self.qa_file.left_out,
            },
        }

    @property
    def find_fault(self) -> None:
        return None

    def conclude(self, store: CheckpointStore) -> None: ...

    def check_folder(self, store: CheckpointStore) -> None: ...

    def mark_folder(self, store: CheckpointStore) -> None: ...

    def notes(self) -> Iterator[str]:
        if left_out := self.qa_file.left_out:
            rows = f"{counted(left_out, 'row', 'is', 'are')} left out of {self.qa_file.path}"
            yield f"{rows}; `{name_qa_check(self.qa_file, self.variant.style)}` names them."
        if self.variant.style == "template" and (same := self._count_same()):
            yield (
                f"{counted(same, 'question', 'is', 'are')} asked with the same words as another one about the same "
                "image: a paraphrase has the wording of its original. --prompt-style question asks each in its own "
                "words."
            )
        if doubtful := sum(looks_double_encoded(row.question) for row in self.qa_file.rows):
            yield describe_double_encoded(doubtful)

    @cached_property
    def rows_by_id(self) -> Mapping[str, UrbanRow]:
        return {row.id: row for row in self.qa_file.rows}

    def _is_skipped(self, row: UrbanRow) -> bool:
        return self.skips is not None and self.skips(_image(row))

    def _count_same(self) -> int:
        """Questions whose whole request another one has, too."""
        asked = Counter((_image(row).digest, make_prompt(row, self.variant)) for row in self.qa_file.rows)
        return sum(times - 1 for times in asked.values())


def question_of(row: UrbanRow) -> Question:
    return Question(Cell(row.subtype.group), row.id)


def _image(row: UrbanRow) -> Image:
    assert row.image is not None, "a benchmark's rows have their images"
    return row.image


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None) -> UrbanBenchmark:
    """Read the QA file and its images.

    Raises UsageError for a folder that is not there and, where nothing is left out, VluresError for wrong rows.
    """
    qa_file = read_qa_file(options)
    if qa_file.errors and skips is None:
        raise refuse_data(qa_file.path, qa_file.errors, name_qa_check(qa_file, options.prompt_style), "rows")
    if not qa_file.rows:
        check = name_qa_check(qa_file, options.prompt_style)
        raise VluresError(f"{qa_file.path} has no question that can be asked; see why with `{check}`.")
    return UrbanBenchmark(qa_file, asked, options.variant, skips)


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    """Report what a QA file holds and everything wrong with it. Returns whether it has no errors."""
    qa_file = read_qa_file(options)
    images = [row.image for row in qa_file.rows if row.image is not None]
    checked = image_check.find_problems(images, qa_file.folder)
    qa_file = replace(qa_file, problems=(*qa_file.problems, *checked, *_find_unnamed(qa_file, options)))
    tell(_tabulate(qa_file.rows))
    for problem in qa_file.problems:
        tell(as_line(f"{problem.severity}: {', '.join(problem.files)}: {problem.reason}"))
    if left_out := qa_file.left_out:
        tell(f"{counted(left_out, 'row')} cannot be asked; {counted(len(qa_file.rows), 'row')} can.")
    return not qa_file.errors


def _tabulate(rows: Sequence[UrbanRow]) -> str:
    """A line per subtype. A subtype whose answers are all the same tells nothing about a model; so the commonest answer
    stands beside it."""
    from tabulate import tabulate

    by_subtype: dict[tuple[str, str], list[UrbanRow]] = {}
    for row in rows:
        by_subtype.setdefault((row.subtype.group, row.subtype.name), []).append(row)
    order = list(read_wordings().subtypes)
    lines = [
        [
            group,
            name,
            len(found),
            len({row.cluster for row in found}),
            _describe_commonest(found, found[0].subtype.answer),
        ]
        for (group, name), found in sorted(by_subtype.items(), key=lambda item: order.index(item[0][1]))
    ]
    return tabulate(lines, ["group", "subtype", "questions", "images", "commonest answer"], tablefmt="simple")


def _describe_commonest(rows: Sequence[UrbanRow], kind: AnswerKind) -> str:
    value, times = Counter(row.label for row in rows).most_common(1)[0]
    shown = f"{value:g}" if kind in NUMERIC and not isinstance(value, str) else str(value)
    return as_line(f"{shown} ({times / len(rows):.0%})")


def _find_unnamed(qa_file: QaFile, options: Options) -> tuple[Problem, ...]:
    """A note about the images in the folder that no row names. None where only some rows were read."""
    if options.limit is not None or options.samples or options.groups or not qa_file.folder.is_dir():
        return ()
    taken = {os.path.realpath(path) for path in qa_file.paths}
    images = sorted(
        path.name
        for path in qa_file.folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file() and os.path.realpath(path) not in taken
    )
    return tuple(note_files(images, f"no row of {Path(qa_file.path).name} names it"))

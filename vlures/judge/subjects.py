"""What a judge's stored replies are about: the judged answers, as far as they are still the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from vlures.benchmarks import Assignment, Benchmark, Question, Subject
from vlures.benchmarks.columns import Columns
from vlures.benchmarks.image_check import ImageCheck
from vlures.config.options import read_texts
from vlures.config.resolve import stored_section, stored_target
from vlures.errors import UsageError, VluresError
from vlures.judge.answers import Answers, describe_left_out
from vlures.judge.benchmark import load_benchmark, read_all
from vlures.judge.options import Options
from vlures.judge.variant import parse_cell, parse_sample_id
from vlures.records import Cell, Response
from vlures.safety.control_characters import as_line
from vlures.store.checkpoints import CheckpointStore

COLUMNS = Columns(
    question={"answered_variant": str, "answered_cell": str, "sample_id": str, "judgement": str},
    subject={},
    local={},
)


def describe_question(question: Question) -> Mapping[str, Any]:
    variant, cell = parse_cell(question.cell)
    name, sample_id = parse_sample_id(question.sample_id)
    return {"answered_variant": variant, "answered_cell": cell, "sample_id": sample_id, "judgement": name}


@dataclass(slots=True)
class JudgeSubjects:
    """As vlures.benchmarks.Subjects."""

    benchmark: Benchmark | None = None
    missing: list[str] = field(default_factory=list)
    withheld: int = 0
    _digests: dict[Question, tuple[str, Subject]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.benchmark is not None:
            for question in self.benchmark.questions():
                request = self.benchmark.request(question)
                self._digests[question] = request.digest, Subject(request.image, None, {})

    def find(self, question: Question, response: Response, *, wanted: bool) -> Subject | None:
        digest, subject = self._digests.get(question, ("", None))
        if subject is not None and (response.status == "failed" or digest == response.digest):
            return subject
        if wanted and response.status != "failed":
            raise VluresError(
                f"{response.key} is about an answer that is gone or has changed; judge again, or export without "
                "--with-images."
            )
        self.withheld += response.status != "failed"
        return None

    def is_asked_today(self, question: Question, digest: str) -> bool:
        return self._digests.get(question, ("", None))[0] == digest

    def find_assignment(self, question: Question, response: Response) -> Assignment | None:  # noqa: ARG002
        return None  # judgements are not judged


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> JudgeSubjects:
    """run: the run.json of the store."""
    try:
        return JudgeSubjects(load_stored(run, store))
    except VluresError as error:
        return JudgeSubjects(missing=[str(error).removesuffix(".")])


def load_stored(run: Mapping[str, Any], store: CheckpointStore) -> Benchmark:
    """The judge that a folder is of, with the answers as they are now. run: the run.json of the store.

    Raises VluresError where it cannot be told which they are, or they cannot be read.
    """
    try:
        options, target = stored_section(Options, run.get("config") or {}), stored_target(run)
        if options.judged is not None and target is not None:
            loaded: Benchmark = load_benchmark(options, target.asked, None)
            return loaded
    except (msgspec.ValidationError, VluresError) as error:
        raise VluresError(
            f"The answers that {store.folder} judges cannot be read ({str(error).removesuffix('.')})."
        ) from error
    raise VluresError(f"{store.folder / 'run.json'} does not say which run was judged.")


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    """A test of whether a cell is one of the selected ones. Raises UsageError."""
    if unknown := selection.keys() - {"cells"}:
        raise UsageError(f"`{min(unknown)}` selects nothing; name cells.")
    cells = read_texts(selection["cells"], "`cells`")
    return lambda cell: cell in cells or parse_cell(cell)[1] in cells


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    """Report what of a run can be judged. Returns whether anything can."""
    assert options.judged is not None
    answers: Answers = read_all(options.judged)
    for (variant, cell), counts in sorted(answers.left_out.items()):
        if counts:
            tell(as_line(f"{variant}, {cell}: not judged: {describe_left_out(counts)}"))
    for problem in image_check.find_problems((answer.image for answer in answers.judged), Path.cwd()):
        tell(as_line(f"{problem.severity}: {', '.join(problem.files)}: {problem.reason}"))
    tell(f"{len(answers.judged):,} answers can be judged.")
    return bool(answers.judged)

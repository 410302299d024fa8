"""What can be asked. A benchmark is a folder here and a line in BENCHMARKS; no other code knows its words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from vlures.benchmarks.columns import Columns
from vlures.errors import VluresError
from vlures.records import AskedModel, Cell, Image, Prompt, Request, Response, Schema, Variant, digest_request
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key
from vlures.store.small_files import read_small_file

if TYPE_CHECKING:
    from vlures.benchmarks.image_check import ImageCheck

BENCHMARKS = {
    "vlures": "vlures.benchmarks.vlures",
    "table": "vlures.benchmarks.table",
    "urban": "vlures.benchmarks.urban",
    "judge": "vlures.judge",
}
"""Name → package. Each has the functions of a BenchmarkPackage."""

OLD_RUNS = "vlures"
"""The benchmark of a run.json that names none, written before 0.2.0."""

Parser = Literal["strict", "legacy"]
"""How an answer is read. strict: a value, or a reason why there is none. legacy: as the benchmark's original code."""

Skips = Callable[[Image], bool]
"""Whether an image is left out, because the model would refuse it."""


FindFault = Callable[[str], str | None]
"""(the text of an answer) → why it is none; None if it is one."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a benchmark, before it is built."""

    cell: Cell
    sample_id: str


class Benchmark(Protocol):
    """What a run needs from its benchmark."""

    @property
    def name(self) -> str: ...

    @property
    def variant(self) -> Variant: ...

    def cells(self) -> Sequence[Cell]:
        """All cells, in the order in which tables show them."""

    def questions(self) -> Iterator[Question]:
        """All questions, image by image, so that the requests about one image are adjacent."""

    def request(self, question: Question) -> Request:
        """What the model will see."""

    def images(self) -> Iterator[Image]:
        """The images of all selected samples, asked about or not."""

    def left_out(self, cell: Cell) -> int:
        """Selected samples that the cell does not ask about."""

    def expected_output_tokens(self, cell: Cell) -> int:
        """Tokens of one answer as it would be in English, without thinking."""

    def describe(self) -> Mapping[str, Any]:
        """Digests and sources for run.json. prompt_digests: by cell. data_digests: by the part of the data."""

    @property
    def find_fault(self) -> FindFault | None:
        """Finds out why a text that a model gave is no answer to this benchmark; it is stored, and asked for again.
        None where any text is an answer."""

    def conclude(self, store: CheckpointStore) -> None:
        """Write what is derived from the answers, beside the results files. Raises NotWritable."""

    def check_folder(self, store: CheckpointStore) -> None:
        """Raises VluresError where the folder's answers have the same keys but are about something else."""

    def mark_folder(self, store: CheckpointStore) -> None:
        """Record in the folder, before the first request, what check_folder compares."""

    def notes(self) -> Iterator[str]:
        """Sentences for the user about the questions."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a stored answer is about."""

    image: Image | None
    """None: the model was shown none."""
    text: str | None
    """The text that belongs to the image."""
    columns: Mapping[str, Any]
    """Values of Columns.subject and Columns.local."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a question asked of a model, in the parts that a judge of its answer is shown."""

    wording: str
    """All instructions, without worked examples and without the article."""
    article: str | None
    """The text that the model was given with the image; None where it had none."""
    rubric: str
    """The kind of task, as rubrics are named."""
    language: str | None
    """That the answer should have, as a BCP 47 tag."""
    task: str = ""
    """The part of the wording that says what is to be done, without role and format; empty where it is all of it."""


class Subjects(Protocol):
    """The images and texts that a run's answers are about, as far as they still exist."""

    missing: Sequence[str]
    """What is missing altogether, each a sentence without its full stop."""
    withheld: int
    """Number of answers, so far, whose subject has changed since."""

    def find(self, question: Question, response: Response, *, wanted: bool) -> Subject | None:
        """None where the subject is missing or is no longer what was asked about.

        wanted: raise VluresError in those cases, unless there never was an answer or it is imported.
        """

    def is_asked_today(self, question: Question, digest: str) -> bool:
        """Whether the last run's configuration, with today's data, asks the question with this digest."""

    def find_assignment(self, question: Question, response: Response) -> Assignment | None:
        """What was asked. None where the subject is missing, or the wording is no longer what was asked."""


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of an answer that is shown."""

    title: str
    language: str | None
    """The answer's language as a BCP 47 tag."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way in which tables divide a benchmark's answers."""

    name: str
    """Of the values that BenchmarkPackage.divide gives, and of the column that shows them."""
    reference: str | None = None
    """The value that all others are compared with, where there is one."""
    crossed_with: str | None = None
    """The name of other values of `divide`: what was given, where this is what was asked for."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What scoring answers has found."""

    content: Mapping[str, Any]
    """As JSON, for programs."""
    report: str
    """As Markdown, for people. Every figure stands under a heading that says how it came about."""
    predictions: Sequence[Mapping[str, Any]]
    """A row per question: what was answered, and its value or why it has none."""


class Scorer(Protocol):
    """How a benchmark's answers are scored. It has read the questions and their reference answers, and no image."""

    def score(self, responses: Mapping[Question, Response], parser: Parser, about: Mapping[str, Any]) -> Scores:
        """Score answers. A question without one stays in the denominators.

        about: what the figures are about (run, model, file of answers), for their heading. Raises VluresError if a
        package that scores is not installed.
        """

    def read_answers(self, path: Path, say: Callable[[str], None]) -> Mapping[Question, Response]:
        """Answers that were made elsewhere, from a file. say: called with a sentence about lines that were left out.
        Raises VluresError if it cannot be read or answers none of the questions."""


class BenchmarkPackage(Protocol):
    """The functions of a benchmark's package. options: an object of its `Options`."""

    def load_benchmark(self, options: Any, asked: AskedModel, skips: Skips | None) -> Benchmark:
        """Read the data and prompts. skips: images to leave out; None where any problem with the data stops a run.
        Raises VluresError or UsageError for problems with them."""

    def check_data(self, options: Any, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
        """Report everything that is wrong with the data. image_check: how the images that can be read are checked
        besides. Returns whether a run can start."""

    def choose_variant(self, options: Any) -> Variant:
        """The variant that the options select."""

    def find_variant(self, label: str) -> Variant | None:
        """The variant with this label; None if it is another benchmark's."""

    def columns(self, run: Mapping[str, Any]) -> Columns:
        """run: a run.json."""

    def describe_question(self, variant: Variant, question: Question) -> Mapping[str, Any]:
        """Values of Columns.question."""

    def find_subjects(self, run: Mapping[str, Any], store: CheckpointStore) -> Subjects:
        """run: the run.json of the store."""

    def read_selection(self, selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
        """A test of whether a cell is among those that the selection names, as options do. Raises UsageError."""

    def heading(self, variant: Variant, cell: Cell) -> Heading:
        """The heading of an answer of this cell."""

    def dimensions(self) -> Sequence[Dimension]:
        """How tables divide the answers; together they tell all cells apart."""

    def divide(self, run: Mapping[str, Any], variant: Variant, cell: Cell) -> Mapping[str, str]:
        """Where a cell stands in each dimension, and in what a dimension is crossed with. run: a run.json."""

    def find_fault(self, variant: Variant) -> FindFault | None:
        """As Benchmark.find_fault, of a stored variant."""

    def conclude(self, run: Mapping[str, Any], store: CheckpointStore) -> None:
        """As Benchmark.conclude, from what is stored. run: the run.json of the store. Raises VluresError where what it
        takes is gone, NotWritable."""

    def find_scorer(self, options: Any) -> Scorer | None:
        """How answers are scored; None where none is right or wrong by itself. Raises VluresError where the questions
        or their reference answers cannot be read."""


def digest_content(content: object) -> str:
    """Of questions or data, for run.json."""
    return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def find_package(name: str) -> BenchmarkPackage:
    """Raises VluresError for a benchmark that this version does not know."""
    if name not in BENCHMARKS:
        raise VluresError(
            f"This version has no benchmark {name!r}; choose from {', '.join(BENCHMARKS)}, or upgrade vlures."
        )
    return cast(BenchmarkPackage, import_module(BENCHMARKS[name]))


def find_options(name: str) -> type:
    """The options that a benchmark adds to those of every run: `Options` in its module `options`. Raises VluresError
    for an unknown benchmark."""
    find_package(name)
    options: type = import_module(f"{BENCHMARKS[name]}.options").Options
    return options


def selecting_options() -> tuple[str, ...]:
    """The options by which stored answers are selected, of all benchmarks: `SELECTS` in their modules `options`."""
    modules = (import_module(f"{package}.options") for package in BENCHMARKS.values())
    return tuple(dict.fromkeys(name for module in modules for name in getattr(module, "SELECTS", ())))


def find_stored_variants(output_folder: Path) -> list[tuple[BenchmarkPackage, Variant]]:
    """The variants that a run's folder holds, by label. Raises VluresError for one of an unknown benchmark."""
    found = []
    for folder in sorted(output_folder.glob("checkpoints_*")):
        label = folder.name.removeprefix("checkpoints_")
        if not folder.is_dir():
            continue
        named = read_small_file(folder / "run.json").get("benchmark")
        packages = map(find_package, [named] if named else BENCHMARKS)  # on use: a package takes a moment to load
        variants = ((package, package.find_variant(label)) for package in packages)
        known = next(((package, variant) for package, variant in variants if variant is not None), None)
        if known is not None:
            found.append(known)
    return found


def require_stored_variants(output_folder: Path) -> list[tuple[BenchmarkPackage, Variant]]:
    """Like find_stored_variants. Raises VluresError if the folder holds no run."""
    found = find_stored_variants(output_folder)
    if not found:
        raise VluresError(f"{output_folder} holds no run; see the runs with `vlures status`.")
    return found


def open_stores(output_folder: Path, say: Callable[[str], None] = lambda _: None) -> list[CheckpointStore]:
    """The stores of all variants in a run's folder, read-only."""
    variants = [variant for _, variant in find_stored_variants(output_folder)]
    return [CheckpointStore(output_folder, variant, writable=False, say=say) for variant in variants]


def open_other_stores(store: CheckpointStore) -> list[CheckpointStore]:
    """The stores of the other variants in the same folder, read-only."""
    folder = store.folder.parent
    variants = [variant for _, variant in find_stored_variants(folder) if variant.label != store.variant.label]
    return [CheckpointStore(folder, variant, writable=False) for variant in variants]


def make_request(
    question: Question,
    variant: Variant,
    asked: AskedModel,
    prompt: Prompt,
    image: Image | None,
    language: str | None = None,
    schema: Schema | None = None,
) -> Request:
    """A benchmark's question as a request. language: of prompt and answer, as a BCP 47 tag. schema: the answer is to be
    JSON of this form."""
    return Request(
        key=request_key(question.cell, variant, question.sample_id),
        cell=question.cell,
        sample_id=question.sample_id,
        model=asked.name,
        parameters=asked.parameters,
        prompt=prompt,
        image=image,
        digest=digest_request(asked.provider, asked.name, asked.parameters, prompt, image, schema),
        language=language,
        schema=schema,
    )

"""What may be asked. A benchmark is a folder here and a line in BENCHMARKS; nothing else in the house knows its words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from vlures.benchmarks.columns import Columns
from vlures.errors import VluresError
from vlures.records import AskedModel, Cell, Image, Prompt, Request, Response, Variant, digest_request
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key
from vlures.store.small_files import read_small_file

BENCHMARKS = {"vlures": "vlures.benchmarks.vlures", "table": "vlures.benchmarks.table"}
"""Name → package. Each has the functions of a BenchmarkPackage."""

OLD_RUNS = "vlures"
"""The benchmark of a run.json that names none: it was written before 0.2.0."""

Skips = Callable[[Image], bool]
"""Whether an image is left out, because the model would refuse it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request of a benchmark, before it is built."""

    cell: Cell
    sample_id: str


class Benchmark(Protocol):
    """What the spine asks of a benchmark that is to be run."""

    @property
    def name(self) -> str: ...

    @property
    def variant(self) -> Variant: ...

    def cells(self) -> Sequence[Cell]:
        """In the order in which tables show them."""

    def questions(self) -> Iterator[Question]:
        """All that may be asked, image by image, so that the requests about one image stand together."""

    def request(self, question: Question) -> Request:
        """What the model will see."""

    def images(self) -> Iterator[Image]:
        """Those of all selected samples, asked about or not."""

    def left_out(self, cell: Cell) -> int:
        """Selected samples that the cell does not ask about."""

    def expected_output_tokens(self, cell: Cell) -> int:
        """Of one answer as it would be in English, without thinking."""

    def describe(self) -> Mapping[str, Any]:
        """Digests and sources for run.json. prompt_digests: by cell. data_digests: by the part of the data."""

    def check_folder(self, store: CheckpointStore) -> None:
        """Raises VluresError where the folder's answers are about something else, and yet under the same keys."""

    def mark_folder(self, store: CheckpointStore) -> None:
        """Let the folder remember, before the first request, what check_folder compares."""

    def notes(self) -> Iterator[str]:
        """Sentences for the user about what is asked."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a stored answer is about."""

    image: Image
    text: str | None
    """That stands beside the image."""
    columns: Mapping[str, Any]
    """Values of Columns.subject and Columns.local."""


class Subjects(Protocol):
    """The images and texts that a run's answers are about, as far as they are still there."""

    missing: Sequence[str]
    """What is not there at all, each a sentence without its full stop."""
    withheld: int
    """Answers whose subject has changed since, so far."""

    def find(self, question: Question, response: Response, *, wanted: bool) -> Subject | None:
        """None where the subject is not there, or is no longer what was asked about.

        wanted: then raise VluresError instead, unless there never was an answer or it is imported.
        """

    def is_asked_today(self, question: Question, digest: str) -> bool:
        """Whether the last run's configuration asks, of today's data, the question with this digest."""


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above an answer that is shown."""

    title: str
    language: str | None
    """Of the answer, as in BCP 47."""


class BenchmarkPackage(Protocol):
    """What the package of a benchmark offers. options: an object of its `Options`."""

    def load_benchmark(self, options: Any, asked: AskedModel, skips: Skips | None) -> Benchmark:
        """Read the data and prompts. skips: what is left out; None where anything wrong with the data stops a run. Raises VluresError or UsageError for what is wrong with them."""

    def check_data(self, options: Any, tell: Callable[[str], None]) -> bool:
        """Tell everything that is wrong with the data. Returns whether nothing keeps a run from beginning."""

    def choose_variant(self, options: Any) -> Variant:
        """The variant that is asked, by the options alone."""

    def find_variant(self, label: str) -> Variant | None:
        """The variant with this label; None if it is another benchmark's."""

    def columns(self, run: Mapping[str, Any]) -> Columns:
        """run: a run.json."""

    def describe_question(self, variant: Variant, question: Question) -> Mapping[str, Any]:
        """Values of Columns.question."""

    def find_subjects(self, run: Mapping[str, Any], store: CheckpointStore) -> Subjects:
        """run: the run.json of the store."""

    def read_selection(self, selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
        """Whether a cell is among those that are named as by options. Raises UsageError."""

    def head(self, variant: Variant, cell: Cell) -> Head:
        """What stands above an answer of this cell."""


def find_package(name: str) -> BenchmarkPackage:
    """Raises VluresError for a benchmark that this version does not know."""
    if name not in BENCHMARKS:
        raise VluresError(
            f"There is no benchmark {name!r} here; choose from {', '.join(BENCHMARKS)}, or upgrade vlures."
        )
    return cast(BenchmarkPackage, import_module(BENCHMARKS[name]))


def find_options(name: str) -> type:
    """The options that a benchmark adds to those of every run: `Options` in its module `options`. Raises VluresError for an unknown
    benchmark."""
    find_package(name)
    options: type = import_module(f"{BENCHMARKS[name]}.options").Options
    return options


def find_stored_variants(output_folder: Path) -> list[tuple[BenchmarkPackage, Variant]]:
    """The variants that a run's folder holds, by label. Raises VluresError for one of an unknown benchmark."""
    found = []
    for folder in sorted(output_folder.glob("checkpoints_*")):
        label = folder.name.removeprefix("checkpoints_")
        if not folder.is_dir():
            continue
        named = read_small_file(folder / "run.json").get("benchmark")
        packages = [find_package(name) for name in ([named] if named else BENCHMARKS)]
        variants = ((package, package.find_variant(label)) for package in packages)
        known = next(((package, variant) for package, variant in variants if variant is not None), None)
        if known is not None:
            found.append(known)
    return found


def require_stored_variants(output_folder: Path) -> list[tuple[BenchmarkPackage, Variant]]:
    """The same. Raises VluresError if the folder holds no run."""
    found = find_stored_variants(output_folder)
    if not found:
        raise VluresError(f"{output_folder} holds no run; see the runs with `vlures status`.")
    return found


def open_stores(output_folder: Path, say: Callable[[str], None] = lambda _: None) -> list[CheckpointStore]:
    """The stores of all variants in a run's folder, to be read."""
    variants = [variant for _, variant in find_stored_variants(output_folder)]
    return [CheckpointStore(output_folder, variant, writable=False, say=say) for variant in variants]


def open_other_stores(store: CheckpointStore) -> list[CheckpointStore]:
    """The stores of the other variants in the same folder, to be read."""
    folder = store.folder.parent
    variants = [variant for _, variant in find_stored_variants(folder) if variant.label != store.variant.label]
    return [CheckpointStore(folder, variant, writable=False) for variant in variants]


def make_request(
    question: Question,
    variant: Variant,
    asked: AskedModel,
    prompt: Prompt,
    image: Image,
    language: str | None = None,
) -> Request:
    """A benchmark's question as a request. language: of prompt and answer, as in BCP 47."""
    return Request(
        key=request_key(question.cell, variant, question.sample_id),
        cell=question.cell,
        sample_id=question.sample_id,
        model=asked.name,
        parameters=asked.parameters,
        prompt=prompt,
        image=image,
        digest=digest_request(asked.provider, asked.name, asked.parameters, prompt, image),
        language=language,
    )

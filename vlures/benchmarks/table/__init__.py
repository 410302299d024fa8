"""A user's own questions: a table with an image and a question per row. Its modules are loaded on use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlures.benchmarks import Dimension, Heading, Question, Skips
    from vlures.benchmarks.columns import Columns
    from vlures.benchmarks.image_check import ImageCheck
    from vlures.benchmarks.table.benchmark import TableBenchmark
    from vlures.benchmarks.table.options import Options
    from vlures.benchmarks.table.subjects import TableSubjects
    from vlures.benchmarks.table.variant import TableVariant
    from vlures.records import AskedModel, Cell, Variant
    from vlures.store.checkpoints import CheckpointStore


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None) -> TableBenchmark:
    from vlures.benchmarks.table import benchmark

    return benchmark.load_benchmark(options, asked, skips)


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    from vlures.benchmarks.table import benchmark

    return benchmark.check_data(options, image_check, tell)


def choose_variant(options: Options) -> TableVariant:  # noqa: ARG001 (there is one)
    from vlures.benchmarks.table.variant import TableVariant

    return TableVariant()


def find_variant(label: str) -> TableVariant | None:
    from vlures.benchmarks.table.variant import TableVariant

    return TableVariant() if label == TableVariant().label else None


def columns(run: Mapping[str, Any]) -> Columns:
    from vlures.benchmarks.table.subjects import find_columns

    return find_columns(run)


def describe_question(variant: Variant, question: Question) -> Mapping[str, Any]:  # noqa: ARG001 (the same in all)
    return {"group": question.cell, "sample_id": question.sample_id}


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> TableSubjects:
    from vlures.benchmarks.table import subjects

    return subjects.find_subjects(run, store)


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    from vlures.benchmarks.table.options import read_selection

    return read_selection(selection)


def heading(variant: Variant, cell: Cell) -> Heading:  # noqa: ARG001 (the same in all)
    from vlures.benchmarks import Heading

    return Heading(cell, None)


def dimensions() -> Sequence[Dimension]:
    from vlures.benchmarks import Dimension

    return (Dimension("group"),)


def divide(run: Mapping[str, Any], variant: Variant, cell: Cell) -> Mapping[str, str]:  # noqa: ARG001
    return {"group": cell}


def find_fault(variant: Variant) -> None:  # noqa: ARG001 (any text is an answer)
    return None


def conclude(run: Mapping[str, Any], store: CheckpointStore) -> None: ...


def find_scorer(options: Options) -> None:  # noqa: ARG001 (no answer is right or wrong by itself)
    return None

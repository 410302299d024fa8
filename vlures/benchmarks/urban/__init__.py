"""Street-view questions with short answers that are right or wrong. Its modules are loaded on use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlures.benchmarks import Dimension, Heading, Question, Scorer, Skips
    from vlures.benchmarks.columns import Columns
    from vlures.benchmarks.image_check import ImageCheck
    from vlures.benchmarks.urban.benchmark import UrbanBenchmark
    from vlures.benchmarks.urban.options import Options
    from vlures.benchmarks.urban.subjects import UrbanSubjects
    from vlures.benchmarks.urban.variant import UrbanVariant
    from vlures.records import AskedModel, Cell, Variant
    from vlures.store.checkpoints import CheckpointStore


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None) -> UrbanBenchmark:
    from vlures.benchmarks.urban import benchmark

    return benchmark.load_benchmark(options, asked, skips)


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    from vlures.benchmarks.urban import benchmark

    return benchmark.check_data(options, image_check, tell)


def choose_variant(options: Options) -> UrbanVariant:
    return options.variant


def find_variant(label: str) -> UrbanVariant | None:
    from vlures.benchmarks.urban.variant import VARIANTS

    return next((variant for variant in VARIANTS if variant.label == label), None)


def columns(run: Mapping[str, Any]) -> Columns:  # noqa: ARG001 (all runs have the same)
    from vlures.benchmarks.urban.subjects import COLUMNS

    return COLUMNS


def describe_question(variant: Variant, question: Question) -> Mapping[str, Any]:  # noqa: ARG001 (the same in all)
    return {"group": question.cell, "sample_id": question.sample_id}


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> UrbanSubjects:
    from vlures.benchmarks.urban import subjects

    return subjects.find_subjects(run, store)


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    from vlures.benchmarks.urban.options import read_selection

    return read_selection(selection)


def heading(variant: Variant, cell: Cell) -> Heading:  # noqa: ARG001 (the same in all)
    from vlures.benchmarks import Heading

    return Heading(cell, "en")


def dimensions() -> Sequence[Dimension]:
    from vlures.benchmarks import Dimension

    return (Dimension("group"),)


def divide(run: Mapping[str, Any], variant: Variant, cell: Cell) -> Mapping[str, str]:  # noqa: ARG001
    return {"group": cell}


def find_fault(variant: Variant) -> None:  # noqa: ARG001 (any text is an answer)
    return None


def conclude(run: Mapping[str, Any], store: CheckpointStore) -> None: ...


def find_scorer(options: Options) -> Scorer | None:
    from vlures.benchmarks.urban.scoring import find_scorer

    return find_scorer(options)

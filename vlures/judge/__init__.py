"""Verdicts on a run's answers: a judge's, whose questions are those answers, and people's, who fill in sheets.

A judge is a benchmark: these are the functions of its BenchmarkPackage. Its modules are loaded on use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlures.benchmarks import Benchmark, FindFault, Heading, Question, Skips
    from vlures.benchmarks.columns import Columns
    from vlures.benchmarks.image_check import ImageCheck
    from vlures.judge.options import Options
    from vlures.judge.subjects import JudgeSubjects
    from vlures.judge.variant import JudgeVariant
    from vlures.records import AskedModel, Cell, Variant
    from vlures.store.checkpoints import CheckpointStore


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None) -> Benchmark:
    from vlures.judge import benchmark

    loaded: Benchmark = benchmark.load_benchmark(options, asked, skips)
    return loaded


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    from vlures.judge import subjects

    return subjects.check_data(options, image_check, tell)


def choose_variant(options: Options) -> JudgeVariant:
    return options.variant


def find_variant(label: str) -> JudgeVariant | None:
    from vlures.judge.variant import find_variant

    return find_variant(label)


def columns(run: Mapping[str, Any]) -> Columns:  # noqa: ARG001 (all judges have the same)
    from vlures.judge.subjects import COLUMNS

    return COLUMNS


def describe_question(variant: Variant, question: Question) -> Mapping[str, Any]:  # noqa: ARG001 (the same in all)
    from vlures.judge.subjects import describe_question

    return describe_question(question)


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> JudgeSubjects:
    from vlures.judge import subjects

    return subjects.find_subjects(run, store)


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    from vlures.judge.subjects import read_selection

    return read_selection(selection)


def heading(variant: Variant, cell: Cell) -> Heading:
    from vlures.benchmarks import Heading

    return Heading(variant.title(cell), None)


def find_fault(variant: Variant) -> FindFault:
    from vlures.judge.forms import find_fault, form_of

    return find_fault(form_of(variant.label))


def conclude(run: Mapping[str, Any], store: CheckpointStore) -> None:
    from vlures.judge.subjects import load_stored

    load_stored(run, store).conclude(store)


def find_scorer(options: Options) -> None:  # noqa: ARG001 (a judgement is no answer that is right or wrong)
    return None

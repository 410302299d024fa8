"""The VLURes benchmark: eight tasks in four languages, about images with their articles.

Its modules are loaded on use: reading a run's folder needs few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vlures.benchmarks import Dimension, Heading, Question, Skips
    from vlures.benchmarks.columns import Columns
    from vlures.benchmarks.image_check import ImageCheck
    from vlures.benchmarks.vlures.benchmark import VluresBenchmark
    from vlures.benchmarks.vlures.options import Options
    from vlures.benchmarks.vlures.settings import Setting
    from vlures.benchmarks.vlures.subjects import VluresSubjects
    from vlures.records import AskedModel, Cell, Variant
    from vlures.store.checkpoints import CheckpointStore


def load_benchmark(options: Options, asked: AskedModel, skips: Skips | None) -> VluresBenchmark:
    from vlures.benchmarks.vlures import benchmark

    return benchmark.load_benchmark(options, asked, skips)


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    from vlures.benchmarks.vlures import data_report

    return data_report.check_data(options, image_check, tell)


def choose_variant(options: Options) -> Setting:
    return options.setting


def find_variant(label: str) -> Setting | None:
    from vlures.benchmarks.vlures.settings import SETTINGS

    return next((setting for setting in SETTINGS if setting.label == label), None)


def columns(run: Mapping[str, Any]) -> Columns:  # noqa: ARG001 (all runs have the same)
    from vlures.benchmarks.vlures.subjects import COLUMNS

    return COLUMNS


def describe_question(variant: Variant, question: Question) -> Mapping[str, Any]:
    from vlures.benchmarks.vlures.subjects import describe_question

    return describe_question(variant, question)


def find_subjects(run: Mapping[str, Any], store: CheckpointStore) -> VluresSubjects:
    from vlures.benchmarks.vlures import subjects

    return subjects.find_subjects(run, store)


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    from vlures.benchmarks.vlures.options import read_selection

    return read_selection(selection)


def heading(variant: Variant, cell: Cell) -> Heading:  # noqa: ARG001 (the same in all settings)
    from vlures.benchmarks import Heading
    from vlures.benchmarks.vlures.languages import LANGUAGES
    from vlures.benchmarks.vlures.settings import parse_cell
    from vlures.benchmarks.vlures.tasks import TASKS

    code, number = parse_cell(cell)
    language = LANGUAGES.get(code)
    task = f"{number} {TASKS[number].name}" if number in TASKS else f"task {number}"
    return Heading(f"{language.name if language else code} · {task}", language.tag if language else None)


def dimensions() -> Sequence[Dimension]:
    from vlures.benchmarks import Dimension

    return (Dimension("task"), Dimension("language", reference="En", crossed_with="text language"))


def divide(run: Mapping[str, Any], variant: Variant, cell: Cell) -> Mapping[str, str]:  # noqa: ARG001
    from vlures.benchmarks.vlures.settings import parse_cell

    language, task = parse_cell(cell)
    texts = run.get("text_languages") or {}
    return {"task": str(task), "language": language, "text language": str(texts.get(language, language))}


def find_fault(variant: Variant) -> None:  # noqa: ARG001 (any text is an answer)
    return None


def conclude(run: Mapping[str, Any], store: CheckpointStore) -> None: ...


def find_scorer(options: Options) -> None:  # noqa: ARG001 (no answer is right or wrong by itself)
    return None

"""The report of `vlures check` on datasets and prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tabulate import tabulate

from vlures.benchmarks.image_check import ImageCheck
from vlures.benchmarks.problems import Problem
from vlures.benchmarks.vlures.benchmark import find_text_languages, load_datasets, load_prompts
from vlures.benchmarks.vlures.options import Options
from vlures.benchmarks.vlures.samples import Dataset
from vlures.benchmarks.vlures.text_language import describe_crossing
from vlures.safety.control_characters import as_line

HEADERS = ("folder", "layout", "languages", "samples", "with text", "only tasks 1-5", "errors")


def check_data(options: Options, image_check: ImageCheck, tell: Callable[[str], None]) -> bool:
    """Report what each dataset holds and everything wrong with it. Returns whether none has an error.

    Raises VluresError for a broken prompt pack.
    """
    load_prompts(options)
    datasets: dict[int, tuple[list[str], Dataset]] = {}
    loaded = load_datasets(options)  # held: an id() is a dataset's own only while it lives
    for code, dataset in loaded.items():
        if id(dataset) not in datasets:
            checked = image_check.find_problems((sample.image for sample in dataset.samples), dataset.folder)
            datasets[id(dataset)] = ([], replace(dataset, problems=(*dataset.problems, *checked)))
        datasets[id(dataset)][0].append(code)
    tell(tabulate([_describe(codes, dataset) for codes, dataset in datasets.values()], HEADERS, tablefmt="simple"))
    problems: dict[tuple[Path, Problem], None] = {}  # a table's problems are the same for each of its languages
    for _, dataset in datasets.values():
        problems.update(dict.fromkeys((problem.folder or dataset.folder, problem) for problem in dataset.problems))
    for folder, problem in problems:
        tell(as_line(f"{problem.severity}: {folder}: {', '.join(problem.files)}: {problem.reason}"))
    folders = {code: dataset.folder for code, dataset in loaded.items()}
    if crossing := describe_crossing(find_text_languages(options, loaded), folders):
        tell(f"note: {crossing}")
    return not any(dataset.errors for _, dataset in datasets.values())


def _describe(codes: list[str], dataset: Dataset) -> list[object]:
    errors = sum(problem.times for problem in dataset.errors)
    with_text = sum(sample.text is not None for sample in dataset.samples)
    samples = len(dataset.samples)
    layout = dataset.layout + (f" ({dataset.selection})" if dataset.selection else "")
    return [
        *(as_line(dataset.folder), as_line(layout), " ".join(codes)),
        *(samples, with_text, samples - with_text, errors),
    ]

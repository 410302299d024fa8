"""`vlures check`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlures.cli.options import EXIT_CANNOT, GroupedCommand, config_options, tell
from vlures.config.run_config import RunConfig
from vlures.safety.control_characters import as_line

if TYPE_CHECKING:
    from vlures.records import Dataset, Problem


@click.command(cls=GroupedCommand, groups=("What is asked",))
@config_options
def check(config: RunConfig) -> int:
    """Name everything that is wrong with the datasets and prompts.

    \b
    Example:
      vlures check --dataset En=data/SampleEn --languages En
    """
    from tabulate import tabulate

    from vlures.benchmarks.vlures.benchmark import load_datasets, load_prompts

    load_prompts(config)
    datasets: dict[int, tuple[list[str], Dataset]] = {}
    for code, dataset in load_datasets(config).items():
        datasets.setdefault(id(dataset), ([], dataset))[0].append(code)
    rows = []
    problems: dict[tuple[Path, Problem], None] = {}  # a table's are the same for each of its languages
    for codes, dataset in datasets.values():
        problems.update(dict.fromkeys((dataset.folder, problem) for problem in dataset.problems))
        errors = sum(problem.times for problem in dataset.errors)
        with_text = sum(sample.text is not None for sample in dataset.samples)
        samples = len(dataset.samples)
        layout = dataset.layout + (f" ({dataset.selection})" if dataset.selection else "")
        rows.append(
            [as_line(dataset.folder), as_line(layout), " ".join(codes), samples, with_text, samples - with_text, errors]
        )
    headers = ["folder", "layout", "languages", "samples", "with text", "only tasks 1-5", "errors"]
    tell(tabulate(rows, headers, tablefmt="simple"))
    for folder, problem in problems:
        tell(as_line(f"{problem.severity}: {folder}: {', '.join(problem.files)}: {problem.reason}"))
    return EXIT_CANNOT if any(dataset.errors for _, dataset in datasets.values()) else 0

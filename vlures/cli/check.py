"""`vlures check`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlures.cli.options import EXIT_CANNOT, config_options
from vlures.config import RunConfig

if TYPE_CHECKING:
    from vlures.records import Dataset


@click.command()
@config_options
def check(config: RunConfig) -> int:
    """Look at the datasets and prompt packs, and name everything that is wrong with them.

    Example: vlures check --dataset data/SampleEn
    """
    from tabulate import tabulate

    from vlures.benchmark import load_datasets, load_prompts

    load_prompts(config)
    datasets: dict[Path, tuple[list[str], Dataset]] = {}
    for code, dataset in load_datasets(config).items():
        datasets.setdefault(dataset.folder, ([], dataset))[0].append(code)
    rows = []
    for folder, (codes, dataset) in datasets.items():
        with_text = sum(sample.text is not None for sample in dataset.samples)
        samples = len(dataset.samples)
        rows.append([str(folder), " ".join(codes), samples, with_text, samples - with_text, len(dataset.errors)])
    headers = ["folder", "languages", "samples", "with text", "only tasks 1-5", "errors"]
    click.echo(tabulate(rows, headers, tablefmt="simple"))
    for folder, (_, dataset) in datasets.items():
        for problem in dataset.problems:
            click.echo(f"{problem.severity}: {folder}: {', '.join(problem.files)}: {problem.reason}")
    return EXIT_CANNOT if any(dataset.errors for _, dataset in datasets.values()) else 0

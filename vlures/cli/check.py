"""`vlures check`"""

from __future__ import annotations

import click

from vlures.cli.options import EXIT_CANNOT, GroupedCommand, config_options, tell
from vlures.runs.config import RunConfig


@click.command(cls=GroupedCommand, groups=("What is asked",))
@config_options
def check(config: RunConfig) -> int:
    """Name everything that is wrong with the datasets and prompts.

    \b
    Example:
      vlures check --dataset En=data/SampleEn --languages En
    """
    from vlures.benchmarks import find_package

    return 0 if find_package(config.selection.benchmark).check_data(config.benchmark_options, tell) else EXIT_CANNOT

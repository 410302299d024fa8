"""`vlures check`"""

from __future__ import annotations

import click

from vlures.cli.console import EXIT_CANNOT, tell
from vlures.cli.options import GroupedCommand, config_options
from vlures.records import Image
from vlures.runs.config import RunConfig


@click.command(cls=GroupedCommand, groups=("What is asked",))
@click.option("--decode", is_flag=True, help="Also decode every image, which takes longer than all the rest.")
@config_options
def check(config: RunConfig, decode: bool) -> int:
    """Name everything that is wrong with the datasets and prompts.

    Every image is walked to its end. Notes say what a model may see otherwise, and what is above a limit of the
    configuration's provider and model.

    \b
    Example:
      vlures check --dataset En=data/SampleEn --languages En
    """
    from vlures.backends import find_provider
    from vlures.benchmarks import find_package
    from vlures.benchmarks.image_check import ImageCheck
    from vlures.runs.refused_images import describe_limit

    provider, target = find_provider(config.who.backend), config.target

    def limit_of(image: Image) -> str | None:
        return describe_limit(provider, target, image) if provider is not None else None

    package = find_package(config.selection.benchmark)
    is_sound = package.check_data(config.benchmark_options, ImageCheck(limit_of, decode), tell)
    return 0 if is_sound else EXIT_CANNOT

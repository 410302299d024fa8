"""`vlures import`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vlures.cli.console import EXIT_INCOMPLETE, say, tell
from vlures.cli.options import (
    CONFIG_ARGUMENT,
    config_argument,
    config_file_option,
    config_option,
    debug_option,
    take_config_argument,
)
from vlures.errors import VluresError, counted
from vlures.runs.config import load_config


@click.command("import")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder that holds them; by default the run's own checkpoint folder.",
)
@config_argument
@config_file_option("The run's own.")
@config_option("backend")
@config_option("model")
@config_option("name")
@config_option("output")
@config_option("shots")
@config_option("rationales")
@config_option("sandbox")
@debug_option
def import_(
    source: Path | None,
    config_file: Path | None,
    named_config: Path | None,
    **flags: Any,
) -> int:
    """Import checkpoints of the original scripts.

    Imports each file checkpoint_task<n>_<Code>.json once: its answers count as the run's and are marked as imported;
    errors and empty ones are due. No answer of the run is replaced, and the files are not changed. Sends nothing.

    \b
    Example:
      vlures import --from old/checkpoints --model gpt-4o
    """
    from contextlib import closing

    from vlures.backends import find_provider
    from vlures.benchmarks import find_package
    from vlures.legacy.checkpoint_files import holds_checkpoints
    from vlures.legacy.checkpoints import import_checkpoints
    from vlures.pricing.costs import find_prices
    from vlures.results.files import write_results
    from vlures.store.checkpoints import CheckpointStore
    from vlures.store.lock import hold_folder

    config_file, _ = take_config_argument(config_file, {CONFIG_ARGUMENT: named_config})
    config = load_config(config_file, flags)
    output = config.output_folder
    variant = find_package(config.selection.benchmark).choose_variant(config.benchmark_options)
    folder = source or output / f"checkpoints_{variant.label}"
    if not holds_checkpoints(folder):
        raise VluresError(
            f"{folder} holds no checkpoint of the original scripts, such as checkpoint_task1_En.json; name the folder "
            "that does with --from."
        )
    with hold_folder(output), closing(CheckpointStore(output, variant, say=say)) as store:
        counts = import_checkpoints(store, folder, say)
        if counts.answers:
            prices = find_prices(config.target, config.money, find_provider(config.who.backend))
            write_results(output, config.run_name, store, prices)
        earlier = counts.files - counts.new
        before = f"; {counted(earlier, 'file')} had been imported before" if earlier else ""
        found = f"{counted(counts.answers, 'answer')} from {counted(counts.new, 'file')}"
        tell(f"{store.folder}: {found}{before}. Nothing was sent.")
    return 0 if counts.is_whole else EXIT_INCOMPLETE

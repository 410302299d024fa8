"""`vlures status`"""

from __future__ import annotations

from pathlib import Path

import click

from vlures.cli.options import GroupedCommand, config_options, say, tell
from vlures.cli.suggestions import suggest_runs
from vlures.errors import VluresError
from vlures.runs.config import RunConfig


@click.command(cls=GroupedCommand, groups=("What is stored",))
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False), shell_complete=suggest_runs)
@config_options
def status(config: RunConfig, folder: Path | None) -> int:
    """Show where runs stand. Contacts no provider.

    FOLDER is a run's; by default the configuration's, or all under outputs/.

    \b
    Example:
      vlures status outputs/gpt-6-luna
    """
    from vlures.runs.status import find_runs, report

    folders = [folder] if folder else find_runs(config)
    if not folders:
        raise VluresError(f"There is no run under {config.storage.output} yet; start one with `vlures run`.")
    for number, output_folder in enumerate(folders):
        for text in report(output_folder, say):
            tell(("\n" if number else "") + text)
    return 0

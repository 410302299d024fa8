"""`vlures clean`"""

from __future__ import annotations

from pathlib import Path

import click

from vlures.cli.console import EXIT_CANNOT, say, tell
from vlures.cli.options import GroupedCommand, config_options
from vlures.cli.suggestions import suggest_runs
from vlures.errors import VluresError, counted
from vlures.runs.config import RunConfig


@click.command(cls=GroupedCommand, groups=("What is stored",))
@click.argument("folders", nargs=-1, type=click.Path(), shell_complete=suggest_runs)
@click.option("--yes", is_flag=True, help="Remove them.")
@config_options
def clean(config: RunConfig, folders: tuple[str, ...], yes: bool) -> int:
    """List rehearsals, and remove them with --yes.

    Those named by folders or patterns; by default all under outputs/. A rehearsal is a run that a sandbox answered. A
    folder that holds anything else, or that another process uses, is kept, and so are files that vlures did not write.

    \b
    Examples:
      vlures clean
      vlures clean --yes
      vlures clean --yes 'outputs/sandbox-demo-*'
    """
    from vlures.results.load import find_runs
    from vlures.runs.clean import describe_others, describe_size, tabulate_rehearsals
    from vlures.runs.overview import find_configured_runs
    from vlures.runs.rehearsals import Kept, Rehearsal, examine

    found = [examine(folder) for folder in (find_runs(folders) if folders else find_configured_runs(config))]
    named = {Path(name).expanduser() for name in folders}
    kept = [one for one in found if isinstance(one, Kept) and (one.seems_rehearsal or one.folder in named)]
    for one in kept:
        say(f"{one.folder} {one.reason}. It is kept.")
    code = EXIT_CANNOT if any(one.folder in named for one in kept) else 0
    rehearsals = [one for one in found if isinstance(one, Rehearsal)]
    if not rehearsals:
        tell("There is no rehearsal to remove.")
        return code
    if yes:
        _remove([one.folder for one in rehearsals])
        return code
    tell(tabulate_rehearsals(rehearsals))
    for rehearsal in filter(None, map(describe_others, rehearsals)):
        say(rehearsal)
    size = describe_size(sum(one.size_bytes for one in rehearsals))
    tell(
        f"{counted(len(rehearsals), 'rehearsal')}, {size} in all; with --yes, the same command removes what is listed."
    )
    return code


def _remove(folders: list[Path]) -> None:
    """Remove each, also where one before it could not be. Raises the last error."""
    from vlures.runs.clean import describe_others, describe_size, remove
    from vlures.runs.rehearsals import Kept

    failures: list[VluresError] = []
    for folder in folders:
        try:
            found = remove(folder, say)
        except VluresError as error:
            failures.append(error)
            continue
        if isinstance(found, Kept):
            say(f"{folder} {found.reason}. It is kept.")
            continue
        answers, freed = counted(found.answers, "answer"), describe_size(found.size_bytes)
        tell(f"Removed {folder}: {answers}, {freed}.")
        if others := describe_others(found):
            say(others)
    for failure in failures[:-1]:
        say(str(failure))
    if failures:
        raise failures[-1]

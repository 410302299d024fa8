"""`vlures status`"""

from __future__ import annotations

import click

from vlures.cli.console import say, tell
from vlures.cli.options import GroupedCommand, config_options
from vlures.cli.suggestions import suggest_runs
from vlures.errors import VluresError
from vlures.runs.config import RunConfig


@click.command(cls=GroupedCommand, groups=("What is stored",))
@click.argument("folders", nargs=-1, type=click.Path(), shell_complete=suggest_runs)
@config_options
def status(config: RunConfig, folders: tuple[str, ...]) -> int:
    """Show where runs stand. Contacts no provider.

    One run, named by its folder or by the configuration, is shown whole. Several, named by a pattern, have a line each,
    as have all runs under outputs/ where none is named.

    \b
    Examples:
      vlures status
      vlures status outputs/gpt-6-luna
      vlures status 'outputs/gpt-*'
    """
    from vlures.judge.report import summarise_judge
    from vlures.judge.verdicts import find_judges
    from vlures.results.load import find_runs
    from vlures.runs.overview import find_configured_runs, names_run, tabulate_runs
    from vlures.runs.status import report

    found = find_runs(folders) if folders else find_configured_runs(config)
    if not found:
        raise VluresError(f"There is no run under {config.storage.output} yet; start one with `vlures run`.")
    if len(found) > 1 or not (folders or names_run(config)):
        tell(tabulate_runs(found, say))
        tell("`vlures status RUN` shows the details of one.")
        return 0
    for number, text in enumerate(report(found[0], say)):
        tell(("\n" if number else "") + text)
    for folder in find_judges(found[0]):
        tell(f"\nJudged in {folder}: {summarise_judge(folder)}")
    return 0

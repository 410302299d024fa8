"""`vlures config`"""

from __future__ import annotations

import click

from vlures.cli.console import tell
from vlures.cli.options import CONFIG_ARGUMENT, GroupedCommand, config_options
from vlures.config.environment import read_environment
from vlures.runs.config import RunConfig, all_options, find_origins
from vlures.safety.control_characters import as_toml


@click.group()
def config() -> None:
    """Look at the configuration of a run."""


@config.command(cls=GroupedCommand, groups=())
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "toml"]),
    default="table",
    help="table, or toml: a reusable configuration.",
)
@config_options
def show(config: RunConfig, form: str) -> int:
    """Print every option with its value and where it came from.

    Takes all options of `vlures run`. Of API keys it shows only where they are.

    \b
    Examples:
      vlures config show -c configs/openai.toml --limit 10
      vlures config show --languages En,Sw --format toml > configs/mine.toml
    """
    from vlures.cli.config_report import tabulate_config, write_toml

    given = click.get_current_context().params
    flags = {name: value for name, value in given.items() if name in all_options() and value not in (None, ())}
    origins = find_origins(given["config_file"] or given[CONFIG_ARGUMENT], flags)
    if form == "toml":
        click.echo(as_toml(write_toml(config, origins)).encode(), nl=False)
    else:
        tell(tabulate_config(config, origins, read_environment()))
    return 0

"""`vlures init`"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from vlures.cli.console import say, tell
from vlures.cli.options import debug_option
from vlures.cli.suggestions import suggest_folders
from vlures.errors import counted


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), shell_complete=suggest_folders)
@debug_option
def init(folder: Path) -> int:
    """Set up a folder: configurations, sample data, outputs/.

    FOLDER is created if needed; by default it is the current one. Existing files are not changed.

    \b
    Example:
      vlures init my-study
    """
    from vlures.backends import all_providers
    from vlures.scaffold import lay_out

    done = lay_out(folder)
    for path in done.kept:
        say(f"{folder / path} exists with other content and was not changed.")
    unchanged = f", {len(done.unchanged)} existed already" if done.unchanged else ""
    tell(f"{folder.resolve()}: {counted(len(done.written), 'file')} written{unchanged}. It has")
    tell("  configs/      ready-made runs to edit")
    tell("  data/Sample*  seven images per language, six of them with an article")
    tell("  outputs/      for the results of runs")
    enter = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    tell(f"Try it without a key and at no cost: {enter}vlures run --sandbox")
    keys = " or ".join(f"{provider.key_variables[0]}=…" for provider in all_providers() if provider.key_variables)
    first = f"configs/{all_providers()[0].name}.toml"
    tell(f"For real, put {keys} into a file .env there, then vlures plan -c {first}")
    return 0

"""`vlures init`"""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from vlures.cli.options import debug_option, say, tell
from vlures.cli.suggestions import suggest_folders


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), shell_complete=suggest_folders)
@debug_option
def init(folder: Path) -> int:
    """Begin a folder: configurations, sample data, outputs/.

    FOLDER is made if it is not there; by default it is the current one. Files that are there already are left as they are.

    \b
    Example:
      vlures init my-study
    """
    from vlures.backends import all_providers
    from vlures.scaffold import lay_out

    done = lay_out(folder)
    for path in done.kept:
        say(f"{folder / path} was there already, with another content, and is left as it is.")
    there = f", {len(done.there_already)} were there already" if done.there_already else ""
    tell(f"{folder.resolve()}: {len(done.written)} files written{there}. It has")
    tell("  configs/      ready-made runs, to be edited")
    tell("  data/Sample*  seven pictures per language, six of them with an article")
    tell("  outputs/      what runs will leave")
    to_it = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    tell(f"Rehearse, without a key and at no cost: {to_it}vlures run --sandbox")
    keys = " or ".join(f"{provider.key_variables[0]}=…" for provider in all_providers())
    first = f"configs/{all_providers()[0].name}.toml"
    tell(f"For real, put {keys} into a file .env there, then vlures plan -c {first}")
    return 0

"""`vlures tables`"""

from __future__ import annotations

from pathlib import Path

import click

from vlures.cli.console import say, tell
from vlures.cli.options import debug_option
from vlures.cli.suggestions import suggest_runs
from vlures.errors import UsageError

FORMATS = ("md", "csv", "latex", "json")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@click.option(
    "--table",
    "wanted",
    multiple=True,
    metavar="NAME",
    help="Only this table; may be repeated: answers, controls, means, macro, gaps, variants, crossing, agreement, "
    "people, exact.",
)
@click.option("--rater", "raters", multiple=True, metavar="NAME", help="Only this judge, or people; may be repeated.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="By default the ending of --out (.tex is latex), or md.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option(
    "--decimals",
    type=click.IntRange(2, 10),
    default=2,
    show_default=True,
    help="Of scores in md and latex; csv and json have all digits.",
)
@debug_option
def tables(
    folders: tuple[Path, ...],
    wanted: tuple[str, ...],
    raters: tuple[str, ...],
    form: str | None,
    out: Path | None,
    force: bool,
    decimals: int,
) -> int:
    """Show what judges and people say of answers, in tables. Contacts no provider.

    FOLDERS are runs', or patterns such as 'outputs/*'. Every mean has its n, its interval and the command that gives it
    again. Judges are never averaged: each has tables of its own.

    \b
    Examples:
      vlures tables outputs/gpt-6-luna outputs/gemini-3.8-flash
      vlures tables outputs/gpt-6-luna --table means --out means.tex
    """
    from vlures.cli.writing import choose_format, deliver, require_numpy
    from vlures.results.load import find_runs
    from vlures.tables.table import NAMES

    for name in wanted:
        if name not in NAMES:
            raise UsageError(f"There is no table {name!r}; choose from {', '.join(NAMES)}.")
    require_numpy()

    from vlures.tables.all_tables import make_tables
    from vlures.tables.formats import write_tables

    chosen = choose_format(form, out)
    command = ["vlures", "tables", *map(str, folders)]
    made = make_tables(find_runs(folders), say, wanted, raters)
    deliver(write_tables(made, chosen, command, decimals=decimals), out, force=force, tell=tell)
    return 0

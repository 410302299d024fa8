"""`vlures compare`"""

from __future__ import annotations

from pathlib import Path

import click

from vlures.cli.console import say, tell
from vlures.cli.options import FiniteRange, debug_option
from vlures.cli.suggestions import suggest_runs
from vlures.errors import UsageError

FORMATS = ("md", "csv", "latex", "json")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@click.option("--variant", "variants", multiple=True, metavar="LABEL", help="Only this variant; may be repeated.")
@click.option(
    "--rater",
    "raters",
    multiple=True,
    metavar="NAME",
    help="Only this judge, or people, or right answers; may be repeated.",
)
@click.option(
    "--table",
    "wanted",
    multiple=True,
    metavar="NAME",
    help="Only this table; may be repeated: overall, tiers, cells, unmatched.",
)
@click.option(
    "--equivalent-within",
    type=FiniteRange(0, min_open=True),
    metavar="POINTS",
    help="Also test whether differences are smaller than this, which is to be chosen before looking.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="By default the ending of --out, or md.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.", metavar="FILE")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--decimals", type=click.IntRange(2, 10), default=2, show_default=True, help="Of scores in md and latex.")
@debug_option
def compare(
    folders: tuple[Path, ...],
    variants: tuple[str, ...],
    raters: tuple[str, ...],
    wanted: tuple[str, ...],
    equivalent_within: float | None,
    form: str | None,
    out: Path | None,
    force: bool,
    decimals: int,
) -> int:
    """Compare runs, sample by sample. Contacts no provider.

    FOLDERS are runs', or patterns; one folder with several variants compares those. Samples are paired by ID, image and
    cell, and scores must be of one judge with one wording.

    \b
    Examples:
      vlures compare outputs/gpt-6-luna outputs/gemini-3.8-flash
      vlures compare outputs/gpt-6-luna --rater judge-a --out compared.tex
    """
    from vlures.cli.writing import choose_format, deliver, require_numpy
    from vlures.results.load import find_runs
    from vlures.tables.table import COMPARISONS

    for name in wanted:
        if name not in COMPARISONS:
            raise UsageError(f"There is no table {name!r}; choose from {', '.join(COMPARISONS)}.")
    require_numpy()

    from vlures.tables.comparing import compare_runs
    from vlures.tables.formats import write_tables

    chosen = choose_format(form, out)
    found = compare_runs(find_runs(folders), say, variants=variants, raters=raters, equivalent_within=equivalent_within)
    made = [table for table in found if not wanted or table.name in wanted]
    for name in wanted:
        if name not in {table.name for table in found}:
            say(f"The table {name} has no rows here.")
    if not made and out is None:
        return 0
    command = ["vlures", "compare", *map(str, folders), *(f"--variant={variant}" for variant in variants)]
    command += [f"--equivalent-within={equivalent_within:g}"] if equivalent_within is not None else []
    deliver(write_tables(made, chosen, command, decimals=decimals), out, force=force, tell=tell)
    return 0

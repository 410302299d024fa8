"""`vlures export`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from vlures.cli.console import say, tell
from vlures.cli.options import config_file_option, config_option, debug_option, only_run, take_config_argument
from vlures.cli.suggestions import suggest_runs
from vlures.errors import counted
from vlures.runs.config import load_config


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@click.option(
    "--format",
    "wanted_format",
    type=click.Choice(["jsonl", "parquet", "csv"]),
    help="By default the ending of --out, or jsonl.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="The file to write, or - for standard output; by default <folder>/<name>.<format>.",
)
@click.option("--with-images", is_flag=True, help="Put the images themselves into the table.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--raw-cells", is_flag=True, help="In CSV, do not escape texts that a spreadsheet would run as formulas.")
@config_file_option("The run's own.")
@config_option("name")
@config_option("model")
@config_option("output")
@config_option("sandbox")
@debug_option
def export(
    folder: Path | None,
    wanted_format: str | None,
    out: Path | None,
    with_images: bool,
    force: bool,
    raw_cells: bool,
    config_file: Path | None,
    **flags: Any,
) -> int:
    """Write everything that a run has stored as one table.

    For pandas, polars or Hugging Face datasets. FOLDER is the run's; by default the configuration's, or the only one
    under outputs/.

    \b
    Example:
      vlures export outputs/gpt-6-luna --format parquet --with-images
    """
    from vlures.results.export import export_run
    from vlures.results.formats import check_format, choose_format

    to_stdout = str(out) == "-"
    form = choose_format(wanted_format, out)
    check_format(form, with_images=with_images, to_stdout=to_stdout)
    config_file, named = take_config_argument(config_file, {"folder": folder})
    folder = named["folder"] or only_run(load_config(config_file, flags))
    path = out or folder / f"{folder.resolve().name}.{form}"
    to = sys.stdout.buffer if to_stdout else path
    exported = export_run(folder, form, to, with_images=with_images, force=force, say=say, raw_cells=raw_cells)
    rows = ", ".join(f"{count:,} {status}" for status, count in exported.statuses.items()) or "no rows"
    due = f"{counted(exported.due, 'request')} still due" if exported.due else "nothing is due"
    tell(f"Wrote {'to standard output' if to_stdout else path}: {rows}; {due}.", err=to_stdout)
    return 0

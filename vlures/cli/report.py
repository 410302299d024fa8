"""`vlures report`"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click

from vlures.cli.console import say, tell
from vlures.cli.options import (
    FiniteRange,
    config_file_option,
    config_option,
    debug_option,
    only_run,
    take_config_argument,
)
from vlures.cli.suggestions import suggest_runs
from vlures.errors import counted
from vlures.runs.config import load_config


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The file to write.",
)
@click.option(
    "--max-mb",
    type=FiniteRange(min=0.2),
    default=25,
    show_default=True,
    help="Its largest size in MB; what does not fit is left out, and the report says so.",
)
@click.option("--no-images", is_flag=True, help="Leave the images out.")
@click.option("--originals", type=click.Choice(["link"]), help="Link to the images as they were asked about.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@config_file_option("The run's own.")
@config_option("name")
@config_option("model")
@config_option("output")
@config_option("sandbox")
@debug_option
def report(
    folders: tuple[Path, ...],
    out: Path,
    max_mb: float,
    no_images: bool,
    originals: str | None,
    force: bool,
    config_file: Path | None,
    **flags: Any,
) -> int:
    """Show runs in one file that needs no network.

    FOLDERS are the runs', whose answers stand side by side; by default the configuration's, or the only one under
    outputs/.

    \b
    Example:
      vlures report outputs/gpt-6-luna outputs/gemini --out report.html
    """
    from vlures.report.page import Originals, write_report
    from vlures.results.load import find_runs

    config_file, named = take_config_argument(config_file, {"folders": folders})
    chosen = find_runs(named["folders"]) if named["folders"] else [only_run(load_config(config_file, flags))]
    written = write_report(
        chosen,
        out,
        say,
        max_mb=max_mb,
        with_images=not no_images,
        originals=cast("Originals | None", originals),
        force=force,
    )
    for sentence in written.left_out:
        say(sentence)
    tell(
        f"Wrote {written.path}, {written.size_bytes / 1e6:.1f} MB: {counted(written.entries, 'question')}, "
        f"{counted(written.answers, 'answer')}, {counted(written.images, 'image')}. Open it in a browser."
    )
    return 0

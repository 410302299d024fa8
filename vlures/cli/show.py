"""`vlures show`"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import click

from vlures.cli.console import say, tell
from vlures.cli.options import config_file_option, config_option, debug_option, only_run, take_config_argument
from vlures.cli.suggestions import suggest_runs
from vlures.errors import VluresError
from vlures.runs.config import load_config

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<meta name="viewport" content="width=device-width">
<body style="font-family:sans-serif;margin:2em;line-height:1.5">{body}</body>
"""


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@click.argument("sample", required=False)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with the image, as HTML.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@config_file_option("The run's own.")
@config_option("languages")
@config_option("tasks")
@config_option("name")
@config_option("model")
@config_option("output")
@config_option("sandbox")
@debug_option
def show(
    folder: Path | None, sample: str | None, out: Path | None, force: bool, config_file: Path | None, **flags: Any
) -> int:
    """Show the answers about one sample.

    FOLDER is the run's; by default the configuration's, or the only one under outputs/. SAMPLE is an ID; by default the
    first that has an answer.

    \b
    Example:
      vlures show outputs/gpt-6-luna 7 --out seven.html
    """
    from vlures.results.load import read_answers
    from vlures.results.new_file import open_new_file
    from vlures.results.show import find_answers, make_page
    from vlures.results.show_text import show_as_text
    from vlures.store.keys import sample_of

    selection = {name: flags.pop(name) or None for name in ("languages", "tasks")}
    config_file, named = take_config_argument(config_file, {"folder": folder})
    folder = named["folder"] or only_run(load_config(config_file, flags))
    if sample is None:
        first = next(read_answers([folder], say), None)
        if first is None:
            raise VluresError(f"{folder} has no answers yet; `vlures run` asks for them.")
        sample = sample_of(first.row["key"])
    answers = find_answers(sample, folder, selection)
    if out is None:
        for block in show_as_text(answers):
            tell(block)
        return 0
    with open_new_file(out, force=force) as file:
        file.write(PAGE.format(title=escape(f"{folder}: {sample}"), body=make_page(sample, answers).html).encode())
    tell(f"Wrote {out}: {len(answers):,} {'answer' if len(answers) == 1 else 'answers'} about sample {sample}.")
    return 0

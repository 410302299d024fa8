"""`vlures show`"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from html import escape
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlures.benchmarks import selecting_options
from vlures.cli.console import say, tell
from vlures.cli.options import config_file_option, config_option, debug_option, only_run, take_config_argument
from vlures.cli.suggestions import suggest_runs
from vlures.errors import UsageError, VluresError, counted
from vlures.records import STATUSES
from vlures.runs.config import load_config

if TYPE_CHECKING:
    from vlures.results.load import Answer

PAGE = """<!doctype html>
<meta charset="utf-8">
<title>{title}</title>
<meta name="viewport" content="width=device-width">
<body style="font-family:sans-serif;margin:2em;line-height:1.5">{body}</body>
"""


MOST_SHOWN = 20


def _selecting_options(command: Callable[..., int]) -> Callable[..., int]:
    """Options by which benchmarks select answers, also in the singular: `--groups` and `--group`."""
    for name in reversed(selecting_options()):
        flag = "--" + name.replace("_", "-")
        command = config_option(name, *([flag.removesuffix("s")] if flag.endswith("s") else []))(command)
    return command


@click.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@click.argument("sample", required=False)
@click.option("--sample", "one_sample", metavar="ID", help="The sample, by its ID.")
@click.option("--status", "statuses", type=click.Choice(STATUSES), multiple=True, help="Only answers that ended so.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Show at most N answers; by default all about a sample, and {MOST_SHOWN} by --status.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with the image, as HTML.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@config_file_option("The run's own.")
@_selecting_options
@config_option("name")
@config_option("model")
@config_option("output")
@config_option("sandbox")
@debug_option
def show(
    folder: Path | None,
    sample: str | None,
    one_sample: str | None,
    statuses: tuple[str, ...],
    limit: int | None,
    out: Path | None,
    force: bool,
    config_file: Path | None,
    **flags: Any,
) -> int:
    """Show answers and what they are about: the image's name, the beginning of its text, what the model said.

    FOLDER is the run's; by default the configuration's, or the only one under outputs/. SAMPLE is an ID; by default the
    first sample that has such an answer. With --status alone, all answers that ended so are shown.

    \b
    Examples:
      vlures show outputs/gpt-6-luna 7 --out seven.html
      vlures show outputs/gpt-6-luna --status failed
    """
    from vlures.results.show import find_answers
    from vlures.results.show_text import show_as_text

    if sample is not None and one_sample not in (None, sample):
        raise UsageError(f"Two samples are named, {sample} and {one_sample}; leave one of them out.")
    sample = one_sample or sample
    selection = {name: flags.pop(name) or None for name in selecting_options()}
    config_file, named = take_config_argument(config_file, {"folder": folder})
    folder = named["folder"] or only_run(load_config(config_file, flags))
    if sample is None and statuses and out is None:
        return _show_all(folder, selection, statuses, limit or MOST_SHOWN)
    sample = sample or _first_sample(folder, selection, statuses or STATUSES)
    answers = find_answers(sample, folder, selection, statuses or STATUSES)
    if out is None:
        for block in show_as_text(answers[:limit]):
            tell(block)
        _say_rest(folder, len(answers[limit:]) if limit else 0)
        return 0
    return _write_page(out, folder, sample, answers, force=force)


def _first_sample(folder: Path, selection: dict[str, Any], statuses: Collection[str]) -> str:
    """The ID of the first sample with such an answer."""
    from vlures.results.load import read_answers
    from vlures.results.show import choose
    from vlures.store.keys import sample_of

    first = next(choose(read_answers([folder], say), selection, statuses), None)
    if first is None:
        if next(read_answers([folder], lambda _: None), None) is None:
            raise VluresError(f"{folder} has no answers yet; `vlures run` asks for them.")
        raise VluresError(f"{folder} has no such answer; `vlures status {folder}` counts those that it has.")
    return sample_of(first.row["key"])


def _show_all(folder: Path, selection: dict[str, Any], statuses: Collection[str], limit: int) -> int:
    """Print the answers that ended in one of these ways, whatever they are about."""
    from vlures.results.load import read_answers
    from vlures.results.show import choose
    from vlures.results.show_text import show_as_text

    found = choose(read_answers([folder], say), selection, statuses)
    shown = list(islice(found, limit))
    if not shown:
        raise VluresError(
            f"{folder} has no answer that is {' or '.join(statuses)}, as far as you have selected; `vlures status "
            f"{folder}` counts those that it has."
        )
    for block in show_as_text(shown):
        tell(block)
    _say_rest(folder, sum(1 for _ in found))
    return 0


def _say_rest(folder: Path, more: int) -> None:
    if more > 0:
        say(f"{counted(more, 'more answer')}; raise --limit, or get all of them with `vlures export {folder}`.")


def _write_page(out: Path, folder: Path, sample: str, answers: Sequence[Answer], *, force: bool) -> int:
    from vlures.results.new_file import open_new_file
    from vlures.results.show import make_page

    with open_new_file(out, force=force) as file:
        file.write(PAGE.format(title=escape(f"{folder}: {sample}"), body=make_page(sample, answers).html).encode())
    tell(f"Wrote {out}: {counted(len(answers), 'answer')} about sample {sample}.")
    return 0

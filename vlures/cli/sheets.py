"""`vlures sheets`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlures.cli.console import EXIT_INCOMPLETE, say, tell
from vlures.cli.options import config_option, debug_option
from vlures.cli.suggestions import suggest_runs
from vlures.errors import counted

if TYPE_CHECKING:
    from vlures.judge.sheets.candidates import Found
    from vlures.judge.sheets.making import Made


@click.group()
def sheets() -> None:
    """Have people rate a random sample of answers.

    `out` writes a workbook and an offline page for each rater, `in` reads them back.
    """


@sheets.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER…", shell_complete=suggest_runs)
@click.option(
    "--per-cell",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Answers of each run, variant and cell (in VLURes a language and a task).",
)
@click.option("--raters", type=click.IntRange(1, 99), default=3, show_default=True, help="Of each language.")
@click.option("--seed", type=click.IntRange(0), help="The same seed draws the same sheets; by default a new one.")
@click.option("--judge", help="Draw evenly from this judge's low, middle and high scores; by default the only judge's.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="A new folder.",
    metavar="FOLDER",
)
@config_option("languages")
@config_option("tasks")
@debug_option
def out(
    folders: tuple[str, ...], per_cell: int, raters: int, seed: int | None, judge: str | None, out: Path, **flags: Any
) -> int:
    """Draw answers and write sheets for raters.

    Blind: a sheet names no model, no setting and no score. A tenth more rows are repeats and a tenth are bad items, by
    which raters are judged themselves. key.json maps rows to answers: keep it.

    \b
    Example:
      vlures sheets out outputs/gpt-6-luna --per-cell 25 --raters 3 --out sheets
    """
    import secrets

    from vlures.judge.sheets.candidates import find_candidates
    from vlures.judge.sheets.making import make_sheets
    from vlures.results.load import find_runs
    from vlures.store.clock import now

    selection = {name: value for name, value in flags.items() if value}
    found = find_candidates(find_runs(folders), selection, judge, say)
    chosen = secrets.randbelow(10**9) if seed is None else seed
    made = make_sheets(found, per_cell, raters, chosen, out, now(), say)
    _tell_made(found, made, raters, chosen)
    return 0


def _tell_made(found: Found, made: Made, raters: int, seed: int) -> None:
    from vlures.judge.sheets.expected import ASSUMED_SD
    from vlures.judge.sheets.making import describe_left_out
    from vlures.judge.sheets.tables import tabulate_drawn

    if left_out := describe_left_out(found):
        say(left_out)
    if made.neighbours:
        say(
            f"{counted(made.neighbours, 'row', 'follows', 'follow')} one about the same image: there are too few "
            "other images."
        )
    tell(tabulate_drawn(made.drawn, raters))
    tell(
        f"±: half the 95 % interval of a cell's mean to expect, if its answers' scores have a standard deviation of "
        f"{ASSUMED_SD:g}; twice that of ± takes a quarter of the answers."
    )
    folder = made.files[0].parent
    tell(f"Set {made.set}, seed {seed}: {counted(len(made.files), 'file')} in {folder}, to be handed out.")
    tell(f"Keep {made.key}: it says which model gave which answer. Bring scores back with `vlures sheets in`.")


@sheets.command("in")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="FILE…")
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The set's key.json; by default the one beside the files.",
)
@click.option("--without", multiple=True, help="Leave a rater out; again for another. It is recorded.", metavar="RATER")
@debug_option
def take_in(files: tuple[Path, ...], key: Path | None, without: tuple[str, ...]) -> int:
    """Read filled-in sheets back, and say how reliable each rater is.

    FILE is a workbook (.xlsx), what the page has saved (.json), or a folder of them: all of a set together. Only whole
    numbers from 1 to 100 are scores. Everything else is named by its row and left missing, and so is a row whose text
    or ID was changed. Ends with exit code 3 while scores are missing.

    \b
    Example:
      vlures sheets in returned/ --key sheets/key.json
    """
    from vlures.judge.sheets.receiving import receive
    from vlures.judge.sheets.tables import describe_unrated, find_doubtful, tabulate_quality

    received = receive(files, key, without)
    matched = received.matched
    for problem in matched.problems:
        say(str(problem))
    for sentence in describe_unrated(matched.unrated):
        say(sentence)
    if absent := [rater for rater in matched.absent if rater not in without]:
        say(f"Nothing came back from {', '.join(absent)}.")
    tell(tabulate_quality(received.quality, without))
    tell(
        "p: that bad items (answers to another image) are not scored below real ones; r and bias: beside the others' "
        "mean of the same answers. Repeats and bad items are in no mean."
    )
    for sentence in find_doubtful(received.quality):
        say(sentence)
    tell(
        f"Set {received.set}: {counted(received.verdicts, 'score')} of real answers in "
        f"{', '.join(map(str, received.written))}."
    )
    return 0 if received.is_complete else EXIT_INCOMPLETE

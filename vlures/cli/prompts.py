"""`vlures prompts`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlures.cli.console import EXIT_CANNOT, say, tell
from vlures.cli.options import debug_option
from vlures.config.options import show_numbers
from vlures.errors import counted
from vlures.safety.control_characters import as_line, as_text

if TYPE_CHECKING:
    from vlures.legacy.prompts.importing import Imported

SETTING_LABELS = ("0shot_norationales", "0shot_rationales", "1shot_norationales", "1shot_rationales")
_COLOURS = {"-": "red", "+": "green"}


@click.group()
def prompts() -> None:
    """Import prompts from a script, check packs, compare them."""


@prompts.command("import")
@click.argument("script", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The folder for the packs.", metavar="FOLDER"
)
@click.option(
    "--setting",
    type=click.Choice(SETTING_LABELS),
    metavar="SETTING",
    help="The setting of the prompts, such as 0shot_norationales; needed for those without an example.",
)
@click.option("--fill", is_flag=True, help="Take what the script lacks from the package's own packs.")
@click.option("--force", is_flag=True, help="Replace existing packs.")
@debug_option
def import_(script: Path, out: Path, setting: str | None, fill: bool, force: bool) -> int:
    """Write a script's prompts as packs.

    From a copy of one of the original scripts, for --prompts of `vlures run`. The script is not run. A text that it
    computes is named with its line and left out; a line that may change the prompts stops the import.

    \b
    Example:
      vlures prompts import run_openai_batch.py --out configs/prompts/mine
    """
    from vlures.benchmarks.vlures.prompts.writing import write_packs
    from vlures.benchmarks.vlures.settings import SETTINGS
    from vlures.legacy.prompts.importing import import_script

    asked = next((one for one in SETTINGS if one.label == setting), None)
    imported = import_script(script, asked, fill)
    replaced = write_packs(out, {pack.file_name: pack.text for pack in imported.packs}, force)
    _describe_import(imported, script, out, replaced)
    return 0 if imported.is_whole or (fill and imported.is_usable) else EXIT_CANNOT


def _describe_import(imported: Imported, script: Path, out: Path, replaced: list[str]) -> None:
    for languages, finding in imported.findings:
        of = f"{', '.join(languages)}: " if languages else ""
        say(f"{'note' if finding.harmless else 'error'}: {script}:{finding.line}: {of}{finding.text}.")
    for pack in imported.packs:
        tasks = show_numbers(pack.tasks) or "none complete"
        example = f"; example parts: {', '.join(pack.example)}" if pack.example else ""
        was = " (replaced)" if pack.file_name in replaced else ""
        tell(f"{out / pack.file_name}{was}: tasks {tasks}; {imported.setting.label}{example}")
        if pack.refusal:
            say(f"error: a run refuses {out / pack.file_name}: {pack.refusal}")
    for language in imported.absent:
        stays = (
            "the existing pack stays" if (out / f"{language.name}.toml").exists() else "a run uses the package's own"
        )
        say(f"note: {script} has no {language.name}; {stays}.")
    shots, rationales = imported.setting.shots, "" if imported.setting.rationales else "no-"
    run = f"vlures run --prompts {out} --shots {shots} --{rationales}rationales"
    if imported.is_whole:
        tell(f"The prompts are the script's, letter by letter, as far as can be told without running it: {run}")
    else:
        say(f"Not everything matches the script; the lines above say what differs. Once that is right: {run}")


@prompts.command()
@click.argument("folder")
@debug_option
def check(folder: str) -> int:
    """Show what packs contain and what is wrong with them.

    FOLDER is one that holds packs, or `own` for the package's own.

    \b
    Example:
      vlures prompts check configs/prompts/mine
    """
    from tabulate import tabulate

    from vlures.benchmarks.vlures.prompts.comparing import find_unread_files, read_packs

    found = read_packs(folder)
    rows = []
    for one in found:
        if one.pack is None:
            what = "refused" if one.refusal else "missing: the package's own is used"
            rows.append([one.language.name, what, "", "", ""])
            continue
        has = one.pack.has
        rows.append(
            [
                one.language.name,
                show_numbers(has.tasks),
                ", ".join(has.settings),
                ", ".join(has.example),
                one.pack.direction,
            ]
        )
    tell(tabulate(rows, ["language", "tasks", "settings", "example parts", "direction"], tablefmt="simple"))
    for one in found:
        if one.refusal:
            tell(f"error: {one.refusal}")
    for name in find_unread_files(folder):
        tell(f"note: {Path(folder) / name} is not read: a pack has the name of its language, such as English.toml.")
    return EXIT_CANNOT if any(one.refusal for one in found) else 0


@prompts.command()
@click.argument("before")
@click.argument("after")
@debug_option
def diff(before: str, after: str) -> int:
    """Show where two folders of packs differ.

    By language and key, from BEFORE to AFTER. Either can be `own` for the package's own packs.

    \b
    Example:
      vlures prompts diff own configs/prompts/mine
    """
    from vlures.benchmarks.vlures.prompts.comparing import compare_packs

    count = 0
    for difference in compare_packs(before, after):
        count += 1
        only = before if difference.after is None else after if difference.before is None else ""
        head = f"── {difference.language.name}: {difference.key}" + (f" (only in {only})" if only else "")
        click.secho(as_line(head), bold=True)
        for line in difference.lines():
            click.secho(as_text(line), fg=_COLOURS.get(line[:1]))
    tell(f"{counted(count, 'text', 'differs', 'differ')}." if count else "The packs are the same.")
    return 0

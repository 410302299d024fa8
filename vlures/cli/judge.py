"""`vlures judge`"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vlures.cli.console import EXIT_INTERRUPTED, say, tell
from vlures.cli.options import GroupedCommand, all_config_options, take_config_argument
from vlures.cli.run import ask
from vlures.cli.suggestions import suggest_runs
from vlures.errors import UsageError

if TYPE_CHECKING:
    from vlures.runs.config import RunConfig
    from vlures.runs.session import Outcome

NOT_JUDGES = ("people", "right answers")
"""What tables call the scores that no judge gave."""
GROUPS = ("Who answers", "Judging", "Money", "Rehearsal")


@click.command(cls=GroupedCommand, groups=GROUPS)
@click.argument("folders", nargs=-1, type=click.Path(), shell_complete=suggest_runs)
@click.option("--plan", is_flag=True, help="Show what would be sent and what it would cost. Sends nothing.")
@all_config_options
def judge(config_file: Path | None, folders: tuple[str, ...], plan: bool, **flags: Any) -> int:
    """Have a model judge a run's answers, with the image in view.

    FOLDERS are those of runs. A judge's own folder is judged/<judge> below each: a run like any other, which the same
    command continues. Some judgements test the judge; the first line of the result says whether it sees the image.

    \b
    Examples:
      vlures judge outputs/gpt-6-luna --backend gemini --plan
      vlures judge outputs/gpt-6-luna --backend gemini --max-cost 5
      vlures judge outputs/gpt-6-luna --pairwise outputs/gemini-3.8-flash
    """
    config_file, own = take_config_argument(config_file, {"folders": folders})
    configs = list(configure(config_file, own["folders"], flags))
    if plan:
        from vlures.cli.plan import show_plan

        return max(show_plan(config) for config in configs)
    codes = []
    for config in configs:
        codes.append(ask(config, _print_outcome)[0])
        if codes[-1] == EXIT_INTERRUPTED:
            break
    return max(codes)


def configure(config_file: Path | None, folders: tuple[str, ...], flags: dict[str, Any]) -> list[RunConfig]:
    """A configuration for each judged run."""
    from vlures.runs.config import load_config

    given = {name: value for name, value in flags.items() if value not in (None, ())}
    for name in ("benchmark", "judged", "output"):
        if name in given:
            raise UsageError(
                f"--{name} does not go with `vlures judge`, which puts judgements below the run that it is given."
            )
    if not folders and config_file is None:
        raise UsageError("Name the run whose answers are judged, such as outputs/gpt-6-luna.")
    found = []
    for folder in folders or (None,):
        named = {} if folder is None else {"judged": os.fspath(folder)}
        found.append(_place(load_config(config_file, {**given, **named, "benchmark": "judge"})))
    return found


def _place(config: RunConfig) -> RunConfig:
    """The configuration with the judge's folder below the judged run."""
    from vlures.files.names import name_after_model
    from vlures.judge.verdicts import JUDGED

    options = config.benchmark_options
    output = os.fspath(Path(options.judged) / JUDGED)
    name = config.storage.name
    if name is None and options.name_ending:
        name = name_after_model(config.model_name + options.name_ending)
    if name in NOT_JUDGES:
        raise UsageError(f"--name {name}: tables call other scores so; give this judge another name.")
    return replace(config, storage=replace(config.storage, output=output, name=name))


def _print_outcome(outcome: Outcome) -> None:
    from vlures.judge.report import describe_judge, summarise_judge
    from vlures.runs.describe_outcome import describe_outcome, describe_remainder

    for sentence in describe_remainder(outcome):
        say(sentence)
    # While batches are under way, a table would be nearly empty.
    for text in (summarise_judge(outcome.output),) if outcome.jobs else describe_judge(outcome.output):
        tell(text)
    tell(describe_outcome(outcome))

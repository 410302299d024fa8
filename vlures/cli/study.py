"""`vlures study`"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vlures.cli.console import EXIT_CANNOT, EXIT_INCOMPLETE, EXIT_INTERRUPTED, EXIT_USAGE, say, tell
from vlures.cli.options import debug_option
from vlures.cli.suggestions import suggest_configs
from vlures.errors import UsageError

if TYPE_CHECKING:
    from vlures.study.steps import ModelStep, Place, ProductStep, Steps
    from vlures.study.study_file import AskedModels

WORST = (EXIT_CANNOT, EXIT_USAGE, EXIT_INCOMPLETE)
"""Exit codes of steps. The study ends with the first of these that one of its steps ended with, or with 0."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=suggest_configs)
@click.option("--plan", is_flag=True, help="Show what the runs would send and cost. Sends nothing.")
@click.option("--commands", is_flag=True, help="Print each step as a command of its own, and do nothing.")
@debug_option
def study(file: Path, plan: bool, commands: bool) -> int:
    """Carry out several runs, their judges, tables and a report.

    FILE says which. The same command again does what is still missing. All batches are sent before any is waited for. A
    step that cannot go on stops neither the others nor what is made of what is there.

    \b
    Examples:
      vlures study configs/study.toml
      vlures study configs/study.toml --plan
    """
    from vlures.study.steps import make_steps
    from vlures.study.study_file import read_study

    described = read_study(file)
    steps = make_steps(described, _locate, _is_batch_judge)
    _check_products(file, steps.products)
    if commands:
        for arguments in steps.commands():
            tell(_written(arguments))
        return 0
    if plan:
        return _worst(_plan(steps))
    return _carry_out(steps, Path("outputs") / f"{described.name}.study.json")


def _check_products(file: Path, products: Iterable[ProductStep]) -> None:
    """Raises UsageError for an option that a product's command does not take: runs and judges are paid for first."""
    from vlures.cli import commands

    for step in products:
        name, *arguments = step.arguments
        command = commands.get_command(click.Context(commands), name)
        assert command is not None
        try:
            command.make_context(f"vlures {name}", arguments)
        except click.UsageError as error:
            raise UsageError(f"{file}: [{name}]: {error.format_message()}") from error


def _locate(run: AskedModels) -> Place:
    from vlures.runs.config import load_config
    from vlures.study.steps import Place

    config = load_config(run.config, {**run.options, "name": run.key})
    return Place(config.output_folder, config.run_mode == "batch")


def _is_batch_judge(judge: AskedModels, judged: Path) -> bool:
    from vlures.cli.judge import configure

    flags = {**judge.options, "name": judge.key}
    return configure(judge.config, (str(judged),), flags)[0].run_mode == "batch"


def _plan(steps: Steps) -> Iterable[int]:
    for step in steps.runs:
        tell(f"── {step.key} ──")
        yield _call(("plan", *step.arguments[1:]))
    for step in steps.judges:
        tell(f"── {step.key} judges {step.run} ──")
        if _has_answers(step.run):
            yield _call((*step.arguments, "--plan"))
        else:
            say("What it would cost can be told once the answers are there.")


def _carry_out(steps: Steps, memory: Path) -> int:
    codes: list[int] = []
    for models in (steps.runs, steps.judges):
        for arguments in _order(models):
            _announce(arguments)
            codes.append(_call(arguments))
            if codes[-1] == EXIT_INTERRUPTED:
                return EXIT_INTERRUPTED
            if "--no-wait" in arguments and codes[-1] == EXIT_INCOMPLETE:
                codes.pop()  # its batches are waited for later
    for product in steps.products:
        codes.append(_make(product, memory))
        if codes[-1] == EXIT_INTERRUPTED:
            return EXIT_INTERRUPTED
    return _worst(codes)


def _order(steps: tuple[ModelStep, ...]) -> Iterable[tuple[str, ...]]:
    """The steps as commands. Batches are sent first, so that the provider works on all while one is waited for."""
    if len(steps) > 1:
        for step in steps:
            if step.in_batches and _is_ready(step):
                yield (*step.arguments, "--no-wait")
    for step in steps:
        if _is_ready(step):
            yield step.arguments
        else:
            say(f"{step.key} has nothing to judge in {step.run} yet.")


def _is_ready(step: ModelStep) -> bool:
    return step.kind == "run" or _has_answers(step.run)


def _has_answers(folder: Path) -> bool:
    return any(path.stat().st_size for path in folder.glob("checkpoints_*/checkpoint*.jsonl"))


def _make(step: ProductStep, memory: Path) -> int:
    """Make a product, if anything that it is made of has changed."""
    from dataclasses import replace

    from vlures.study.inputs import Made

    answered = tuple(folder for folder in step.runs if _has_answers(folder))
    if not answered:
        say(f"There is nothing to make {step.out} of yet.")
        return EXIT_INCOMPLETE
    arguments = tuple(part for part in step.arguments if part not in set(map(str, step.runs)) - set(map(str, answered)))
    step = replace(step, runs=answered, arguments=arguments)
    made = Made(memory)
    if made.is_new(step):
        say(f"{step.out} is up to date.")
        return 0
    _announce(step.arguments)
    code = _call(step.arguments)
    if not code:
        made.remember(step)
    return code


def _call(arguments: tuple[str, ...]) -> int:
    from vlures.cli import call

    return call(list(arguments))


def _announce(arguments: tuple[str, ...]) -> None:
    say(f"── {_written(arguments)}")


def _written(arguments: tuple[str, ...]) -> str:
    return shlex.join(("vlures", *arguments))


def _worst(codes: Iterable[int]) -> int:
    found = set(codes)
    return next((code for code in WORST if code in found), 0)

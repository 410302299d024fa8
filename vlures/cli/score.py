"""`vlures score`"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import get_args

import click

from vlures.benchmarks import Parser
from vlures.cli.console import say, tell
from vlures.cli.options import GroupedCommand, config_options, only_run
from vlures.cli.suggestions import suggest_runs
from vlures.errors import UsageError
from vlures.runs.config import RunConfig


@click.command(cls=GroupedCommand, groups=("What is asked", "What is stored"))
@click.argument("folder", required=False, type=click.Path(path_type=Path), shell_complete=suggest_runs)
@click.option(
    "--parser",
    type=click.Choice(get_args(Parser)),
    default="strict",
    show_default=True,
    help="legacy reads answers as the benchmark's original evaluation does, for comparison with published numbers.",
)
@click.option(
    "--answers",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Score answers that were made elsewhere: JSON Lines with image_id, question and raw.",
    metavar="FILE",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --answers: the folder for the scores; by default FILE's name with -scores.",
    metavar="FOLDER",
)
@config_options
def score(config: RunConfig, folder: Path | None, parser: Parser, answers: Path | None, out: Path | None) -> int:
    """Score answers that are right or wrong. Contacts no provider.

    FOLDER is the run's; by default the configuration's, or the only one under outputs/. Every question counts: what
    failed, or cannot be read as an answer, is wrong and is told of beside each figure.

    \b
    Examples:
      vlures score outputs/gpt-6-luna
      vlures score --benchmark urban --questions test.json --answers mine.jsonl
    """
    from vlures.results.scores import describe_command, score_answers, score_run

    if answers is not None and folder is not None:
        raise UsageError("Name a run's folder or --answers, not both.")
    if answers is None and out is not None:
        raise UsageError("--out goes with --answers: a run's scores are written into its own folder.")
    if answers is not None:
        to = out or answers.with_name(f"{answers.stem}-scores")
        named = ["--benchmark", config.selection.benchmark, *_as_flags(config.benchmark_options)]
        parser_flag = [] if parser == "strict" else ["--parser", parser]
        command = shlex.join(["vlures", "score", *named, "--answers", str(answers), *parser_flag])
        benchmark, options = config.selection.benchmark, config.benchmark_options
        found = [score_answers(benchmark, options, answers, parser, to, command, say)]
    else:
        run = folder or only_run(config)
        found = score_run(run, parser, describe_command(run, parser), say)
    for each in found:
        tell(each.scores.report)
    for each in found:
        tell(f"Wrote {', '.join(map(str, each.paths))}.")
    return 0


def _as_flags(options: object) -> list[str]:
    """The benchmark's options that are not the usual ones, as flags."""
    from vlures.config.options import options_of

    flags: list[str] = []
    for name, declared in options_of(type(options)).items():
        value = getattr(options, name)
        if value in (declared.default, (), None):
            continue
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(flag if value else f"--no-{name.replace('_', '-')}")
        elif isinstance(value, tuple):
            flags += [flag, ",".join(map(str, value))]
        else:
            flags += [flag, str(value)]
    return flags

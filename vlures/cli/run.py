"""`vlures run`"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click

from vlures.cli.console import EXIT_INCOMPLETE, EXIT_INTERRUPTED, say, tell
from vlures.cli.options import GroupedCommand, config_options
from vlures.cli.signals import run_until_signal
from vlures.cli.streams import enduring
from vlures.runs.config import RunConfig

if TYPE_CHECKING:
    from vlures.runs.session import Outcome


@click.command(cls=GroupedCommand)
@config_options
def run(config: RunConfig) -> int:
    """Ask for every answer that is still missing.

    The same command again continues where this one stopped. Every option can also be in the TOML file, with `_` for
    `-`; flags win.

    \b
    Example:
      vlures run -c configs/openai.toml --languages En,Sw --limit 10
    """
    return ask(config)[0]


def ask(config: RunConfig, print_outcome: Callable[[Outcome], None] | None = None) -> tuple[int, Outcome | None]:
    """Ask for every answer that is still missing, and say where the run stands.

    print_outcome: says it in another way.
    Returns the exit code, and the outcome, if the run is this process's and not another's that it helps.
    """
    from vlures.backends import is_paid, meet
    from vlures.runs.carry_out import carry_out
    from vlures.runs.helping import help_run
    from vlures.runs.interrupt import Interruption

    interruption = Interruption(live=config.run_mode == "live", paid=is_paid(config.who.backend))
    watch = partial(run_until_signal, interruption)
    with enduring("stdout"), meet(config.who.backend) as helper:
        if helper is not None:
            help_run(config, helper, interruption, watch, say)
            return EXIT_INTERRUPTED if interruption.interrupted else 0, None
        outcome = carry_out(config, interruption, watch, say, print_outcome or _print_outcome)
    if interruption.interrupted:
        return EXIT_INTERRUPTED, outcome
    return 0 if outcome.complete else EXIT_INCOMPLETE, outcome


def _print_outcome(outcome: Outcome) -> None:
    from vlures.runs.describe_outcome import describe_next_steps, describe_outcome, describe_remainder

    for sentence in describe_remainder(outcome):
        say(sentence)
    tell(describe_outcome(outcome))
    for sentence in describe_next_steps(outcome):
        say(sentence)

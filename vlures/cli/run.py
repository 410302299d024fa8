"""`vlures run`"""

from __future__ import annotations

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
    from vlures.runs.carry_out import carry_out
    from vlures.runs.interrupt import Interruption

    interruption = Interruption(live=config.run_mode == "live")
    with enduring("stdout"):
        outcome = carry_out(
            config, interruption, lambda begin, aside: run_until_signal(interruption, begin, aside), say, _print_outcome
        )
    if interruption.interrupted:
        return EXIT_INTERRUPTED
    return 0 if outcome.complete else EXIT_INCOMPLETE


def _print_outcome(outcome: Outcome) -> None:
    from vlures.runs.describe_outcome import describe_next_steps, describe_outcome, describe_remainder

    for sentence in describe_remainder(outcome):
        say(sentence)
    tell(describe_outcome(outcome))
    for sentence in describe_next_steps(outcome):
        say(sentence)

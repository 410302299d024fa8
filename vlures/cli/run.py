"""`vlures run`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vlures.cli.options import EXIT_INCOMPLETE, EXIT_INTERRUPTED, config_options, say
from vlures.cli.stopper import Stopper
from vlures.config import RunConfig

if TYPE_CHECKING:
    from vlures.session import Outcome


@click.command()
@config_options
def run(config: RunConfig) -> int:
    """Ask for every answer that is still missing. The same command again goes on where this one stopped.

    Example: vlures run -c configs/openai.toml --limit 10
    """
    import asyncio
    from contextlib import closing

    from vlures.progress import Progress
    from vlures.session import open_session

    stopper = Stopper(config)
    with open_session(config, say) as session:
        if session.has_work:
            with (
                closing(Progress(session.plan.selected, session.plan.total("answered"))) as progress,
                session.connected(progress, stopper.keep_going) as work,
            ):
                try:
                    asyncio.run(stopper.watch(work(), progress.say))
                finally:
                    progress.close()
                    outcome = session.end()
                    _print_outcome(outcome)
        else:
            outcome = session.end()
            _print_outcome(outcome)
        if stopper.interrupted:
            return EXIT_INTERRUPTED
        return 0 if outcome.complete and session.settle() else EXIT_INCOMPLETE


def _print_outcome(outcome: Outcome) -> None:
    from vlures.pricing import format_usd

    for reason, count in outcome.failures.most_common(5):
        say(f"  {count} failed: {reason}")
    if created := outcome.jobs["created"]:
        say(f"{created} batch(es) live on at the provider; run the same command again to collect them.")
    if creating := outcome.jobs["creating"]:
        say(f"{creating} batch(es) may have been created; run the same command again to find out.")
    counts = ", ".join(f"{count:,} {status}" for status, count in outcome.counts.items()) or "no answers yet"
    money = f" {format_usd(outcome.cost_usd)} spent in all, by today's prices." if outcome.cost_usd else ""
    click.echo(f"Results in {outcome.results}: {counts}.{money}")

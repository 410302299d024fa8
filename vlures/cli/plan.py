"""`vlures plan`"""

from __future__ import annotations

import click

from vlures.cli.console import say, tell
from vlures.cli.options import GroupedCommand, config_options
from vlures.runs.config import RunConfig


@click.command(cls=GroupedCommand)
@config_options
def plan(config: RunConfig) -> int:
    """Show what a run would send and cost. Sends nothing.

    \b
    Example:
      vlures plan -c configs/openai.toml --tasks 1,8
    """
    return show_plan(config)


def show_plan(config: RunConfig) -> int:
    """Print what a run would send and cost."""
    from vlures.backends import find_other_host, find_own_address
    from vlures.benchmarks import open_stores
    from vlures.config.environment import read_environment
    from vlures.legacy.checkpoints import assume_checkpoints_imported
    from vlures.pricing.costs import read_accounts
    from vlures.results.rehearsal import is_rehearsal
    from vlures.runs.describe_plan import describe_account, describe_costs, describe_plan, tabulate_plan
    from vlures.runs.plan import make_plan
    from vlures.runs.prepare import check_limit, prepare
    from vlures.store.checkpoints import CheckpointStore

    prepared = prepare(config, say)
    benchmark, prices = prepared.benchmark, prepared.prices
    store = CheckpointStore(config.output_folder, benchmark.variant, writable=False, say=say)
    benchmark.check_folder(store)
    for note in benchmark.notes():
        say(note)
    assume_checkpoints_imported(store, say)
    made = make_plan(prepared, store)
    tell(tabulate_plan(made, prices))
    if made.stale and config.again.stale == "stop":
        tell(f"{made.stale} stored answers are to a question that has changed since; see --stale.")
    tell(describe_plan(config, made, prices))
    elsewhere = find_other_host(find_own_address(config.who, read_environment()))
    for note in describe_costs(config.target, made, prices, elsewhere):
        tell(note)
    stores, rehearsal = open_stores(config.output_folder), config.rehearsal.sandbox or is_rehearsal(store)
    if money := describe_account(config.money.max_cost, read_accounts(stores, prices), rehearsal=rehearsal):
        tell(money)
    check_limit(prepared, store)
    return 0

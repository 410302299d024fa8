"""`vlures plan`"""

from __future__ import annotations

import click

from vlures.cli.options import GroupedCommand, config_options, say, tell
from vlures.config.run_config import RunConfig


@click.command(cls=GroupedCommand)
@config_options
def plan(config: RunConfig) -> int:
    """Say what a run would send and cost. Sends nothing.

    \b
    Example:
      vlures plan -c configs/openai.toml --tasks 1,8
    """
    from vlures.backends import find_backend
    from vlures.benchmarks.vlures.benchmark import load_benchmark
    from vlures.benchmarks.vlures.text_language import check_text_languages, describe_crossing
    from vlures.config.run_config import find_address, find_other_host, read_environment
    from vlures.legacy.checkpoints import foresee_originals
    from vlures.pricing.costs import find_prices, read_accounts
    from vlures.runs.describe_plan import describe_account, describe_costs, describe_plan, tabulate_plan
    from vlures.runs.plan import check_addresses, make_plan
    from vlures.runs.sandbox_guard import ADDRESSES
    from vlures.runs.session import judge_model
    from vlures.store.checkpoints import CheckpointStore

    find_backend(config)
    judge_model(config, say)
    benchmark = load_benchmark(config)
    check_addresses(benchmark)
    store = CheckpointStore(config.output_folder, config.setting, writable=False, say=say)
    check_text_languages(benchmark, store)
    if crossing := describe_crossing(benchmark):
        say(crossing)
    foresee_originals(store, say)
    made = make_plan(benchmark, store)
    prices = find_prices(config)
    tell(tabulate_plan(made, prices))
    if made.stale and config.stale == "stop":
        tell(f"{made.stale} stored answers are to a question that has changed since; see --stale.")
    tell(describe_plan(config, made, prices))
    address = (
        find_address(config, read_environment(), ADDRESSES[config.backend]) if config.backend in ADDRESSES else None
    )
    for note in describe_costs(config, made, prices, find_other_host(address)):
        tell(note)
    if money := describe_account(config, read_accounts(config.output_folder, prices)):
        tell(money)
    return 0

"""`vlures plan`"""

from __future__ import annotations

import click

from vlures.cli.options import GroupedCommand, config_options, say, tell
from vlures.config import RunConfig


@click.command(cls=GroupedCommand)
@config_options
def plan(config: RunConfig) -> int:
    """Say what a run would send and cost. Sends nothing.

    \b
    Example:
      vlures plan -c configs/openai.toml --tasks 1,8
    """
    from vlures.backends import find_backend
    from vlures.benchmark import load_benchmark
    from vlures.config import find_address, find_other_host, read_environment
    from vlures.costs import find_prices, read_accounts
    from vlures.forecast import describe_account, describe_costs, describe_plan, tabulate_plan
    from vlures.originals import foresee_originals
    from vlures.plan import check_addresses, make_plan
    from vlures.rehearsal import ADDRESSES
    from vlures.session import judge_model
    from vlures.store import CheckpointStore
    from vlures.text_languages import check_text_languages, describe_crossing

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

"""`vlures plan`"""

from __future__ import annotations

import click

from vlures.cli.options import GroupedCommand, config_options, say
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
    from vlures.costs import find_prices
    from vlures.forecast import describe_costs, describe_plan, tabulate_plan
    from vlures.originals import foresee_originals
    from vlures.plan import check_addresses, make_plan
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
    click.echo(tabulate_plan(made, prices))
    if made.stale and config.stale == "stop":
        click.echo(f"{made.stale} stored answers are to a question that has changed since; see --stale.")
    click.echo(describe_plan(config, made, prices))
    for note in describe_costs(config, made, prices):
        click.echo(note)
    return 0

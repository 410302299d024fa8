"""The one way in: checks a configuration and turns it into something that can be planned and run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from vlures.backends import find_backend, find_other_host, find_own_address, find_provider
from vlures.backends.models import check_model
from vlures.backends.provider import Provider
from vlures.benchmarks import Benchmark, find_package, open_other_stores
from vlures.config.environment import read_environment
from vlures.errors import UsageError, VluresError
from vlures.pricing import RequestEstimator, require_price
from vlures.pricing.cost_limit import check_reach
from vlures.pricing.costs import Prices, find_prices, read_accounts
from vlures.pricing.spending import Spending
from vlures.records import Image, Request
from vlures.runs.config import RunConfig, stored_config
from vlures.runs.model_names import check_model_name, describe_unknown_model
from vlures.runs.refused_images import why_refused
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import is_due

REACHING_PROVIDER = (
    "base_url",
    "poll_s",
    "retry_budget_s",
    "first_contact_s",
    "doubt_patience_s",
    "result_patience_s",
    "stall_after_s",
    "forget_lost",
    "delete_remote_files",
)
"""Options that may differ from those the batches were sent with: how the provider is reached, and how patiently."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A configuration that can be run: everything except the run's folder."""

    config: RunConfig
    benchmark: Benchmark
    provider: Provider
    prices: Prices
    estimator: RequestEstimator


def prepare(config: RunConfig, say: Say) -> Prepared:
    """Check the options, read the data and prompts, find the prices. say: called with what is known about the model.

    Raises UsageError and VluresError for everything that can be found wrong without the run's folder.
    """
    provider = check_options(config, say)
    target = config.target
    package = find_package(config.selection.benchmark)
    skips = (lambda image: why_refused(provider, target, image) is not None) if config.selection.skip_problems else None
    benchmark = package.load_benchmark(config.benchmark_options, target.asked, skips)
    template = provider.image_template(config.backend_options)
    if template is not None and provider.image_address is not None:
        check_addresses(template, provider.image_address, requests_of(benchmark))
    prices = find_prices(target, config.money, provider)
    if config.money.max_cost is not None:
        require_price(prices.of(target.mode), target.model)
    estimator = RequestEstimator(provider, target.model, benchmark.expected_output_tokens)
    return Prepared(config, benchmark, provider, prices, estimator)


@dataclass(frozen=True, slots=True)
class PreparedCancel:
    """A run whose batches can be cancelled. Only its folder was read, and nothing was sent."""

    config: RunConfig
    prices: Prices
    spending: Spending


def prepare_cancel(store: CheckpointStore, today: RunConfig, say: Say) -> PreparedCancel:
    """Prepare to cancel a run's batches; today's options say how the provider is reached.

    Raises VluresError if the run's own configuration cannot be read.
    """
    config = _config_of_run(store, today)
    prices = find_prices(config.target, config.money, find_provider(config.who.backend))
    spending = Spending(config.target, None, prices, store, None, lambda: open_other_stores(store), say)
    spending.open(lambda: ())
    return PreparedCancel(config, prices, spending)


def _config_of_run(store: CheckpointStore, today: RunConfig) -> RunConfig:
    """The configuration that a run's batches were sent with, except that today's options say how the provider is
    reached.

    Raises VluresError if the run's configuration cannot be read.
    """
    own = store.read_json("run.json").get("config")
    if own is None:
        return today.replace(mode="batch")
    try:
        config = stored_config(own)
    except msgspec.ValidationError as error:
        raise VluresError(
            f"{store.folder / 'run.json'} cannot be used ({error}); cancel with the version of vlures that wrote it."
        ) from error
    plain = RunConfig()
    given = {name: getattr(today, name) for name in REACHING_PROVIDER if getattr(today, name) != getattr(plain, name)}
    return config.replace(mode="batch", **given)


def check_options(config: RunConfig, say: Say) -> Provider:
    """The run's provider.

    Raises UsageError for options that contradict each other, and for a model that its provider is known to lack.
    """
    from vlures.sandbox import parse_fault

    provider = find_backend(config.who.backend, config.run_mode)
    options = config.backend_options
    provider.check_installed(options)
    if config.rehearsal.sandbox and not provider.sandbox_paths:
        raise UsageError(
            f"A sandbox stands in for a server, and --backend {provider.name} needs none; leave --sandbox out, and try "
            "a few questions with --limit."
        )
    if config.target.mode == "live":
        if not config.batches.wait:
            raise UsageError(
                "--no-wait is for batches, which continue by themselves; leave it out, or add --mode batch."
            )
        if config.batches.finish_live is not None:
            raise UsageError("--finish-live is for what batches leave; leave it out, or add --mode batch.")
    if note := check_model(options, provider, datetime.now(UTC).date()):
        say(note)
    if find_other_host(find_own_address(config.who, read_environment())) is None:
        check_model_name(provider, config.target.model)
        if doubt := describe_unknown_model(provider, config.target.model):
            say(doubt)
    for fault in config.rehearsal.fault:
        parse_fault(fault)
    return provider


def prepare_spending(prepared: Prepared, store: CheckpointStore, say: Say = lambda _: None) -> Spending:
    """The run's money, with all that earlier runs have spent and what is already in flight.

    Raises UsageError where --max-cost cannot be kept, or does not cover even one request.
    """
    benchmark, others = prepared.benchmark, lambda: open_other_stores(store)
    spending = Spending(
        prepared.config.target, prepared.config.money.max_cost, prepared.prices, store, prepared.estimator, others, say
    )
    spending.open(lambda: requests_of(benchmark))
    spending.check_first(due_requests(benchmark, store))
    return spending


def check_limit(prepared: Prepared, store: CheckpointStore) -> None:
    """Raises UsageError, as prepare_spending does, if --max-cost does not cover even one request. Writes nothing."""
    max_cost, config = prepared.config.money.max_cost, prepared.config
    if max_cost is None:
        return
    accounts = read_accounts([store, *open_other_stores(store)], prepared.prices)
    if not any(account.in_all() or account.reserved() for account in accounts):
        requests = due_requests(prepared.benchmark, store)
        check_reach(max_cost, config.target, prepared.prices, prepared.estimator, requests)


def requests_of(benchmark: Benchmark) -> Iterator[Request]:
    """Every question as a request, in order."""
    return map(benchmark.request, benchmark.questions())


def due_requests(benchmark: Benchmark, store: CheckpointStore) -> Iterator[Request]:
    """The requests without an answer, looked up one by one as they are taken."""
    return (
        benchmark.request(question)
        for question in benchmark.questions()
        if is_due(store.entry(question.cell, question.sample_id))
    )


def check_addresses(
    template: str, image_address: Callable[[str, Image, str], str], requests: Iterable[Request]
) -> None:
    """Where images are sent by address, check that each has an address of its own.

    image_address: as Provider has it. Raises UsageError for a template that cannot be filled, or gives two images one
    address.
    """
    seen: dict[str, Image] = {}
    for request in requests:
        image = request.image
        if image is None:
            continue
        address = image_address(template, image, request.sample_id)
        other = seen.setdefault(address, image)
        if other.digest != image.digest:
            raise UsageError(
                f"image_url_template gives {address} for {other.path} and for {image.path}, which are "
                "different images; add {folder}, {sha256} or another placeholder that tells them apart."
            )

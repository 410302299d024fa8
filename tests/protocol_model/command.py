"""One process of `vlures run` in batch mode: the real plan, drivers and store, with everything around them virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tests.protocol_model.clock import StepLoop
from tests.protocol_model.disk import Disk
from tests.protocol_model.live import LiveClient
from tests.protocol_model.provider import MODEL, NAME, Client, Provider
from vlures.backends import find_provider
from vlures.backends.batch.client import BatchPolicy
from vlures.backends.batch.driver import BatchDriver
from vlures.backends.live.client import LivePolicy
from vlures.backends.live.driver import LiveDriver
from vlures.backends.retry import Patience
from vlures.backends.trouble import Trouble
from vlures.benchmarks.vlures.benchmark import VluresBenchmark
from vlures.benchmarks.vlures.prompts import CellPrompt
from vlures.benchmarks.vlures.samples import Dataset, Sample
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.errors import Incomplete, VluresError
from vlures.pricing import RequestEstimator
from vlures.pricing.costs import find_prices
from vlures.pricing.spending import Spending
from vlures.records import Image, Response
from vlures.runs.cancel import cancel
from vlures.runs.config import RunConfig, load_config
from vlures.runs.execute import Execution, RunCounts, execute, send_canary
from vlures.runs.plan import check_plan, count_due, make_plan, needs_canary
from vlures.runs.prepare import Prepared, prepare_spending
from vlures.runs.redo import end_redo, mark_asked_again
from vlures.runs.response_keeper import ResponseKeeper
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import is_due
from vlures.store.keys import parse_key, request_key
from vlures.store.rescue import take_rescued

SETTING = Setting()
DOUBT_PATIENCE_S = 10.0
CONCURRENCY = 2
PRICE = 100.0
"""USD per million tokens of a batch."""
LIVE_TIMES = 2
"""So many times the price of a batch is that of a live call."""
MOST_STEPS = 60_000
"""More than that, and a process is taken to go round in circles."""
LONGEST_S = 40_000.0

CommandName = Literal["run", "run --no-wait", "run --forget-lost", "cancel"]


@dataclass(frozen=True, slots=True)
class Question:
    """What a user asks for."""

    samples: int
    lot: int
    version: int = 0
    """Of the question; a later one has other digests."""
    stale: str = "keep"
    trial: bool = False
    delete: bool = False
    command: CommandName = "run"
    """The command that they call."""
    account: str = "a"
    """With whose key."""
    canary: bool = False
    finish: str | None = None
    """How much of what batches leave is asked live."""
    redo: bool = False
    """Whether truncated and refused answers are asked again."""
    cap: float | None = None
    """Limit of cost in USD."""


@cache
def config_of(question: Question, folder: Path) -> RunConfig:
    flags = {
        "output": str(folder),
        "name": "run",
        "backend": NAME,
        "mode": "batch",
        "model": MODEL,
        "price_input": PRICE,
        "price_output": PRICE,
        "max_output_tokens": 60,
        "max_cost": question.cap,
        "canary": question.canary,
        "finish_live": question.finish,
        "redo": ("truncated", "refused") if question.redo else (),
        "concurrency": CONCURRENCY,
        "languages": ("En", "Sw"),
        "tasks": (1,),
        "batch_size": question.lot,
        "stale": question.stale,
        "wait": question.command != "run --no-wait",
        "forget_lost": question.command == "run --forget-lost",
        "delete_remote_files": question.delete,
        "stall_after_s": 15.0,
        "seed": question.version,
        "max_attempts": 2,
        "poll_s": 20.0,
        "retry_budget_s": 60.0,
        "first_contact_s": 5.0,
        "doubt_patience_s": DOUBT_PATIENCE_S,
        "result_patience_s": 30.0,
    }
    return load_config(None, flags)


@cache
def benchmark_of(question: Question, folder: Path) -> VluresBenchmark:
    config = config_of(question, folder)
    numbers = range(1, question.samples + 1)
    samples = tuple(Sample(n, Image(Path(f"{n}.png"), "image/png", 3, 1, 1, f"d{n}"), None) for n in numbers)
    dataset = Dataset(Path("data"), samples)
    prompts = {
        cell: CellPrompt("", "What is this?", None)
        for cell in (make_cell(code, task) for code in config.languages for task in config.tasks)
    }
    return VluresBenchmark(
        config.benchmark_options, config.target.asked, dict.fromkeys(config.languages, dataset), prompts
    )


@dataclass(slots=True)
class Listener:
    """Keeps what a run says."""

    sentences: list[str] = field(default_factory=list)

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def in_flight(self, count: int) -> None: ...

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None: ...

    def job_ended(self, tag: str) -> None: ...

    def next_look(self, tag: str, in_s: float) -> None: ...

    def trouble(self, trouble: Trouble | None) -> None: ...

    def answered(self, response: Response) -> None: ...


class Process:
    """A process that does what `vlures run` does, one step at a time."""

    def __init__(self, question: Question, provider: Provider, disk: Disk, number: int = 0) -> None:
        self.question = question
        self.config = config_of(question, disk.folder)
        self.benchmark = benchmark_of(question, disk.folder)
        self.listener = Listener()
        self.steps = 0
        self.tally = RunCounts()
        self.forgotten: list[str] = []
        self.store: CheckpointStore | None = None
        self.client: Client | None = None
        self.spending: Spending | None = None
        self.complete = False
        self.killed = False
        self.interrupted = False
        self.live = False
        """Whether live calls are under way, so that an interruption waits for them."""
        self.number = number
        self._keeper: ResponseKeeper | None = None
        self._going = True
        self._provider = provider
        self._disk = disk
        disk.begin_process()
        self._loop = StepLoop(provider.clock)
        self._since_s = provider.clock.awake_s
        self._main = self._loop.create_task(self._command())

    async def _command(self) -> None:
        config, say = self.config, self.listener.say
        with ExitStack() as stack:
            self.store = store = stack.enter_context(closing(CheckpointStore(config.output_folder, SETTING, say=say)))
            take_rescued(store, say)
            question = self.question
            self.client = client = Client(
                self._provider,
                store,
                self._keeps,
                trial=question.trial,
                forgetful=config.forget_lost,
                account=question.account,
            )
            patience = Patience(NAME, config.retry_budget_s, config.first_contact_s)
            policy = BatchPolicy.of(config.backend_options, 100, 1_000_000, 10)
            provider = find_provider(config.who.backend)
            assert provider is not None
            prepared = Prepared(
                config,
                self.benchmark,
                provider,
                find_prices(config.target, config.money, provider),
                RequestEstimator(provider, config.target.model, self.benchmark.expected_output_tokens),
            )
            if self.question.command == "cancel":
                spending = prepare_spending(prepared, store)
                stack.callback(spending.close)
                driver = BatchDriver(client, policy, patience, self.listener, spending.budget("batch"))
                await cancel(store, driver, self.listener, self.tally.statuses, spending, None)
                return
            plan = make_plan(prepared, store)
            check_plan(config, self.benchmark, store, plan)
            self.spending = spending = prepare_spending(prepared, store)
            stack.callback(spending.close)
            driver = BatchDriver(client, policy, patience, self.listener, spending.budget("batch"))
            if plan.total("due") or store.open_jobs():
                mark_asked_again(store, plan.asked_again)
                keeper = self._keeper = ResponseKeeper(store, spending, say, self._is_going)
                run = Execution(config, self.benchmark, store, self.listener, self.tally, spending, keeper)
                if needs_canary(config, store, plan):
                    live = self._connect_live()
                    await send_canary(run, live)
                    self.live = False
                if self._going:
                    finish = self._connect_live if config.batches.live_share is not None else None
                    await execute(run, driver, finish)
            self.complete = not count_due(self.benchmark, store) and not store.open_jobs()
            if self.complete and not self.interrupted:
                end_redo(store)
            if config.wait and not config.forget_lost and not self.interrupted:
                self.forgotten = list(_forgotten(self.benchmark, store))

    def _connect_live(self) -> LiveDriver:
        self.live = True
        config = self.config
        patience = Patience(NAME, config.retry_budget_s, config.first_contact_s)
        client = LiveClient(self._provider, self.number)
        assert self.spending is not None
        budget = self.spending.budget("live")
        assert self._keeper is not None
        keeper = self._keeper
        return LiveDriver(
            client,
            LivePolicy.of(config.backend_options),
            patience,
            self.listener,
            keeper.keep_going,
            budget,
            keeper.can_store,
        )

    def _is_going(self) -> bool:
        return self._going

    def _keeps(self, key: str) -> bool:
        """Whether a request is not to be asked any more, as the store has it."""
        assert self.store is not None
        return self.question.stale == "keep" and not is_due(self.store.entry(*parse_key(key, SETTING)))

    @property
    def ended(self) -> bool:
        return self._main.done()

    @property
    def error(self) -> BaseException | None:
        """What an ended process ended with."""
        if self._main.cancelled():
            return asyncio.CancelledError()
        return self._main.exception()

    def step(self, until_s: float) -> bool:
        """One step. False if there is nothing to do until then, if it has ended, or if it was killed by its doom."""
        if self.ended or not self._disk.alive:
            return False
        moved = self._loop.step(until_s)
        self.steps += 1
        if not self._disk.alive:
            self.kill()
            return False
        assert self.ended or not self._loop.is_stuck, "the run waits for nothing"
        assert self.steps < MOST_STEPS, "the run goes round in circles"
        assert self._loop.time() - self._since_s < LONGEST_S, "the run never ends"
        if self.ended:
            self._disk.end_process()
        return moved

    def interrupt(self) -> None:
        """Ctrl-C, which lets live calls that are under way come to their end."""
        self.interrupted = True
        self._going = False
        if not self.live:
            self._main.cancel()

    def kill(self) -> None:
        """The process dies here. What its coroutines do on the way out reaches neither disk nor provider."""
        self.killed = True
        self._disk.end_process()
        self._main.cancel()
        now = self._loop.time()
        for _ in range(MOST_STEPS):
            if not self._loop.step(now):
                break
        if self._main.done() and not self._main.cancelled():
            self._main.exception()

    @property
    def complaints(self) -> list[dict[str, Any]]:
        return self._loop.complaints


def _forgotten(benchmark: VluresBenchmark, store: CheckpointStore) -> Iterator[str]:
    """Requests that a run which has come to its end leaves without answer, failure or batch."""
    held = {key for job in store.open_jobs() for key in job.requests}
    for question in benchmark.questions():
        entry = store.entry(question.cell, question.sample_id)
        key = request_key(question.cell, SETTING, question.sample_id)
        if entry is None and key not in held:
            yield key


def why_wrong(process: Process, faults: int) -> str | None:
    """What is wrong with the way a process has ended, if something is. faults: that it has met."""
    error = process.error
    if error is None and process.forgotten:
        return f"it forgot {process.forgotten}"
    if error is None or (process.interrupted and isinstance(error, asyncio.CancelledError)):
        return None
    if not isinstance(error, VluresError):
        return f"it ended with {error!r}"
    if process.question.cap is not None and "--max-cost" in str(error):
        return None
    if not faults and (isinstance(error, Incomplete) or not process.tally.all_failed_alike()):
        return f"it ended without a reason: {error}"
    return None

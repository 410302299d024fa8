"""What one process does for a run, from loading the data to writing the results.

`open_session` loads, locks and plans, and sends nothing; the work that `Session.connected` gives sends and stores;
`Session.end` writes the results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vlures.backends import Backend, Setup, check_key, connect, find_own_address, find_provider
from vlures.benchmarks import Benchmark
from vlures.config.environment import read_environment
from vlures.errors import counted
from vlures.legacy.checkpoints import find_unknown_samples, import_checkpoints
from vlures.pricing import cost_range
from vlures.pricing.spending import Spending
from vlures.results.files import describe_summary, results_folder, write_results
from vlures.results.rehearsal import is_rehearsal
from vlures.results.unanswered import Group, group_unanswered
from vlures.runs.answer_warnings import UNUSABLE, describe_unusable
from vlures.runs.config import RunConfig
from vlures.runs.connections import fit_connections
from vlures.runs.describe_money import describe_progress
from vlures.runs.describe_plan import describe_plan
from vlures.runs.execute import Execution, RunCounts, RunObserver, execute, send_canary
from vlures.runs.faulty_answers import mark_all_faulty
from vlures.runs.interrupt import Interruption
from vlures.runs.plan import Plan, check_plan, count_due, count_unsent, make_plan, needs_canary
from vlures.runs.prepare import Prepared, prepare, prepare_spending, requests_of
from vlures.runs.redo import end_redo, mark_asked_again
from vlures.runs.rehearsal_files import STATE_FOLDER
from vlures.runs.response_keeper import ResponseKeeper
from vlures.runs.run_record import describe_run
from vlures.runs.sandbox_guard import guard_sandbox_folder
from vlures.safety.env_file_access import describe_open_keys
from vlures.store.checkpoints import CheckpointStore
from vlures.store.lock import hold_folder
from vlures.store.rescue import take_rescued, take_shards
from vlures.store.shards import SHARDS_FOLDER


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a run stands when a process has finished with it."""

    output: Path
    """The run's folder."""
    results: Path
    """The folder of its results files."""
    counts: dict[str, int]
    """Samples by status."""
    failures: Counter[str]
    """Of this process, by reason."""
    jobs: Counter[str]
    """Open batches by state."""
    cost_usd: float | None
    """All that was ever spent on the run, by today's prices, where they are known."""
    due: int
    """Requests of the selection that have no answer and are in no batch."""
    unanswered: tuple[Group, ...]
    """Samples that failed, were refused or cut short, by reason."""
    rehearsal: bool
    """Whether a sandbox has answered."""
    complete: bool
    """Nothing is due or in flight, and at least one answer can be used."""


@dataclass(slots=True)
class Session:
    """A run that this process holds."""

    prepared: Prepared
    store: CheckpointStore
    plan: Plan
    spending: Spending
    say: Callable[[str], None]
    spent_before: int
    """Billionths of a dollar, when this process began."""
    rehearsal: bool
    """Whether a sandbox answers."""
    counts: RunCounts = field(default_factory=RunCounts)

    @property
    def config(self) -> RunConfig:
        return self.prepared.config

    @property
    def benchmark(self) -> Benchmark:
        return self.prepared.benchmark

    @property
    def has_work(self) -> bool:
        return bool(self.plan.total("due") or self.store.open_jobs())

    @contextmanager
    def connected(
        self, observer: RunObserver, interruption: Interruption
    ) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """Connect to the provider. Gives the work: ask for all that is due, collect what is in flight, store every
        answer.

        interruption: learns when a batch run sends live requests, and decides whether to keep sending.
        Raises UsageError for a key or an address that is missing or malformed.
        """
        config, store = self.config, self.store
        if not config.rehearsal.sandbox:  # before a checkpoint is made, which is the first trace of a run
            check_key(config.backend_options, read_environment())
        with ExitStack() as stack:
            sandbox_url = stack.enter_context(_sandbox(config)) if config.rehearsal.sandbox else None
            connections = fit_connections(config.target.mode, config.live.concurrency, self.plan, store, self.say)
            config = config.replace(concurrency=connections.live)
            keeper = ResponseKeeper(store, self.spending, observer.say, interruption.keep_going)
            setup = Setup(
                config.backend_options,
                read_environment(),
                sandbox_url,
                store,
                observer,
                keeper.keep_going,
                self.spending.budget(config.target.mode),
                keeper.can_store,
                connections.batch,
                any(entry.is_own_answer for cell in store.cells for entry in store.entries(cell).values()),
                lambda: requests_of(self.benchmark),
                store.folder / SHARDS_FOLDER,
            )
            live_options = config.replace(mode="live").backend_options
            live_setup = replace(setup, options=live_options, budget=self.spending.budget("live"))
            backend = connect(setup)
            self.benchmark.mark_folder(store)
            store.write_json("run.json", describe_run(config, self.benchmark, store))
            mark_asked_again(store, self.plan.asked_again)
            run = Execution(config, self.benchmark, store, observer, self.counts, self.spending, keeper)

            def connect_live() -> Backend:
                interruption.live = True
                return connect(live_setup)

            async def work() -> None:
                if needs_canary(config, store, self.plan):
                    live = connect_live()
                    await send_canary(run, live)
                    interruption.live = config.target.mode == "live"
                    if not interruption.keep_going():
                        return
                finish = connect_live if config.batches.live_share is not None else None
                await execute(run, backend, finish, (lambda: connect(setup)) if config.batches.wait else None)

            yield work

    def describe_money(self) -> str | None:
        """What this process has spent, of what it is expected to spend. None where no price is known."""
        price = self.prepared.prices.of(self.config.target.mode)
        if price is None:
            return None
        # What is in flight already is in no estimate.
        expected = cost_range(self.plan.tokens, price) if not self.plan.total("in_flight") else None
        usd = (self.spending.spent - self.spent_before) / 1e9
        return describe_progress(usd, expected, rehearsal=self.rehearsal)

    def end(self) -> Outcome:
        """Write the results and return where the run stands."""
        config, store = self.config, self.store
        take_shards(store, self.say)  # their answers are stored by now
        prices, find_fault = self.prepared.prices, self.benchmark.find_fault
        summary = write_results(config.output_folder, config.run_name, store, prices, find_fault)
        self.benchmark.conclude(store)
        for sentence in describe_summary(summary, store.variant):
            self.say(sentence)
        jobs: Counter[str] = Counter(job.state for job in store.open_jobs())
        due = count_due(self.benchmark, store)
        complete = not due and not jobs
        folder = results_folder(config.output_folder, store.variant)
        return Outcome(
            config.output_folder,
            folder,
            summary["status"],
            self.counts.failures,
            jobs,
            summary["cost_usd"],
            count_unsent(self.benchmark, store) if jobs else due,
            tuple(group_unanswered(store)),
            self.rehearsal,
            complete,
        )

    def describe_unusable(self) -> str | None:
        """Why the run failed although nothing is left to ask: none of its answers can be used."""
        statuses: Counter[str] = Counter()
        for question in self.benchmark.questions():
            entry = self.store.entry(question.cell, question.sample_id)
            if entry is not None and entry.status == "ok":
                return None
            statuses[entry.status if entry is not None else "due"] += 1
        is_over = any(statuses[status] for status in UNUSABLE) and not self.store.open_jobs()
        return describe_unusable(statuses) if is_over else None

    def settle(self, *, interrupted: bool) -> bool:
        """Once everything is answered: end a redo. Returns whether no question about the answers is left to the user.

        A redo ends before the user sees the outcome; an interrupted one stays open, because the same command continues
        it.
        """
        if not interrupted:
            end_redo(self.store)
        if not self.plan.changed_in_flight or self.config.again.stale != "stop":
            return True
        if not make_plan(self.prepared, self.store).stale:
            return True
        self.say(
            "Answers that were in flight are to a question that has changed since; the next run asks what to do with "
            "them."
        )
        return False


def drop_unbegun(store: CheckpointStore) -> None:
    """Let a live run take over what a batch run was going to send: a job that was only intended, or whose file was only
    uploaded, has no batch."""
    for job in store.open_jobs():
        if job.state in ("intended", "uploaded"):
            store.update_job(job.tag, "dropped", note="a live run took its requests over")


@contextmanager
def open_session(config: RunConfig, say: Callable[[str], None]) -> Iterator[Session]:
    """Prepare, lock and plan a run. Sends nothing. say: called with every sentence for the user.

    Raises UsageError and VluresError for everything that can be found wrong before anything is sent.
    """
    prepared = prepare(config, say)
    benchmark = prepared.benchmark
    if not config.rehearsal.sandbox and (advice := describe_open_keys()):
        say(advice)
    with ExitStack() as stack:
        held = stack.enter_context(hold_folder(config.output_folder, say=say))
        store = CheckpointStore(config.output_folder, benchmark.variant, say=say, guard=held.check)
        stack.callback(store.close)
        if not config.rehearsal.sandbox and find_provider(config.who.backend) is not None:
            address = find_own_address(config.who, read_environment())
            if sandbox_note := guard_sandbox_folder(address, store):
                say(sandbox_note)
        take_rescued(store, say)
        benchmark.check_folder(store)
        for note in benchmark.notes():
            say(note)
        _import_checkpoints(config, benchmark, store, say)
        mark_all_faulty(benchmark, store)
        plan = make_plan(prepared, store)
        check_plan(config, benchmark, store, plan)
        if config.target.mode == "live":
            drop_unbegun(store)
        say(describe_plan(config, plan, prepared.prices))
        for refusal in plan.refused:
            say(refusal)
        spending = prepare_spending(prepared, store, say)
        stack.callback(spending.close)
        if money := spending.describe():
            say(money)
        rehearsal = config.rehearsal.sandbox or is_rehearsal(store)
        yield Session(prepared, store, plan, spending, say, spending.spent, rehearsal)


def _import_checkpoints(
    config: RunConfig, benchmark: Benchmark, store: CheckpointStore, say: Callable[[str], None]
) -> None:
    """Import the original scripts' checkpoints from the run's checkpoint folder."""
    imported = import_checkpoints(store, store.folder, say)
    is_first_run = bool(store.cells) and not store.read_json("run.json")
    if is_first_run:  # where nothing is left to ask, nothing else would record what the answers are about
        store.write_json("run.json", describe_run(config, benchmark, store))
    if (imported.answers or is_first_run) and (unknown := find_unknown_samples(benchmark, store)):
        say(
            f"{counted(len(unknown), 'imported answer', 'is', 'are')} about samples that the dataset does not have, "
            f"such as {unknown[0]}; the results contain them anyway. Is it the right dataset?"
        )


def _sandbox(config: RunConfig) -> Any:
    from vlures.sandbox.child import running_sandbox

    return running_sandbox(config.output_folder / STATE_FOLDER, config.rehearsal.fault)

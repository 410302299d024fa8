"""What one process does for a run, from loading the data to writing the results: the way through all rooms.

`open_session` loads, locks and plans, and sends nothing; what `Session.connected` gives sends and stores; `Session.end` writes
the results.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vlures.backends import MOST_CONNECTIONS, Backend, Setup, connect
from vlures.backends.open_files import RESERVE, count_open, fit, raise_limit
from vlures.benchmarks import Benchmark
from vlures.config.environment import read_environment
from vlures.errors import LockLost, NotWritable
from vlures.legacy.checkpoints import find_unknown_samples, take_originals
from vlures.pricing.costs import Prices
from vlures.pricing.spending import Spending
from vlures.results.files import results_folder, write_results
from vlures.runs.answer_warnings import UNUSABLE, describe_unusable
from vlures.runs.config import RunConfig
from vlures.runs.describe_plan import describe_plan
from vlures.runs.execute import Execution, RunCounts, RunObserver, execute, send_canary
from vlures.runs.interrupt import Stopper
from vlures.runs.plan import Plan, check_plan, count_due, make_plan, needs_canary
from vlures.runs.prepare import prepare, prepare_spending
from vlures.runs.progress import Progress
from vlures.runs.redo import end_redo, mark_asked_again
from vlures.runs.response_keeper import Keeper
from vlures.runs.run_record import describe_run
from vlures.runs.sandbox_guard import check_rehearsal
from vlures.safety.env_file import describe_open_keys
from vlures.store.checkpoints import CheckpointStore
from vlures.store.lock import hold_folder
from vlures.store.rescue import take_rescued

BATCH_CONNECTIONS = 64
"""That a batch run should have room for: looks, downloads and two uploads at a time."""

Watch = Callable[[Coroutine[Any, Any, None], Callable[[str], None]], None]
"""Runs some work to its end. It is also given a way to say something beside the progress bar."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a run stands when a process is done with it.

    output: the run's folder. results: the folder of its results files. counts: samples by status. failures: of this process,
    by reason. jobs: open batches by their state. cost_usd: all that was ever spent on the run, by today's prices, where they
    are known. complete: nothing is due or in flight, and at least one answer can be used.
    """

    output: Path
    results: Path
    counts: dict[str, int]
    failures: Counter[str]
    jobs: Counter[str]
    cost_usd: float | None
    complete: bool


@dataclass(slots=True)
class Session:
    """A run in the hands of this process."""

    config: RunConfig
    benchmark: Benchmark
    store: CheckpointStore
    plan: Plan
    prices: Prices
    spending: Spending
    say: Callable[[str], None]
    counts: RunCounts = field(default_factory=RunCounts)

    @property
    def has_work(self) -> bool:
        return bool(self.plan.total("due") or self.store.open_jobs())

    @contextmanager
    def connected(self, observer: RunObserver, stopper: Stopper) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        """Reach for the provider. What it gives asks for all that is due, collects what is in flight, stores what comes.

        Raises UsageError for a key or an address that is missing or cannot be one. stopper: told when a batch run asks live, and
        asked whether to go on sending.
        """
        config, store = self.config, self.store
        with ExitStack() as stack:
            sandbox_url = stack.enter_context(_sandbox(config)) if config.rehearsal.sandbox else None
            config, connections = self._fit_connections()
            keeper = Keeper(store, self.spending, observer.say, stopper.keep_going)
            setup = Setup(
                config.backend_options,
                read_environment(),
                sandbox_url,
                store,
                observer,
                keeper.keep_going,
                self.spending.budget(config.target.mode),
                keeper.may_send,
                connections,
            )
            live_options = config.replace(mode="live").backend_options
            live_setup = replace(setup, options=live_options, budget=self.spending.budget("live"))
            backend = connect(setup)
            self.benchmark.mark_folder(store)
            store.write_json("run.json", describe_run(config, self.benchmark, store))
            mark_asked_again(store, self.plan.asked_again)
            run = Execution(config, self.benchmark, store, observer, self.counts, self.spending, keeper)

            def connect_live() -> Backend:
                stopper.live = True
                return connect(live_setup)

            async def work() -> None:
                if needs_canary(config, store, self.plan):
                    live = connect_live()
                    await send_canary(run, live)
                    stopper.live = config.target.mode == "live"
                    if not stopper.keep_going():
                        return
                finish = connect_live if config.batches.live_share is not None else None
                await execute(run, backend, finish)

            yield work

    def _fit_connections(self) -> tuple[RunConfig, int]:
        """Open the checkpoints of all that will be asked, so that no answer is paid for that finds no file to go to, and see
        how many connections may be open besides. Returns the configuration with as many, and how many a batch backend may
        have. Raises NotWritable where the checkpoints cannot be opened."""
        config, live = self.config, self.config.target.mode == "live"
        cells = [plan.cell for plan in self.plan.cells if plan.due or plan.in_flight]
        wanted = config.live.concurrency if live else max(config.live.concurrency, BATCH_CONNECTIONS)
        files = 1 if live else 2  # what is downloaded is also written
        limit = raise_limit(count_open() + len(cells) + (wanted if live else 2 * MOST_CONNECTIONS) + 2 * RESERVE)
        self.store.open_checkpoints(cells)
        room = fit(files * wanted, limit, count_open()) // files or 1
        if room < wanted:
            self.say(
                f"At most {room} connection(s) are open at a time, not {wanted}: this process may open {limit} files (`ulimit -n`), and "
                f"{len(cells)} are checkpoints."
            )
        concurrency = min(config.live.concurrency, room)
        return config.replace(concurrency=concurrency), fit(2 * MOST_CONNECTIONS, limit, count_open()) // 2 or 1

    def end(self) -> Outcome:
        """Write the results, and say where the run stands."""
        config, store = self.config, self.store
        summary = write_results(config.output_folder, config.run_name, store, self.prices)
        jobs: Counter[str] = Counter(job.state for job in store.open_jobs())
        complete = not count_due(self.benchmark, store) and not jobs
        folder = results_folder(config.output_folder, store.variant)
        return Outcome(
            config.output_folder, folder, summary["status"], self.counts.failures, jobs, summary["cost_usd"], complete
        )

    def describe_unusable(self) -> str | None:
        """Why the run is no success though nothing is left to ask: not one of its answers can be used."""
        statuses: Counter[str] = Counter()
        for question in self.benchmark.questions():
            entry = self.store.entry(question.cell, question.sample_id)
            if entry is not None and entry.status == "ok":
                return None
            statuses[entry.status if entry is not None else "due"] += 1
        is_over = any(statuses[status] for status in UNUSABLE) and not self.store.open_jobs()
        return describe_unusable(statuses) if is_over else None

    def settle(self, *, interrupted: bool) -> bool:
        """After everything was answered: whether nothing is left to decide about what was answered.

        A redo is over before anybody is told so; one that was interrupted is not, because the same command is to follow.
        """
        if not interrupted:
            end_redo(self.store)
        if not self.plan.changed_in_flight or self.config.again.stale != "stop":
            return True
        if not make_plan(self.config, self.benchmark, self.store, None).stale:
            return True
        self.say(
            "Answers that were in flight are to a question that has changed since; the next run asks what to do with them."
        )
        return False


def drop_unbegun(config: RunConfig, store: CheckpointStore) -> None:
    """A live run takes over what a batch run was going to send: of a job that was only intended, or whose file was only
    uploaded, there is no batch."""
    if config.target.mode != "live":
        return
    for job in store.open_jobs():
        if job.state in ("intended", "uploaded"):
            store.update_job(job.tag, "dropped", note="a live run took its requests over")


@contextmanager
def open_session(config: RunConfig, say: Callable[[str], None]) -> Iterator[Session]:
    """Take a run into this process's hands. say: told every sentence that is for the user.

    Raises UsageError and VluresError for whatever can be known to be wrong before anything is sent.
    """
    prepared = prepare(config, say)
    benchmark = prepared.benchmark
    if not config.rehearsal.sandbox and (advice := describe_open_keys()):
        say(advice)
    with ExitStack() as stack:
        held = stack.enter_context(hold_folder(config.output_folder, say=say))
        store = CheckpointStore(config.output_folder, benchmark.variant, say=say, guard=held.check)
        stack.callback(store.close)
        if rehearsal := check_rehearsal(config, read_environment(), store):
            say(rehearsal)
        take_rescued(store, say)
        benchmark.check_folder(store)
        for note in benchmark.notes():
            say(note)
        _import_originals(config, benchmark, store, say)
        plan = make_plan(config, benchmark, store, prepared.estimator)
        check_plan(config, benchmark, store, plan)
        drop_unbegun(config, store)
        say(describe_plan(config, plan, prepared.prices))
        for refusal in plan.refused:
            say(refusal)
        spending = prepare_spending(prepared, store, say)
        stack.callback(spending.close)
        if money := spending.describe():
            say(money)
        yield Session(config, benchmark, store, plan, prepared.prices, spending, say)


def carry_out(
    config: RunConfig,
    stopper: Stopper,
    watch: Watch,
    say: Callable[[str], None],
    tell: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """A whole run, from the configuration to the results. Asks for all that is due and waits for it.

    watch: runs the work to its end, as the stopper does, in a loop of its own. tell: told where the run stands, also when the
    work ended in an exception. The outcome is complete if nothing is left to do or to decide, as exit code 0 says it.
    Raises what open_session and Session.connected raise, and Incomplete or VluresError where the work cannot go on.
    """
    with open_session(config, say) as session:
        if session.has_work:
            with (
                closing(Progress(session.plan.selected, session.plan.total("answered"))) as progress,
                session.connected(progress, stopper) as work,
            ):
                try:
                    watch(work(), progress.say)
                except BaseException as reason:
                    progress.close()
                    try:
                        tell(session.end())
                    except (NotWritable, LockLost) as fault:  # what ended the work is more to the point
                        if str(fault) != str(reason):
                            say(str(fault))
                    raise
        outcome = session.end()
        settled = outcome.complete and session.settle(interrupted=stopper.interrupted)
        tell(outcome)
        if unusable := session.describe_unusable():
            say(unusable)
        return replace(outcome, complete=settled and not unusable and not stopper.interrupted)


def _import_originals(
    config: RunConfig, benchmark: Benchmark, store: CheckpointStore, say: Callable[[str], None]
) -> None:
    """Take over what lies in the run's checkpoint folder."""
    taken = take_originals(store, store.folder, say)
    is_first_run = bool(store.cells) and not store.read_json("run.json")
    if is_first_run:  # it may find nothing left to ask, and then nothing else says what the answers are about
        store.write_json("run.json", describe_run(config, benchmark, store))
    if (taken.answers or is_first_run) and (unknown := find_unknown_samples(benchmark, store)):
        say(
            f"{len(unknown):,} imported answer(s) are about samples that the dataset does not have, such as {unknown[0]}; they "
            "are in the results all the same. Is it the right dataset?"
        )


def _sandbox(config: RunConfig) -> Any:
    from vlures.sandbox.child import running_sandbox

    return running_sandbox(config.output_folder / "sandbox", config.rehearsal.fault)

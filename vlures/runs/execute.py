"""Due requests → backend → store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import Protocol

from vlures.backends import Backend, Observer
from vlures.backends.outcomes import is_wordless
from vlures.benchmarks import Benchmark
from vlures.errors import Incomplete, VluresError, counted
from vlures.pricing.ledger_journal import LedgerJournal
from vlures.pricing.spending import Spending
from vlures.records import Deferred, Request, Response
from vlures.runs.answer_warnings import UNUSABLE, AnswerWarnings, describe_canary, describe_unusable
from vlures.runs.config import RunConfig
from vlures.runs.faulty_answers import refuse_fault
from vlures.runs.prepare import due_requests
from vlures.runs.response_keeper import ResponseKeeper
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import is_due
from vlures.store.keys import parse_key, sample_of

HOPELESS_AFTER = 20
HOPELESS_SAMPLES = 3
"""After this many failures of one kind, about this many samples, without any answer, the next thousand would fail as
well."""


class RunObserver(Observer, Protocol):
    """An observer that also wants every response."""

    def answered(self, response: Response) -> None: ...


@dataclass(slots=True)
class RunCounts:
    """What one run has received."""

    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    codes: set[str] = field(default_factory=set)
    failed_samples: set[str] = field(default_factory=set)
    all_lasting: bool = True
    """No failure was one that the provider calls transient."""
    warnings: AnswerWarnings = field(default_factory=AnswerWarnings)

    def add(self, response: Response) -> None:
        self.statuses[response.status] += 1
        if response.error is not None and response.status == "failed":
            self.failures[f"{response.error.code}: {response.error.message}"] += 1
            self.codes.add(response.error.code)
            self.failed_samples.add(sample_of(response.key))
            self.all_lasting = self.all_lasting and (not response.error.transient or is_wordless(response))

    def all_failed_alike(self, at_least: int = 1, samples: int = 1) -> bool:
        """Whether every request so far has failed for one reason."""
        failed = self.statuses["failed"]
        alone = failed == self.statuses.total() and len(self.codes) == 1
        return alone and failed >= at_least and len(self.failed_samples) >= samples

    @property
    def are_hopeless(self) -> bool:
        """Whether every request so far has failed for the same lasting reason."""
        return self.all_lasting and self.all_failed_alike()


@dataclass(frozen=True, slots=True)
class Execution:
    """Everything that takes part in a run under way, except the backend."""

    config: RunConfig
    benchmark: Benchmark
    store: CheckpointStore
    observer: RunObserver
    counts: RunCounts
    spending: Spending
    keeper: ResponseKeeper
    """Stores every response."""


async def send_canary(run: Execution, backend: Backend) -> None:
    """Send the first due request alone, before thousands go into batches that take hours to fail. Its answer is kept.

    backend: a live one. Raises VluresError with the provider's reason if there is no answer, Incomplete if it cannot be
    used.
    """
    store, spending, keeper, counts = run.store, run.spending, run.keeper, run.counts
    first = list(islice(due_requests(run.benchmark, store), 1))
    async with keeper.watching(), aclosing(backend.generate(first, LedgerJournal(store, spending))) as responses:
        async for received in responses:
            if isinstance(received, Deferred):
                continue
            response = spending.price(received)
            spending.settle(response, stored=keeper.store(response))
            response = refuse_fault(run.store, run.benchmark.find_fault, response)
            counts.add(response)
            run.observer.answered(response)
            for warning in counts.warnings.add(response, run.config.target.model):
                run.observer.say(warning)
            if response.status in UNUSABLE:
                raise Incomplete(describe_canary(response))
            if response.error is not None and response.status == "failed":
                raise VluresError(
                    f"The first request, {response.key}, was sent alone and live, and failed: {response.error.code}: "
                    f"{response.error.message} Nothing else was sent. Fix what it names and run again; --no-canary "
                    "skips this test."
                )
    if spending.stopped:
        raise Incomplete(
            f"{spending.describe_stop()} It would have been sent alone and live; --no-canary skips this test."
        )


async def execute(
    run: Execution,
    backend: Backend,
    finish: Callable[[], Backend] | None = None,
    again: Callable[[], Backend] | None = None,
) -> None:
    """Ask the backend for all that is due; store and count every response as it comes.

    finish: connects the live backend that answers what a batch backend has left. again: connects the backend anew, for
    what was answered with a text that is no answer to the benchmark.
    Raises Incomplete when the disk is full or the money is spent, VluresError when the run can never succeed.
    """
    benchmark, store, keeper = run.benchmark, run.store, run.keeper
    sink = ResponseSink(run)
    space = _DiskSpace(store)
    due = takewhile(lambda _: keeper.keep_going() and space.is_left(), due_requests(benchmark, store))
    async with keeper.watching():
        await sink.take(backend, due)
        if finish is not None and sink.left and not sink.gave_up:
            run.observer.say(
                f"What is left, {counted(len(sink.left), 'request')}, is sent live instead of in another batch."
            )
            rest = [request for request in due_requests(benchmark, store) if request.key in sink.left]
            await sink.take(finish(), rest)
        if again is not None:
            await _ask_faulty_again(run, sink, again)
    if space.ran_out:
        raise Incomplete(
            f"The disk of {store.folder} is nearly full, so nothing more was sent; free some space and run again."
        )
    if sink.is_hopeless and not run.counts.all_failed_alike():
        reason = run.counts.failures.most_common(1)[0][0].rstrip(".")
        raise Incomplete(
            f"Nothing more was sent after {counted(HOPELESS_AFTER, 'request')} had failed in the same way ({reason}) "
            "before any was answered; then answers came after all. Run the same command again; it continues from here."
        )
    if sink.is_hopeless or (not sink.ever_answered and run.counts.are_hopeless):
        raise _hopeless(run.counts)
    if sink.gave_up and (not run.counts.warnings.any_usable or next(due_requests(benchmark, store), None)):
        raise Incomplete(sink.gave_up)
    if run.spending.stopped:
        raise Incomplete(run.spending.describe_stop())


async def _ask_faulty_again(run: Execution, sink: ResponseSink, connect: Callable[[], Backend]) -> None:
    """Ask again, with the same parameters, for answers whose text is none; each is stored, and has been paid for."""
    for _ in range(run.config.batches.max_attempts - 1):
        over = not run.keeper.keep_going() or sink.gave_up or sink.is_hopeless
        if not sink.faulty or over or run.counts.all_failed_alike(HOPELESS_AFTER, HOPELESS_SAMPLES):
            return
        keys = frozenset(sink.faulty)
        sink.faulty.clear()
        run.observer.say(f"Asking again for {counted(len(keys), 'answer')} that cannot be used.")
        await sink.take(
            connect(), (request for request in due_requests(run.benchmark, run.store) if request.key in keys)
        )


class ResponseSink:
    """Where responses go: into the store, the counts and the account."""

    def __init__(self, run: Execution) -> None:
        store, warnings = run.store, run.counts.warnings
        self._run = run
        self._journal = LedgerJournal(store, run.spending)
        self._earlier_jobs = {job.tag for job in store.open_jobs()}
        self._warned = False
        self.is_hopeless = False
        """So many requests have failed alike, and none was ever answered, that the others would fail as well."""
        self.faulty: set[str] = set()
        """Keys of requests whose answer's text is no answer to the benchmark."""
        self.left: set[str] = set()
        """Keys of requests that a batch backend has left for a live one."""
        self.gave_up = ""
        """Why nothing more was sent, where none of the first answers can be used."""
        entries = [entry for cell in store.cells for entry in store.entries(cell).values() if not entry.imported]
        self.ever_answered = any(entry.is_own_answer for entry in entries)
        warnings.any_usable = warnings.any_usable or any(entry.status == "ok" for entry in entries)

    async def take(self, backend: Backend, requests: Iterable[Request]) -> None:
        """Raises VluresError when every request has failed for one lasting reason and batches are still under way."""
        error: Exception | None = None
        async with aclosing(backend.generate(requests, self._journal)) as responses:
            async for response in responses:
                try:
                    self._take_one(response)
                except Exception as trouble:
                    if isinstance(response, Deferred) or response.job is not None:
                        raise  # batches under way are not lost
                    error = error or trouble  # live answers in flight would be lost
                    self._run.keeper.stopped = True
        if error is not None:
            raise error

    def _take_one(self, response: Response | Deferred) -> None:
        if isinstance(response, Deferred):
            self.left.add(response.key)
        else:
            self._store(self._run.spending.price(response))
        counts, is_live = self._run.counts, isinstance(response, Response) and response.job is None
        # A live failure has had all its attempts, so it lasts even if the provider calls it transient.
        lasts = counts.all_lasting or is_live
        if lasts and not self.ever_answered and counts.all_failed_alike(HOPELESS_AFTER, HOPELESS_SAMPLES):
            if not is_live:
                raise _hopeless(counts)
            self.is_hopeless = self._run.keeper.stopped = True

    def _store(self, response: Response) -> None:
        stored = self._run.keeper.store(response)
        if news := self._run.spending.settle(response, stored=stored):
            self._run.observer.say(news)
        if stored:
            counted = refuse_fault(self._run.store, self._run.benchmark.find_fault, response)
            if counted is not response:
                self.faulty.add(response.key)
            self._count(counted)
        elif self._is_marked(response):
            self.faulty.add(response.key)

    def _is_marked(self, response: Response) -> bool:
        """Whether an earlier process, which died while it collected a batch, has stored this very answer and marked it
        as none."""
        find_fault, store = self._run.benchmark.find_fault, self._run.store
        if find_fault is None or response.status != "ok" or find_fault(response.text or "") is None:
            return False
        return is_due(store.entry(*parse_key(response.key, store.variant))) and store.holds(response)

    def _count(self, response: Response) -> None:
        warnings = self._run.counts.warnings
        is_ours = response.job not in self._earlier_jobs
        for warning in warnings.add(response, self._run.config.target.model, is_ours=is_ours):
            self._run.observer.say(warning)
        self._run.counts.add(response)
        self._run.observer.answered(response)
        if warnings.all_unusable and not self._warned:
            self._warn(describe_unusable(warnings.unusable))

    def _warn(self, sentence: str) -> None:
        """None of the first answers can be used: a batch run sends nothing more; a live one, which is watched,
        continues."""
        self._warned = True
        if self._run.config.target.mode == "batch":
            self._run.keeper.stopped = True
            self.gave_up = f"{sentence} Nothing more was sent."
            self._run.observer.say(f"{sentence} Nothing more is sent; what is under way is collected.")
        else:
            self._run.observer.say(f"{sentence} The run continues; Ctrl-C stops it.")


@dataclass(slots=True)
class _DiskSpace:
    store: CheckpointStore
    ran_out: bool = False

    def is_left(self) -> bool:
        self.ran_out = self.ran_out or self.store.is_short_of_room()
        return not self.ran_out


def _hopeless(counts: RunCounts) -> VluresError:
    """Incomplete where replies held only thinking: those were charged, so the setup as such works."""
    total = counts.statuses.total()
    every = "The only request" if total == 1 else f"All {total:,} requests"
    kind = Incomplete if counts.warnings.unusable["thought only"] else VluresError
    return kind(
        f"{every} so far failed in the same way and no answer is stored: "
        f"{next(iter(counts.failures))} Fix what it names and run again."
    )

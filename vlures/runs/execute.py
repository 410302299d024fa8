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
from vlures.errors import Incomplete, VluresError
from vlures.pricing.ledger_journal import LedgerJournal
from vlures.pricing.spending import Spending
from vlures.records import FINAL_STATUSES, Deferred, Request, Response
from vlures.runs.answer_warnings import UNUSABLE, Remarks, describe_canary, describe_unusable
from vlures.runs.config import RunConfig
from vlures.runs.prepare import due_requests
from vlures.runs.response_keeper import Keeper
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import sample_of

HOPELESS_AFTER = 20
HOPELESS_SAMPLES = 3
"""So many failures of one kind, about so many samples, and no answer ever, mean that the next thousand would fail as well."""


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
    hopeless: bool = True
    remarks: Remarks = field(default_factory=Remarks)

    def add(self, response: Response) -> None:
        self.statuses[response.status] += 1
        if response.error is not None and response.status == "failed":
            self.failures[f"{response.error.code}: {response.error.message}"] += 1
            self.codes.add(response.error.code)
            self.failed_samples.add(sample_of(response.key))
            self.hopeless = self.hopeless and (not response.error.transient or is_wordless(response))

    def is_hopeless(self, at_least: int = 1, samples: int = 1) -> bool:
        """Whether every single request failed for one and the same lasting reason."""
        failed = self.statuses["failed"]
        alone = failed == self.statuses.total() and len(self.codes) == 1
        return self.hopeless and alone and failed >= at_least and len(self.failed_samples) >= samples


@dataclass(frozen=True, slots=True)
class Execution:
    """All that takes part in a run once it is under way, but the backend."""

    config: RunConfig
    benchmark: Benchmark
    store: CheckpointStore
    observer: RunObserver
    counts: RunCounts
    spending: Spending
    keeper: Keeper
    """Sees to it that every response is stored."""


async def send_canary(run: Execution, backend: Backend) -> None:
    """Ask the first due request alone, before thousands are asked in a way that takes hours to say no. Its answer counts.

    backend: a live one. Raises VluresError with the provider's reason if there is no answer, Incomplete if it cannot be used.
    """
    store, spending, keeper, counts = run.store, run.spending, run.keeper, run.counts
    first = list(islice(due_requests(run.benchmark, store), 1))
    async with keeper.watching(), aclosing(backend.generate(first, LedgerJournal(store, spending))) as responses:
        async for heard in responses:
            if isinstance(heard, Deferred):
                continue
            response = spending.price(heard)
            spending.settle(response, stored=keeper.take(response))
            counts.add(response)
            run.observer.answered(response)
            for sentence in counts.remarks.hear(response, run.config.target.model):
                run.observer.say(sentence)
            if response.status in UNUSABLE:
                raise Incomplete(describe_canary(response))
            if response.error is not None and response.status == "failed":
                raise VluresError(
                    f"The first request, {response.key}, was sent alone and live, and failed: {response.error.code}: "
                    f"{response.error.message} Nothing else was sent. Mend what it names and run again; --no-canary goes without."
                )
    if spending.stopped:
        raise Incomplete(f"{spending.describe_stop()} It would have gone alone and live; --no-canary goes without.")


async def execute(run: Execution, backend: Backend, finish: Callable[[], Backend] | None = None) -> None:
    """Ask the backend for all that is due, store every response as it comes and count it.

    finish: connects the live backend that answers what a batch backend has left.
    Raises Incomplete when the disk has no room left or the money is spent, VluresError when nothing can ever come of it.
    """
    benchmark, store, keeper = run.benchmark, run.store, run.keeper
    sink = ResponseSink(run)
    space = _DiskSpace(store)
    due = takewhile(lambda _: keeper.keep_going() and space.is_left(), due_requests(benchmark, store))
    async with keeper.watching():
        await sink.take(backend, due)
        if finish is not None and sink.left and not sink.gave_up:
            run.observer.say(f"The last {len(sink.left)} request(s) are asked live instead of in another batch.")
            rest = [request for request in due_requests(benchmark, store) if request.key in sink.left]
            await sink.take(finish(), rest)
    if space.ran_out:
        raise Incomplete(
            f"The disk of {store.folder} is nearly full, so nothing more was sent; make room and run again."
        )
    if not sink.ever_answered and run.counts.is_hopeless():
        raise _hopeless(run.counts)
    if sink.gave_up and (not run.counts.remarks.usable or next(due_requests(benchmark, store), None)):
        raise Incomplete(sink.gave_up)
    if run.spending.stopped:
        raise Incomplete(run.spending.describe_stop())


class ResponseSink:
    """Where responses go: into the store, the counts and the account."""

    def __init__(self, run: Execution) -> None:
        store, remarks = run.store, run.counts.remarks
        self._run = run
        self._journal = LedgerJournal(store, run.spending)
        self._earlier_jobs = {job.tag for job in store.open_jobs()}
        self._warned = False
        self.left: set[str] = set()
        """Keys of requests that a batch backend has left for a live one."""
        self.gave_up = ""
        """Why nothing more was sent, where none of the first answers can be used."""
        entries = [entry for cell in store.cells for entry in store.entries(cell).values() if not entry.imported]
        self.ever_answered = any(entry.status in FINAL_STATUSES for entry in entries)
        remarks.usable = remarks.usable or any(entry.status == "ok" for entry in entries)

    async def take(self, backend: Backend, requests: Iterable[Request]) -> None:
        """Raises VluresError when every request has failed for one lasting reason and batches are still to come."""
        error: Exception | None = None
        async with aclosing(backend.generate(requests, self._journal)) as responses:
            async for response in responses:
                try:
                    self._take_one(response)
                except Exception as trouble:
                    if isinstance(response, Deferred) or response.job is not None:
                        raise  # batches that are under way are not lost by that
                    error = error or trouble  # live answers in flight would be
                    self._run.keeper.stopped = True
        if error is not None:
            raise error

    def _take_one(self, response: Response | Deferred) -> None:
        if isinstance(response, Deferred):
            self.left.add(response.key)
        else:
            self._take(self._run.spending.price(response))
        if not self.ever_answered and self._run.counts.is_hopeless(HOPELESS_AFTER, HOPELESS_SAMPLES):
            if isinstance(response, Deferred) or response.job is not None:
                raise _hopeless(self._run.counts)
            self._run.keeper.stopped = True

    def _take(self, response: Response) -> None:
        stored = self._run.keeper.take(response)
        if news := self._run.spending.settle(response, stored=stored):
            self._run.observer.say(news)
        if stored:
            self._count(response)

    def _count(self, response: Response) -> None:
        remarks = self._run.counts.remarks
        for sentence in remarks.hear(
            response, self._run.config.target.model, is_ours=response.job not in self._earlier_jobs
        ):
            self._run.observer.say(sentence)
        self._run.counts.add(response)
        self._run.observer.answered(response)
        if remarks.are_unusable and not self._warned:
            self._warn(describe_unusable(remarks.unusable))

    def _warn(self, sentence: str) -> None:
        """None of the first answers can be used: a batch run sends nothing more, a live one goes on, since it is watched."""
        self._warned = True
        if self._run.config.target.mode == "batch":
            self._run.keeper.stopped = True
            self.gave_up = f"{sentence} Nothing more was sent."
            self._run.observer.say(f"{sentence} Nothing more is sent; what is under way is collected.")
        else:
            self._run.observer.say(f"{sentence} The run goes on; Ctrl-C stops it.")


@dataclass(slots=True)
class _DiskSpace:
    store: CheckpointStore
    ran_out: bool = False

    def is_left(self) -> bool:
        self.ran_out = self.ran_out or self.store.is_short_of_room()
        return not self.ran_out


def _hopeless(counts: RunCounts) -> VluresError:
    """Replies without a word of an answer were charged, so more is known of them than that something is wrong."""
    kind = Incomplete if counts.remarks.unusable["thought only"] else VluresError
    return kind(
        f"All {counts.statuses.total()} requests so far failed in the same way and nothing is stored as an answer: "
        f"{next(iter(counts.failures))} Mend what it names and run again."
    )

"""Asking: due requests → backend → store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from vlures.backends import Backend, Observer
from vlures.backends.outcomes import is_wordless
from vlures.benchmarks.vlures.benchmark import Benchmark
from vlures.errors import Incomplete, VluresError
from vlures.pricing.spending import LedgerJournal, Spending
from vlures.records import FINAL_STATUSES, Deferred, Request, Response
from vlures.runs.answer_warnings import UNUSABLE, Remarks, describe_canary, describe_unusable
from vlures.runs.response_keeper import Keeper
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import is_due

HOPELESS_AFTER = 20
HOPELESS_SAMPLES = 3
"""So many failures of one kind, about so many samples, and no answer ever, mean that the next thousand would fail as well."""


class RunObserver(Observer, Protocol):
    """An observer that also wants every response."""

    def answered(self, response: Response) -> None: ...


@dataclass(slots=True)
class Tally:
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
            self.failed_samples.add(response.key.rpartition("-")[2])
            self.hopeless = self.hopeless and (not response.error.transient or is_wordless(response))

    def is_hopeless(self, at_least: int = 1, samples: int = 1) -> bool:
        """Whether every single request failed for one and the same lasting reason."""
        failed = self.statuses["failed"]
        alone = failed == self.statuses.total() and len(self.codes) == 1
        return self.hopeless and alone and failed >= at_least and len(self.failed_samples) >= samples


async def send_canary(
    benchmark: Benchmark,
    store: CheckpointStore,
    backend: Backend,
    observer: RunObserver,
    tally: Tally,
    spending: Spending,
    keeper: Keeper,
) -> None:
    """Ask the first due request alone, before thousands are asked in a way that takes hours to say no. Its answer counts.

    backend: a live one. Raises VluresError with the provider's reason if there is no answer, Incomplete if it cannot be used.
    """
    first = list(islice(_due_requests(benchmark, store, lambda: True), 1))
    async with keeper.watching(), aclosing(backend.generate(first, LedgerJournal(store, spending))) as responses:
        async for heard in responses:
            if isinstance(heard, Deferred):
                continue
            response = spending.price(heard)
            spending.settle(response, stored=keeper.take(response))
            tally.add(response)
            observer.answered(response)
            for sentence in tally.remarks.hear(response, benchmark.config.run_model):
                observer.say(sentence)
            if response.status in UNUSABLE:
                raise Incomplete(describe_canary(response))
            if response.error is not None and response.status == "failed":
                raise VluresError(
                    f"The first request, {response.key}, was sent alone and live, and failed: {response.error.code}: "
                    f"{response.error.message} Nothing else was sent. Mend what it names and run again; --no-canary goes without."
                )
    if spending.stopped:
        raise Incomplete(f"{spending.describe_stop()} It would have gone alone and live; --no-canary goes without.")


async def run(
    benchmark: Benchmark,
    store: CheckpointStore,
    backend: Backend,
    observer: RunObserver,
    tally: Tally,
    spending: Spending,
    keeper: Keeper,
    finish: Callable[[], Backend] | None = None,
) -> None:
    """Ask the backend for all that is due, store every response as it comes and count it in the tally.

    keeper: sees to it that every response is stored. finish: connects the live backend that answers what a batch backend has
    left.
    Raises Incomplete when the disk has no room left or the money is spent, VluresError when nothing can ever come of it.
    """
    intake = _Intake(benchmark, store, observer, tally, spending, keeper)
    room = _Room(store)
    due = _due_requests(benchmark, store, lambda: keeper.keep_going() and room.is_left())
    async with keeper.watching():
        await intake.take(backend, due)
        if finish is not None and intake.left and not intake.gave_up:
            observer.say(f"The last {len(intake.left)} request(s) are asked live instead of in another batch.")
            await intake.take(
                finish(), [request for request in _all_due(benchmark, store) if request.key in intake.left]
            )
    if room.ran_out:
        raise Incomplete(
            f"The disk of {store.folder} is nearly full, so nothing more was sent; make room and run again."
        )
    if not intake.ever_answered and tally.is_hopeless():
        raise _hopeless(tally)
    if intake.gave_up and (not tally.remarks.usable or next(_all_due(benchmark, store), None)):
        raise Incomplete(intake.gave_up)
    if spending.stopped:
        raise Incomplete(spending.describe_stop())


class _Intake:
    """Where responses go: into the store, the tally and the accounts.

    left: keys of requests that a batch backend has left for a live one. gave_up: why nothing more was sent, where none of the
    first answers can be used.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        store: CheckpointStore,
        observer: RunObserver,
        tally: Tally,
        spending: Spending,
        keeper: Keeper,
    ) -> None:
        self._config = benchmark.config
        self._store = store
        self._observer = observer
        self._tally = tally
        self._spending = spending
        self._journal = LedgerJournal(store, spending)
        self._keeper = keeper
        self._earlier_jobs = {job.tag for job in store.open_jobs()}
        self._warned = False
        self.left: set[str] = set()
        self.gave_up = ""
        entries = [entry for cell in store.cells for entry in store.entries(cell).values() if not entry.imported]
        self.ever_answered = any(entry.status in FINAL_STATUSES for entry in entries)
        tally.remarks.usable = tally.remarks.usable or any(entry.status == "ok" for entry in entries)

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
                    self._keeper.stopped = True
        if error is not None:
            raise error

    def _take_one(self, response: Response | Deferred) -> None:
        if isinstance(response, Deferred):
            self.left.add(response.key)
        else:
            self._take(self._spending.price(response))
        if not self.ever_answered and self._tally.is_hopeless(HOPELESS_AFTER, HOPELESS_SAMPLES):
            if isinstance(response, Deferred) or response.job is not None:
                raise _hopeless(self._tally)
            self._keeper.stopped = True

    def _take(self, response: Response) -> None:
        stored = self._keeper.take(response)
        if news := self._spending.settle(response, stored=stored):
            self._observer.say(news)
        if stored:
            self._count(response)

    def _count(self, response: Response) -> None:
        remarks = self._tally.remarks
        for sentence in remarks.hear(response, self._config.run_model, is_ours=response.job not in self._earlier_jobs):
            self._observer.say(sentence)
        self._tally.add(response)
        self._observer.answered(response)
        if remarks.are_unusable and not self._warned:
            self._warn(describe_unusable(remarks.unusable))

    def _warn(self, sentence: str) -> None:
        """None of the first answers can be used: a batch run sends nothing more, a live one goes on, since it is watched."""
        self._warned = True
        if self._config.run_mode == "batch":
            self._keeper.stopped = True
            self.gave_up = f"{sentence} Nothing more was sent."
            self._observer.say(f"{sentence} Nothing more is sent; what is under way is collected.")
        else:
            self._observer.say(f"{sentence} The run goes on; Ctrl-C stops it.")


@dataclass(slots=True)
class _Room:
    store: CheckpointStore
    ran_out: bool = False

    def is_left(self) -> bool:
        self.ran_out = self.ran_out or self.store.is_short_of_room()
        return not self.ran_out


def _due_requests(benchmark: Benchmark, store: CheckpointStore, keep_going: Callable[[], bool]) -> Iterator[Request]:
    """Due requests, looked at one by one when the backend has room for them."""
    for cell, sample in benchmark.questions():
        if not keep_going():
            return
        if is_due(store.entry(cell, sample.id)):
            yield benchmark.request(cell, sample)


def _all_due(benchmark: Benchmark, store: CheckpointStore) -> Iterator[Request]:
    questions = benchmark.questions()
    return (benchmark.request(cell, sample) for cell, sample in questions if is_due(store.entry(cell, sample.id)))


def _hopeless(tally: Tally) -> VluresError:
    """Replies without a word of an answer were charged, so more is known of them than that something is wrong."""
    kind = Incomplete if tally.remarks.unusable["thought only"] else VluresError
    return kind(
        f"All {tally.statuses.total()} requests so far failed in the same way and nothing is stored as an answer: "
        f"{next(iter(tally.failures))} Mend what it names and run again."
    )

"""Asking: due requests → backend → store."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from vlures.backends import Backend, Observer
from vlures.backends.batch import LEFT
from vlures.benchmark import Benchmark
from vlures.costs import Spending
from vlures.errors import Incomplete, VluresError
from vlures.models import is_same_model
from vlures.plan import is_due
from vlures.records import FINAL_STATUSES, Request, Response
from vlures.store import CheckpointStore

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

    def add(self, response: Response) -> None:
        self.statuses[response.status] += 1
        if response.error is not None and response.status == "failed":
            self.failures[f"{response.error.code}: {response.error.message}"] += 1
            self.codes.add(response.error.code)
            self.failed_samples.add(response.key.rpartition("-")[2])
            self.hopeless = self.hopeless and not response.error.transient

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
) -> None:
    """Ask the first due request alone, before thousands are asked in a way that takes hours to say no. Its answer counts.

    backend: a live one. Raises VluresError with the provider's reason if there is no answer.
    """
    first = list(islice(_due_requests(benchmark, store, spending, lambda: True), 1))
    async with aclosing(backend.generate(first, store)) as responses:
        async for response in responses:
            store.append(response)
            tally.add(response)
            observer.answered(response)
            spending.take(response)
            if response.error is not None and response.status == "failed":
                raise VluresError(
                    f"The first request, {response.key}, was sent alone and live, and failed: {response.error.code}: "
                    f"{response.error.message} Nothing else was sent. Mend what it names and run again; --no-canary goes without."
                )


async def run(
    benchmark: Benchmark,
    store: CheckpointStore,
    backend: Backend,
    observer: RunObserver,
    tally: Tally,
    spending: Spending,
    keep_going: Callable[[], bool] = lambda: True,
    finish: Callable[[], Backend] | None = None,
) -> None:
    """Ask the backend for all that is due, store every response as it comes and count it in the tally.

    keep_going: asked before each request is sent; once it is False, what is in flight is still waited for. finish: connects
    the live backend that answers what a batch backend has left.
    Raises Incomplete when the disk has no room left or the money is spent, VluresError when nothing can ever come of it.
    """
    intake = _Intake(benchmark, store, observer, tally, spending)
    room = _Room(store)
    due = _due_requests(benchmark, store, spending, lambda: keep_going() and room.is_left() and not intake.stop_sending)
    syncing = asyncio.create_task(_keep_syncing(store))
    try:
        await intake.take(backend, due)
        if finish is not None and intake.left:
            observer.say(f"The last {len(intake.left)} request(s) are asked live instead of in another batch.")
            await intake.take(
                finish(), [request for request in _all_due(benchmark, store) if request.key in intake.left]
            )
    finally:
        syncing.cancel()
        await asyncio.wait([syncing])
        store.sync()
    if room.ran_out:
        raise Incomplete(
            f"The disk of {store.folder} is nearly full, so nothing more was sent; make room and run again."
        )
    if not intake.ever_answered and tally.is_hopeless():
        raise _hopeless(tally)
    if spending.stopped:
        raise Incomplete(spending.describe_stop())


class _Intake:
    """Where responses go: into the store, the tally and the accounts.

    left: keys of requests that a batch backend has left for a live one. stop_sending: nothing will come of the others either.
    """

    def __init__(
        self, benchmark: Benchmark, store: CheckpointStore, observer: RunObserver, tally: Tally, spending: Spending
    ) -> None:
        self._config = benchmark.config
        self._store = store
        self._observer = observer
        self._tally = tally
        self._spending = spending
        self._other_models: set[str] = set()
        self.left: set[str] = set()
        self.stop_sending = False
        entries = (entry for cell in store.cells for entry in store.entries(cell).values())
        self.ever_answered = any(entry.status in FINAL_STATUSES and not entry.imported for entry in entries)

    async def take(self, backend: Backend, requests: Iterable[Request]) -> None:
        """Raises VluresError when every request has failed for one lasting reason and batches are still to come."""
        async with aclosing(backend.generate(requests, self._store)) as responses:
            async for response in responses:
                if response.error == LEFT:
                    self.left.add(response.key)
                elif self._store.append(response):
                    self._count(response)
                if not self.ever_answered and self._tally.is_hopeless(HOPELESS_AFTER, HOPELESS_SAMPLES):
                    if self._config.run_mode == "batch":
                        raise _hopeless(self._tally)  # batches that are under way are not lost by that
                    self.stop_sending = True

    def _count(self, response: Response) -> None:
        _say_once_of_another_model(self._config.run_model, response.model, self._other_models, self._observer)
        self._tally.add(response)
        self._observer.answered(response)
        if news := self._spending.take(response):
            self._observer.say(news)


def _say_once_of_another_model(asked: str, answered: str | None, others: set[str], observer: Observer) -> None:
    if answered is None or answered in others or is_same_model(asked, answered):
        return
    others.add(answered)
    observer.say(f"Answers come from the model {answered}, not from {asked}; each says so under `model`.")


@dataclass(slots=True)
class _Room:
    store: CheckpointStore
    ran_out: bool = False

    def is_left(self) -> bool:
        self.ran_out = self.ran_out or self.store.is_short_of_room()
        return not self.ran_out


def _due_requests(
    benchmark: Benchmark, store: CheckpointStore, spending: Spending, keep_going: Callable[[], bool]
) -> Iterator[Request]:
    """Due requests, looked at one by one when the backend has room for them."""
    for cell, sample in benchmark.questions():
        if not keep_going():
            return
        if is_due(store.entry(cell, sample.id)):
            request = benchmark.request(cell, sample)
            if not spending.may_ask(request):
                return
            yield request


def _all_due(benchmark: Benchmark, store: CheckpointStore) -> Iterator[Request]:
    questions = benchmark.questions()
    return (benchmark.request(cell, sample) for cell, sample in questions if is_due(store.entry(cell, sample.id)))


def _hopeless(tally: Tally) -> VluresError:
    return VluresError(
        f"All {tally.statuses.total()} requests so far failed in the same way and nothing is stored as an answer: "
        f"{next(iter(tally.failures))} Mend what it names and run again."
    )


async def _keep_syncing(store: CheckpointStore) -> None:
    while True:
        await asyncio.sleep(1)
        await asyncio.to_thread(store.sync)

"""The batch driver: shard, upload, create, poll, collect, adopt, requeue. It knows no provider.

A job's life is written to the journal before and after each step that may cost money, so that a run that is killed
finds its batches again: an intent that was never uploaded or created is dropped (nothing was paid), a batch that was
created is adopted, and one whose creation is in doubt is looked up by its tag before another is created. A batch whose
results are not all there stays open. How a batch looks at the provider is journaled whenever that changes, so that it
can be read there without asking.

One run of it is here. Its parts: what they share (state, tasks), what is sent (sending), one job's life (submission,
creation, watch), what an earlier process left (adoption), and what becomes of results (collection, settlement).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial

from vlures.backends import BOUNDLESS, Budget, Journal, Observer
from vlures.backends.batch.adoption import Adopter
from vlures.backends.batch.client import BatchClient, BatchPolicy
from vlures.backends.batch.creation import Creator
from vlures.backends.batch.sending import Sender
from vlures.backends.batch.settlement import Settler
from vlures.backends.batch.state import Collected, DriverState, End, Outbox
from vlures.backends.batch.submission import Submitter
from vlures.backends.batch.watch import Watcher
from vlures.backends.retry import Patience
from vlures.errors import VluresError
from vlures.records import Deferred, Request, Response

LEFTOVERS_WAIT_S = 60.0


class BatchDriver:
    """The backend of every provider's batch mode."""

    def __init__(
        self,
        client: BatchClient,
        policy: BatchPolicy,
        patience: Patience,
        observer: Observer,
        budget: Budget = BOUNDLESS,
    ) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._budget = budget

    async def generate(
        self, requests: Iterable[Request], journal: Journal
    ) -> AsyncGenerator[Response | Deferred, None]:
        """Adopt the journal's open jobs, send what they do not hold, yield every response.

        A job is journaled as collected only after its last response was taken, that is, stored.
        """
        async with aclosing(self._drive(requests, journal, self._policy, cancelling=False)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def cancel(self, journal: Journal) -> AsyncGenerator[Response, None]:
        """End the journal's open jobs at the provider, send nothing, yield what they had answered.

        What they left unanswered is due. A job stays open that the provider does not know, or whose results are not
        all there.
        """
        policy = replace(self._policy, wait=True, live_share=None)
        async with aclosing(self._drive((), journal, policy, cancelling=True)) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Response):
                    yield outcome

    async def _drive(
        self, requests: Iterable[Request], journal: Journal, policy: BatchPolicy, *, cancelling: bool
    ) -> AsyncGenerator[Response | Deferred, None]:
        outbox: Outbox = asyncio.Queue(maxsize=256)
        drive = _Drive(
            DriverState(self._client, policy, self._patience, self._observer, self._budget, journal, outbox, cancelling)
        )
        task = asyncio.create_task(drive.run(requests))
        try:
            while not isinstance(item := await outbox.get(), End):
                if isinstance(item, Collected):
                    journal.update_job(item.tag, "collected")
                    item.journaled.set()
                    self._observer.job_ended(item.tag)
                else:
                    yield item
            await task
        finally:
            drive.abandoned = True
            task.cancel()
            with suppress(asyncio.CancelledError, VluresError):
                await task
            await self._client.close()


class _Drive:
    """One run of the driver: adopt, send, and deal with leftovers until nothing is under way."""

    def __init__(self, state: DriverState) -> None:
        self._state = state
        self._told_of_money = False
        self.abandoned = False
        """The outbox is no longer emptied; waiting for room in a full one would never end."""
        journaling = (state.client, state.policy, state.patience, state.observer, state.journal)
        creator = Creator(*journaling)
        settler = Settler(state)
        self._adopter = Adopter(state, creator, Watcher(*journaling), settler)
        self._sender = Sender(state, Submitter(state, creator, self._adopter, settler))

    async def run(self, requests: Iterable[Request]) -> None:
        state, affordable = self._state, self._sender.affordable
        try:
            async with state.tasks.group:
                trials = []
                for job in state.journal.open_jobs():
                    state.claims.claim(job.tag, job.requests)
                    task = state.tasks.start(partial(self._adopter.adopt, job))
                    if job.trial and state.client.needs_trial:
                        trials.append(task)
                if trials:
                    await asyncio.wait(trials)
                await self._sender.send(self._without_leftovers(state.claims.free(requests)))
                while state.tasks.active or state.leftovers.are_any or affordable.waits:
                    if affordable.waits:
                        await self._spend_freed_money()
                    else:
                        await self._send_leftovers()
        except* VluresError as errors:
            raise _first(errors) from errors
        finally:
            if not self.abandoned:
                await state.outbox.put(End())

    def _without_leftovers(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Requests without those that batches of earlier processes have left, where such may be finished live."""
        leftovers = self._state.leftovers
        left = self._state.journal.left_by_batches() if leftovers.may_go_live else frozenset()
        for request in requests:
            if request.key in left:
                leftovers.again.append(request)
            else:
                yield request

    async def _spend_freed_money(self) -> None:
        """A request waits for money: send what fits once a batch has ended and its answers are stored. Where no batch
        is under way, give the request up."""
        state = self._state
        if not self._told_of_money and state.tasks.active:
            self._told_of_money = True
            state.observer.say(
                "The limit of --max-cost has no room for another request until a batch has ended and was cheaper than "
                "its highest estimate; the rest is sent then, batch after batch. A higher limit sends all at once."
            )
        if state.tasks.active:
            await state.tasks.next_end(LEFTOVERS_WAIT_S if state.tasks.all_parked else None)
        elif state.last_collected is not None:
            await state.last_collected.journaled.wait()
            state.last_collected = None
        else:
            self._sender.affordable.forgo()
        await self._sender.send(iter(()))

    async def _send_leftovers(self) -> None:
        """One step towards the end. What batches have left is sent in new ones; or live once all have ended, if it is
        little and the user wants it so."""
        state = self._state
        few = state.leftovers.are_few(len(state.batched))
        if count := state.leftovers.for_batches(few=few):
            if await self._should_send(count):
                await self._sender.send(iter(state.leftovers.take_for_batches(few=few)))
        elif state.tasks.active:
            await state.tasks.next_end(None)
        elif few:
            for key in state.leftovers.take_for_live():
                await state.outbox.put(Deferred(key))
        else:
            for failed in state.leftovers.take_spent():
                await state.outbox.put(failed)

    async def _should_send(self, leftovers: int) -> bool:
        """Whether they fill a batch, nothing else is under way, or they have waited long enough."""
        if self._state.tasks.all_parked or leftovers >= self._state.limits.most_lines:
            return True
        return not await self._state.tasks.next_end(LEFTOVERS_WAIT_S)


def _first(errors: BaseExceptionGroup[VluresError]) -> VluresError:
    """The one error to show: one that stops a run for good before one that a later run can continue from."""
    found: list[VluresError] = []
    for error in errors.exceptions:
        found.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    return min(found, key=lambda error: type(error) is not VluresError)

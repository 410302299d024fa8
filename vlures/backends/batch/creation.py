"""Creating batches: each of them once, even where a reply is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from vlures.backends import Journal, Observer
from vlures.backends.batch.client import BatchClient, BatchPolicy, BatchState
from vlures.backends.batch.job import BatchJob
from vlures.backends.batch.watch import as_text
from vlures.backends.retry import Patience, wait_s
from vlures.errors import InDoubt, NotFound, Retry, VluresError
from vlures.records import Job
from vlures.store.clock import now

T = TypeVar("T")

LONGEST_CALL_S = 660.0
"""The SDKs wait 600 s for a reply."""
MOST_DOUBTS = 3
"""After so many lost replies to the creation of one batch, each looked for in vain, a later run continues."""
PATIENCE_WITHOUT_WAITING_S = 30.0
"""How long a run with --no-wait looks for a batch whose creation is in doubt."""


class Creator:
    """Creates batches, and finds those whose creation is in doubt by their tags."""

    def __init__(
        self, client: BatchClient, policy: BatchPolicy, patience: Patience, observer: Observer, journal: Journal
    ) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._journal = journal

    async def reach(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call to an address that every provider has. Raises VluresError where it is not found."""
        try:
            return await self._patience.call(call)
        except NotFound as error:
            raise VluresError(
                f"{self._client.provider} finds nothing at that address ({error}); check the base URL, or ask a server "
                "that has no batches with --mode live, then run again."
            ) from error

    async def create(self, job: BatchJob, file_id: str) -> tuple[BatchState, ...]:
        """Create the batch of a job; returns all batches of its tag. Empty: it is unknown whether one exists, and a
        later run looks for it.

        An explicit refusal creates nothing. After a lost reply or a server error the batch is looked for, as long as
        the provider's list may lag behind, before it is created again.
        """
        self._observer.job_changed(job.tag, "creating", 0, len(job.digests))
        doubts = 0

        async def attempt() -> tuple[BatchState, ...]:
            nonlocal doubts
            self._journal.update_job(job.tag, "creating", doubted=job.doubted)
            try:
                return (await self._client.create(file_id, job.tag),)
            except InDoubt as doubt:
                doubts += 1
                job.doubted = job.doubted or now()
                self._observer.say(
                    f"The reply to the creation of a batch was lost ({doubt}); looking for it by its tag."
                )
                found = await self.look_for(job.tag)
                if found or doubts >= MOST_DOUBTS or not self._policy.wait:
                    return found
                raise Retry(f"a batch was not created ({doubt})", code="not created", after_s=doubt.after_s) from doubt

        try:
            states = await self.reach(attempt)
        except VluresError as refusal:
            if job.doubted is None:
                self._journal.update_job(job.tag, "dropped", note=str(refusal))
            raise
        return states

    async def look_for(self, tag: str, since: datetime | None = None, *, once: bool = False) -> tuple[BatchState, ...]:
        """Every batch of a tag, looked for repeatedly: a provider's list may lag behind a creation.

        since: when the creation was tried, if an earlier process did. That may have waited long for the reply and died
        just now, so the full time begins here; only a creation that cannot still be under way is looked for just once.
        """
        loop = asyncio.get_running_loop()
        age_s = (datetime.now(UTC) - since).total_seconds() if since else 0.0
        patience_s = self._policy.doubt_patience_s
        if not self._policy.wait:
            patience_s = min(patience_s, PATIENCE_WITHOUT_WAITING_S)
        deadline = loop.time() + (0.0 if once or age_s >= LONGEST_CALL_S + patience_s else patience_s)
        attempt = 0
        while True:
            attempt += 1
            found = await self.reach(lambda: self._client.find(tag))
            left = deadline - loop.time()
            if found or left <= 0:
                return found
            await asyncio.sleep(min(wait_s(attempt), left))

    def confirm(self, job: BatchJob, state: BatchState) -> None:
        """Journal that the batch exists."""
        self._journal.update_job(
            job.tag, "created", batch_id=state.batch_id, deadline=self._deadline(state), doubted=job.doubted
        )

    def note_twins(self, job: BatchJob, state: BatchState, others: Iterable[BatchState]) -> list[tuple[BatchJob, str]]:
        """Journal other batches of a job's tag as jobs of their own; returns each with its batch's id. Call this before
        the job's own batch is confirmed: until then a later process looks for all of them."""
        known = {earlier.batch_id for earlier in self._journal.jobs} | {state.batch_id}
        twins = []
        for other in others:
            if other.batch_id in known:
                continue
            known.add(other.batch_id)
            twin = replace(job, tag=f"{job.tag}-{other.batch_id}", requests={}, trial=False, doubted=None, seen=None)
            record = Job(twin.tag, self._client.provider, "created", job.digests, now(), job.file_id, other.batch_id)
            self._journal.begin_job(
                replace(record, weight=job.weight, deadline=self._deadline(other), account=job.account)
            )
            twins.append((twin, other.batch_id))
        if twins:
            self._observer.say(
                f"{self._client.provider} has made {len(twins) + 1} batches of one creation whose reply was lost; the "
                "answers of all are collected, and none of their requests is sent again before they have ended."
            )
        return twins

    def _deadline(self, state: BatchState) -> str:
        return as_text(state.deadline or datetime.now(UTC) + self._client.lifetimes.batch)

    async def find_twins(self, job: BatchJob, state: BatchState) -> tuple[BatchState, ...]:
        """Other batches of the tag of a job whose creation was in doubt. An unreadable list does not stop the run."""
        found: tuple[BatchState, ...] = ()
        if job.doubted is not None:
            with suppress(VluresError):
                found = await self.reach(lambda: self._client.find(job.tag))
        return tuple(other for other in found if other.batch_id != state.batch_id)

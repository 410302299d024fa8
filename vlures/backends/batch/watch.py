"""Watching batches until they end. Each change is journaled, so that it can be read without asking the provider."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from vlures.backends import Journal, Observer
from vlures.backends.batch.client import BatchClient, BatchPolicy, BatchState
from vlures.backends.batch.job import BatchJob
from vlures.backends.retry import Patience, wait_s
from vlures.errors import NotFound
from vlures.records import BatchSnapshot
from vlures.store.clock import now

SHORTEST_POLL_S = 1.0
POLL_SHARE = 0.1
"""A batch is looked at again after a tenth of the time that it has been in its state: its answers wait at most a tenth
longer than they must, and not long where it began late."""
MOST_POLLS_A_SECOND = 40
"""Of all batches of a run together: each poll costs some milliseconds, which uploads and answers need as well."""
LOOKS_FOR_A_KNOWN_BATCH = 4
TOLD_SHARE = 0.1
"""How much more of a batch must be done before that is journaled: progress shows, and the journal stays short."""


def as_text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


class Watcher:
    """Looks at batches, and reports to the journal and the observer."""

    def __init__(
        self, client: BatchClient, policy: BatchPolicy, patience: Patience, observer: Observer, journal: Journal
    ) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._journal = journal
        self._followed = 0
        self._unknown_statuses: set[str] = set()

    async def status(self, batch_id: str) -> BatchState:
        """Look at a batch. One that was just created may not be known everywhere yet.

        Raises NotFound if it is not known after several looks.
        """
        for attempt in range(1, LOOKS_FOR_A_KNOWN_BATCH):
            with suppress(NotFound):
                return await self._patience.call(lambda: self._client.status(batch_id))
            await asyncio.sleep(wait_s(attempt))
        return await self._patience.call(lambda: self._client.status(batch_id))

    async def follow(self, job: BatchJob, state: BatchState) -> BatchState:
        """Poll a batch until it has ended, or look at it once without `wait`."""
        loop = asyncio.get_running_loop()
        status, since = state.status, loop.time()
        self._followed += 1
        try:
            while True:
                self._see(job, state)
                if state.ended or not self._policy.wait:
                    return state
                if state.status != status:
                    status, since = state.status, loop.time()
                pause_s = max(SHORTEST_POLL_S, POLL_SHARE * (loop.time() - since), self._followed / MOST_POLLS_A_SECOND)
                pause_s = min(self._policy.longest_poll_s, pause_s)
                self._observer.next_look(job.tag, pause_s)
                await asyncio.sleep(pause_s)
                state = await self.status(state.batch_id)
        finally:
            self._followed -= 1

    def _see(self, job: BatchJob, state: BatchState) -> None:
        """Journal how a batch looks if that has changed; say so if it has not changed for too long."""
        if not state.batch_id:
            return
        self._observer.job_changed(job.tag, state.status, state.done, len(job.digests))
        before, today = job.seen, datetime.now(UTC)
        same = before is not None and not before.lost and before.status == state.status
        since = before.since if before is not None and same else as_text(today)
        until = as_text(today + self._client.lifetimes.results) if state.ended else None
        if not same or state.ended or state.done >= (before.done if before else 0) + TOLD_SHARE * len(job.digests):
            self._note(job, BatchSnapshot(state.status, as_text(today), since, state.done, state.total, False, until))
        if not state.is_known and state.status not in self._unknown_statuses:
            self._unknown_statuses.add(state.status)
            self._observer.say(
                f"{state.name} is {state.status}, a state that this version of vlures does not know; it stays open, "
                "and nothing of it is sent again."
            )
        lasts_s = (today - datetime.fromisoformat(since)).total_seconds()
        if not state.ended and lasts_s > self._policy.stall_after_s and job.stalled != state.status:
            job.stalled = state.status
            self._observer.say(
                f"{state.name} has been {state.status} since {since} ({state.done} of {len(job.digests)} lines done); "
                "it is left alone. `vlures cancel` ends it and keeps what it has answered."
            )

    def note_unknown(self, job: BatchJob) -> None:
        """Journal that the provider does not know the batch."""
        self._note(job, replace(job.seen or BatchSnapshot("", now(), now()), time=now(), lost=True))

    def _note(self, job: BatchJob, snapshot: BatchSnapshot) -> None:
        job.seen = snapshot
        self._journal.see_job(job.tag, snapshot)

"""One job's life: upload a shard, create its batch, see it to its end, create it again where it could not begin."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from vlures.backends.batch.adoption import Adopter
from vlures.backends.batch.client import GIVEN_BACK, NEVER_BEGUN, BatchState
from vlures.backends.batch.creation import Creator
from vlures.backends.batch.job import BatchJob
from vlures.backends.batch.queue_limit import weigh
from vlures.backends.batch.settlement import Settler
from vlures.backends.batch.shards import Shard, ShardFile
from vlures.backends.batch.state import DriverState
from vlures.backends.batch.watch import as_text
from vlures.backends.retry import wait_s
from vlures.errors import FileTooLarge, VluresError
from vlures.records import Job
from vlures.store.clock import now

MOST_RECREATIONS = 6
MOST_REFUSED_ALONE = 20
"""Uploads of a single request in a row that are refused for their size: it cannot be their images."""
REFUSED_ALONE = 3
"""After so many refusals by a queue that holds no other batch of ours, a batch is sent again in halves."""


class Submitter:
    """Sends shards as batches and sees each to its end."""

    def __init__(self, state: DriverState, creator: Creator, adopter: Adopter, settler: Settler) -> None:
        self._state = state
        self._creator = creator
        self._adopter = adopter
        self._settler = settler
        self._refused_alone = 0
        """How many uploads in a row were refused for their size although they held a single request."""

    async def submit(self, shard: Shard, *, trial: bool = False) -> None:
        """Upload a shard and see its batch through. The caller holds an upload slot, which this releases."""
        state = self._state
        job = BatchJob(
            uuid.uuid4().hex,
            {request.key: request.digest for request in shard.requests},
            {request.key: request for request in shard.requests},
            weigh(shard),
            trial,
            account=state.client.account,
        )
        state.attempts.update(job.digests.keys())
        if state.leftovers.may_go_live:
            state.batched.update(job.digests)
        state.queue_limit.take(job.tag, job.weight)
        refused: BatchState | None = None
        try:
            self._begin(job)
            state.observer.job_changed(job.tag, "uploading", 0, len(job.digests))
            await state.client.place_images(shard.requests)
            shard = shard.rewritten(state.client.write_line)
            file = ShardFile(f"vlures-{job.tag}.jsonl", shard)
            job.file_id = await self._upload(job, file)
            job.input_until = as_text(datetime.now(UTC) + state.client.lifetimes.input)
            state.journal.update_job(job.tag, "uploaded", file_id=job.file_id, input_until=job.input_until)
            self._refused_alone = 0
        except FileTooLarge as refusal:
            refused = self._refuse(shard, refusal, trial=trial)
        finally:
            state.uploads.release()
        if refused is None:
            await self._see_through(job, str(job.file_id), shard)
        elif not self._was_too_large(job, shard, refused):
            await self._settler.collect(job, refused)

    def _refuse(self, shard: Shard, refusal: FileTooLarge, *, trial: bool) -> BatchState:
        """What an upload that was refused for its size means for its requests. One that is alone in it fails alone.

        Raises VluresError where it cannot be the size.
        """
        reason = str(refusal)
        if len(shard.requests) == 1:
            self._refused_alone += 1
            reason = f"{reason} The request is alone in it: make its image smaller, or ask it live."
        if len(shard.requests) == 1 and (trial or self._refused_alone >= MOST_REFUSED_ALONE):
            raise VluresError(f"{reason} Then run again.") from refusal
        return BatchState("", "refused", ended=True, problem="too large", reason=reason)

    async def _upload(self, job: BatchJob, file: ShardFile) -> str:
        """The uploaded file's id. Where the upload fails for good no batch was made, so the requests are due."""
        try:
            return await self._creator.reach(lambda: self._state.client.upload(file))
        except FileTooLarge:
            raise
        except VluresError as error:
            self._state.journal.update_job(job.tag, "dropped", note=str(error))
            raise

    def _begin(self, job: BatchJob) -> None:
        state: Literal["uploaded", "intended"] = "uploaded" if job.file_id else "intended"
        record = Job(job.tag, self._state.client.provider, state, job.digests, now(), job.file_id, account=job.account)
        self._state.journal.begin_job(replace(record, weight=job.weight, trial=job.trial, input_until=job.input_until))

    async def _see_through(self, job: BatchJob, file_id: str, shard: Shard) -> None:
        """Create the batch of an uploaded file and collect it. One that the provider could not even begin costs
        nothing and is created again from the same file, or in halves where that is too large."""
        state = self._state
        unseen = refused_alone = 0
        for recreation in range(1, 1_000_000):
            batches = await self._creator.create(job, file_id)
            if not batches:
                state.leave_open(job)
                return
            batch = await self._follow(job, *batches)
            if batch is None or self._was_too_large(job, shard, batch):
                return
            unseen += batch.problem == "file not visible"
            if batch.problem not in NEVER_BEGUN or unseen >= MOST_RECREATIONS:
                await self._settler.collect(job, batch)
                return
            if recreation == 1:
                state.observer.say(
                    f"{batch.name} was not begun and costs nothing; it is sent again later: {batch.reason}"
                )
            # A refusal now says nothing of an earlier attempt whose reply was lost: the tag must still be looked for.
            in_doubt = job.doubted is not None and not batch.batch_id
            if not in_doubt:
                state.journal.update_job(job.tag, "dropped", status=batch.status, note=batch.reason)
            state.observer.job_ended(job.tag)
            if batch.problem == "queue full":
                state.queue_limit.refuse(job.tag)
                refused_alone += state.queue_limit.is_empty
            else:
                state.queue_limit.release(job.tag)
            if batch.problem == "queue full" and not state.policy.wait:
                state.mark_queue_full()
                return
            if refused_alone >= REFUSED_ALONE and len(job.requests) > 1 and not in_doubt:
                self._send_in_halves(job)
                return
            if not in_doubt:
                job = replace(job, tag=uuid.uuid4().hex, doubted=None, seen=None, stalled=None)
            state.observer.job_changed(job.tag, "parked", 0, len(job.digests))
            await self._park(job, recreation, queue_full=batch.problem == "queue full")
            if not in_doubt:
                self._begin(job)

    async def _park(self, job: BatchJob, recreation: int, *, queue_full: bool) -> None:
        """Wait before a batch is created again. A full queue has room when others end."""
        limit = self._state.queue_limit
        with self._state.tasks.parked():
            if queue_full:
                limit.park()
            try:
                await asyncio.sleep(wait_s(recreation))
                if queue_full:
                    await limit.wait_parked(job.weight)
                limit.take(job.tag, job.weight)
            finally:
                if queue_full:
                    limit.unpark()

    def _send_in_halves(self, job: BatchJob) -> None:
        """The batch seems too large for the provider's queue even alone."""
        state = self._state
        most = state.halve_lines(len(job.requests))
        state.observer.say(
            f"{state.client.provider}'s queue has no room for a batch of {len(job.requests)} lines, even alone; "
            f"the next batches have at most {most} lines."
        )
        state.attempts.subtract(job.digests.keys())
        state.leftovers.unsent += job.requests.values()

    def _was_too_large(self, job: BatchJob, shard: Shard, batch: BatchState) -> bool:
        """Whether the batch was refused for the size of its file, and its requests are in smaller ones."""
        if batch.problem != "too large" or len(job.requests) == 1:
            return False
        self._state.journal.update_job(job.tag, "dropped", status=batch.status, note=batch.reason)
        self._cut_smaller(job, shard, batch.reason)
        return True

    def _cut_smaller(self, job: BatchJob, shard: Shard, refusal: str) -> None:
        """The provider refuses the file for its size, which cost nothing: its requests go into smaller ones."""
        state = self._state
        half = shard.size_bytes // 2
        if half < (state.limits.likely_bytes or shard.size_bytes):
            state.limits.likely_bytes = half
            state.observer.say(
                f"{state.client.provider} refuses a batch's file of {shard.size_bytes:,} bytes; the next files have at "
                f"most {half:,} bytes. {refusal}"
            )
        state.observer.job_ended(job.tag)
        state.queue_limit.release(job.tag)
        state.attempts.subtract(job.digests.keys())
        state.leftovers.unsent += job.requests.values()

    async def _follow(self, job: BatchJob, batch: BatchState, *others: BatchState) -> BatchState | None:
        """Watch a batch until it ends. others: more batches of its tag. None if this run can collect nothing."""
        if batch.batch_id:
            self._adopter.adopt_twins(job, batch, others)
            self._creator.confirm(job, batch)
            self._state.prove_file_size()
        ended = await self._adopter.watch(job, batch)
        if ended is None:
            return None
        others = await self._creator.find_twins(job, ended)
        if others and not ended.batch_id:
            return await self._follow(job, *others)
        self._adopter.adopt_twins(job, ended, others)
        if ended.problem in GIVEN_BACK and self._state.claims.holds_any(job.tag, job.digests):
            self._settler.give_back(job, ended.reason)  # a twin may yet answer its requests
            return None
        return ended

"""Jobs of earlier processes, batches found by their tags, and batches that the provider no longer knows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import partial

from vlures.backends.batch.client import GIVEN_BACK, BatchState
from vlures.backends.batch.creation import Creator
from vlures.backends.batch.job import BatchJob
from vlures.backends.batch.queue_limit import IMAGE_WEIGHT
from vlures.backends.batch.settlement import Settler
from vlures.backends.batch.state import DriverState
from vlures.backends.batch.watch import Watcher
from vlures.errors import NotFound, counted
from vlures.records import Failure, Job, Response

ADVICE = (
    "Run again with the account that created it; if it is gone for good, --forget-lost asks (and pays) again for what "
    "it held."
)


class Adopter:
    """Takes over batches that exist already, and watches batches to their end."""

    def __init__(self, state: DriverState, creator: Creator, watcher: Watcher, settler: Settler) -> None:
        self._state = state
        self._creator = creator
        self._watcher = watcher
        self._settler = settler

    async def adopt(self, record: Job) -> None:
        """Take over a job of an earlier process."""
        weight = record.weight or len(record.requests) * IMAGE_WEIGHT
        job = BatchJob(
            record.tag,
            record.requests,
            {},
            weight,
            trial=record.trial,
            file_id=record.file_id,
            input_until=record.input_until,
            doubted=record.doubted,
            account=record.account,
            seen=record.seen,
        )
        if record.state == "created":
            await self._adopt_created(job, str(record.batch_id))
        elif record.state == "creating":
            await self._adopt_doubtful(job, datetime.fromisoformat(record.changed or record.time))
        else:
            self._settler.give_back(job, "interrupted before there was a batch")

    async def _adopt_doubtful(self, job: BatchJob, since: datetime) -> None:
        """Take over a job whose creation was never confirmed. since: when it was tried.

        The list of another account says nothing about it.
        """
        state = self._state
        state.queue_limit.take(job.tag, job.weight)
        state.observer.job_changed(job.tag, "in doubt", 0, len(job.digests))
        can_know = job.account == state.client.account
        batches = await self._creator.look_for(job.tag, since, once=not can_know)
        if batches:
            self.adopt_twins(job, batches[0], batches[1:])
            self._creator.confirm(job, batches[0])
            await self._adopt_created(job, batches[0].batch_id)
        elif can_know or state.policy.forget_lost:
            self._settler.give_back(job, "interrupted before there was a batch")
        else:
            state.leave_open(job)
            state.queue_limit.release(job.tag)
            state.observer.say(
                f"{state.client.provider} may have made a batch of {counted(len(job.digests), 'request')}: the reply "
                f"to its creation was lost. Only {job.account or 'the account that created it'} can tell, and this is "
                f"{state.client.account}; the batch stays open. {ADVICE}"
            )

    async def _adopt_created(self, job: BatchJob, batch_id: str) -> None:
        """Take over a batch that the provider has made."""
        state = self._state
        state.queue_limit.take(job.tag, job.weight)
        try:
            seen = await self._watcher.status(batch_id)
            if state.cancelling and not seen.ended:
                seen = await self._cancel(job, seen)
        except NotFound:
            await self._lose(job, batch_id)
            return
        ended = await self.watch(job, seen)
        if ended is None:
            return
        self.adopt_twins(job, ended, await self._creator.find_twins(job, ended))
        too_large_alone = ended.problem == "too large" and len(job.digests) == 1
        if ended.problem in GIVEN_BACK and not too_large_alone:
            if ended.problem == "queue full":
                state.queue_limit.refuse(job.tag)
            elif ended.problem == "too large":
                self._cut_shorter(job, ended)
            self._settler.give_back(job, ended.reason)
        else:
            await self._settler.collect(job, ended)

    def adopt_twins(self, job: BatchJob, batch: BatchState, others: Iterable[BatchState]) -> None:
        """Take over every other batch of the job's tag. The job's requests wait until all batches of its tag have
        ended."""
        state = self._state
        twins = self._creator.note_twins(job, batch, others)
        for twin, _ in twins:
            for one in (job, twin):
                state.claims.claim(one.tag, one.digests)
        for request in job.requests.values() if twins else ():
            state.claims.wait(request)
        for twin, batch_id in twins:
            state.tasks.start(partial(self._adopt_created, twin, batch_id))

    async def watch(self, job: BatchJob, batch: BatchState) -> BatchState | None:
        """Poll a batch until it has ended. None if this run does not see that."""
        try:
            batch = await self._watcher.follow(job, batch)
        except NotFound:
            await self._lose(job, batch.batch_id)
            return None
        if batch.ended:
            return batch
        self._state.leave_open(job)
        return None

    def _cut_shorter(self, job: BatchJob, batch: BatchState) -> None:
        """The provider has refused the file of an earlier process for its size, of which only the lines are known."""
        state = self._state
        if not state.cancelling:
            most = state.halve_lines(len(job.digests))
            state.observer.say(
                f"{state.client.provider} refuses the file of {batch.name}, of {len(job.digests):,} lines; the next "
                f"files have at most {most:,}. {batch.reason}"
            )

    async def _cancel(self, job: BatchJob, batch: BatchState) -> BatchState:
        self._state.observer.job_changed(job.tag, "cancelling", batch.done, len(job.digests))
        await self._state.patience.call(lambda: self._state.client.cancel(batch.batch_id))
        return await self._watcher.status(batch.batch_id)

    async def _lose(self, job: BatchJob, batch_id: str) -> None:
        """The provider does not know a batch that this run has paid for."""
        state = self._state
        provider = state.client.provider
        if state.policy.forget_lost:
            state.observer.say(
                f"{provider} no longer knows the batch {batch_id}; its unanswered requests are asked again."
            )
            state.journal.update_job(job.tag, "dropped", note=f"lost at the provider: {batch_id}")
            state.observer.job_ended(job.tag)
            for key, digest in job.digests.items():
                failure = Failure("lost", "The provider no longer knows the batch that held it.", transient=True)
                await self._settler.take_failure(Response(key, "failed", digest, error=failure), job, resubmit=True)
        else:
            self._watcher.note_unknown(job)
            reason = describe_unknown(job, state.client.account)
            state.observer.say(
                f"{provider} does not know the batch {batch_id} of this run{reason} Nothing of it was touched. {ADVICE}"
            )
            state.leave_open(job)
        state.queue_limit.release(job.tag)


def describe_unknown(job: BatchJob, account: str) -> str:
    """Why the account in use may not have the job's batch: the end of a sentence."""
    if job.account is not None and job.account != account:
        return f": it belongs to {job.account}, and this is {account}."
    if job.account is not None or (job.seen is not None and job.seen.results_until):
        return " any more."
    return ": another key or project?"

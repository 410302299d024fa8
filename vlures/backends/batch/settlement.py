"""What the results of an ended batch mean for its requests: stored, sent again, left to a live backend, or failed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from vlures.backends.batch.client import BatchState
from vlures.backends.batch.collection import Collection, Collector
from vlures.backends.batch.job import BatchJob
from vlures.backends.batch.state import Collected, DriverState
from vlures.backends.outcomes import most_retries
from vlures.records import Failure, Response


class Settler:
    """Ends jobs: hands over their answers and decides what becomes of each request without one."""

    def __init__(self, state: DriverState) -> None:
        self._state = state
        self._collecting = asyncio.Semaphore(state.policy.downloads_at_once)
        self._collector = Collector(state.client, state.policy, state.patience, state.observer, self._take_answer)

    async def collect(self, job: BatchJob, batch: BatchState) -> None:
        """Read the results of an ended batch, hand over its answers, and send the other requests again or record their
        failures. Where more results must exist than can be read, the job stays open."""
        state = self._state
        state.observer.job_changed(job.tag, "collecting", batch.done, len(job.digests))
        async with self._collecting:
            collection = await self._collector.collect(job, batch)
        batch, reconciler = collection.state, collection.reconciler
        if collection.lacking and not state.policy.forget_lost:
            state.observer.say(
                f"{batch.name} has ended as {batch.status}, but {collection.lacking}. What can be read is stored; the "
                "batch stays open and nothing of it is sent again. Run again later; if its results are gone for good, "
                "--forget-lost asks (and pays) again for them."
            )
            state.leave_open(job)
            state.queue_limit.release(job.tag)
            return
        self._report_oddities(collection)
        failures = [
            reconciler.failed.get(key) or _without_line(key, job.digests[key], collection)
            for key in job.digests
            if key not in reconciler.answered
        ]
        if job.trial and state.client.needs_trial and state.client.end_trial(_trial_outcome(job, failures)):
            state.leftovers.unsent += job.requests.values()
            failures = [failed for failed in failures if failed.key not in job.requests]
        for failed in failures:
            await self.take_failure(failed, job, resubmit=batch.resubmit or bool(collection.lacking))
        state.queue_limit.release(job.tag, answered=not batch.problem)
        collected = state.last_collected = Collected(job.tag, asyncio.Event())
        await state.outbox.put(collected)
        # Only once the whole job is over: while it is open a later run reads its answers again, and an answer to a
        # question that has changed since would displace a newer one.
        for key in reconciler.answered:
            if changed := state.claims.settle(job.tag, key, job.digests[key]):
                state.leftovers.unsent.append(changed)
        if state.policy.delete_files and not batch.problem and not collection.lacking:
            await collected.journaled.wait()
            await self._collector.delete(filter(None, (job.file_id, *batch.result_files)))

    def _report_oddities(self, collection: Collection) -> None:
        batch = collection.state
        if batch.problem:
            self._state.observer.say(f"{batch.name} could not begin and costs nothing: {batch.reason}")
        elif collection.lacking:
            self._state.observer.say(f"{batch.name} is given up because of --forget-lost: {collection.lacking}.")
        elif (oddities := collection.reconciler.oddities()) and not self._state.cancelling:
            self._state.observer.say(f"{batch.name} ({batch.status}) has lines that are {', '.join(oddities)}.")

    async def _take_answer(self, answer: Response, job: BatchJob) -> None:
        await self._state.outbox.put(self._complete(answer, job))

    async def take_failure(self, failed: Response, job: BatchJob, *, resubmit: bool) -> None:
        """Send a failed request again in this run, or record its failure. Either way it is due.

        What failed in an earlier process is sent again whatever the reason: the user may have fixed it since.
        """
        state, key = self._state, failed.key
        if state.claims.holds(job.tag, key):
            state.attempts[key] += 1
            state.budget.fail(self._complete(failed, job))
            if waiting := state.claims.settle(job.tag, key):
                state.leftovers.again.append(waiting)
            return
        may_go_again = failed.error is not None and failed.error.transient and key in job.requests
        retries = most_retries(failed)
        most = state.policy.max_attempts if retries is None else min(state.policy.max_attempts, 1 + retries)
        if may_go_again and resubmit and state.attempts[key] < most:
            state.budget.fail(self._complete(failed, job))
            state.leftovers.again.append(job.requests[key])
        elif may_go_again and state.leftovers.may_go_live:
            state.budget.fail(self._complete(failed, job))
            state.leftovers.spent[key] = self._complete(failed, job)
        else:
            await state.outbox.put(self._complete(failed, job))

    def give_back(self, job: BatchJob, why: str) -> None:
        """No batch has worked on the job: its requests are due."""
        state = self._state
        state.journal.update_job(job.tag, "dropped", note=why)
        state.observer.job_ended(job.tag)
        state.queue_limit.release(job.tag)
        for key in job.digests:
            if waiting := state.claims.settle(job.tag, key):
                state.leftovers.unsent.append(waiting)

    def _complete(self, response: Response, job: BatchJob) -> Response:
        return replace(response, job=job.tag, attempts=max(1, self._state.attempts[response.key]))


def _trial_outcome(job: BatchJob, failures: list[Response]) -> Response:
    """What came of a batch of one line."""
    return failures[0] if failures else Response(next(iter(job.digests)), "ok")


def _without_line(key: str, digest: str, collection: Collection) -> Response:
    """The failure of a request that no result names."""
    batch = collection.state
    if batch.problem:
        # Another upload may succeed; max_attempts limits how often it is tried.
        failure = Failure(batch.problem, batch.reason, transient=batch.problem == "file gone")
    elif collection.lacking:
        failure = Failure("lost", "The provider has counted a result of it and did not hand it over.", transient=True)
    else:
        failure = Failure("missing", f"The batch ended as {batch.status} without a line for it.", transient=True)
    return Response(key, "failed", digest, error=failure)

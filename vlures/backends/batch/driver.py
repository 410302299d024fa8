"""The batch driver: shard, upload, create, poll, collect, adopt, requeue. It knows no provider.

A job's life is written to the journal before and after each step that may cost money, so that a run that is killed
finds its batches again: an intent that was never uploaded or created is dropped (nothing was paid), a batch that was
created is adopted, and one whose creation is in doubt is looked up by its tag before another is created. A batch whose
results are not all there stays open. How a batch looks at the provider is journaled whenever that changes, so that anybody can
read it there without asking.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal

from vlures.backends import BOUNDLESS, Budget, Journal, Observer
from vlures.backends.batch.affordable import Affordable
from vlures.backends.batch.claims import Claims
from vlures.backends.batch.client import NEVER_BEGUN, BatchClient, BatchPolicy, BatchState
from vlures.backends.batch.collection import Collection, Collector
from vlures.backends.batch.creation import Creator
from vlures.backends.batch.job import BatchJob
from vlures.backends.batch.leftovers import Leftovers
from vlures.backends.batch.queue_limit import PICTURE_WEIGHT, Room, weigh
from vlures.backends.batch.shards import Shard, ShardFile, cut_shards
from vlures.backends.batch.watch import Watcher, as_text
from vlures.backends.outcomes import most_retries
from vlures.backends.retry import Patience, wait_s
from vlures.errors import NotFound, VluresError
from vlures.records import Deferred, Failure, Job, Request, Response
from vlures.store.checkpoints import now

UPLOADS_AT_ONCE = 2
"""More of them only wait for one another: one fills a line of a gigabit."""
LEFTOVERS_WAIT_S = 60.0
MOST_RECREATIONS = 6
REFUSED_ALONE = 3
"""A batch that the queue has no room for so often, with no other of ours in it, goes again in halves."""
ADVICE = "Run again with the account that created it; if it is gone for good, --forget-lost asks (and pays) again for what it held."
ROOM_KNOWN_FOR = timedelta(days=1)
"""Limits of queues are raised, and other runs share them: what was learned of one is forgotten."""


@dataclass(frozen=True, slots=True)
class _Collected:
    """All responses of the job were handed over before this. journaled: set when it is on the disk that they were stored."""

    tag: str
    journaled: asyncio.Event


class _End:
    """Nothing more will come."""


_Queue = asyncio.Queue[Response | Deferred | _Collected | _End]


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

        What they left unanswered is due. A job that the provider does not know, or has not all results of, stays open.
        """
        policy = replace(self._policy, wait=True, live_share=None)
        async with aclosing(self._drive((), journal, policy, cancelling=True)) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome, Response):
                    yield outcome

    async def _drive(
        self, requests: Iterable[Request], journal: Journal, policy: BatchPolicy, *, cancelling: bool
    ) -> AsyncGenerator[Response | Deferred, None]:
        queue: _Queue = asyncio.Queue(maxsize=256)
        drive = _Drive(
            self._client, policy, self._patience, self._observer, self._budget, journal, queue, cancelling=cancelling
        )
        task = asyncio.create_task(drive.run(requests))
        try:
            while not isinstance(item := await queue.get(), _End):
                if isinstance(item, _Collected):
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
    """One run of the driver: what it holds while its jobs are under way."""

    def __init__(
        self,
        client: BatchClient,
        policy: BatchPolicy,
        patience: Patience,
        observer: Observer,
        budget: Budget,
        journal: Journal,
        queue: _Queue,
        *,
        cancelling: bool,
    ) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._budget = budget
        self._affordable = Affordable(budget)
        self._last_collected: _Collected | None = None
        self._journal = journal
        self._queue = queue
        self._cancelling = cancelling
        self.abandoned = False
        """Nobody takes from the queue any more, and a full one would hold up the end for ever."""
        self._creator = Creator(client, policy, patience, observer, journal)
        self._watcher = Watcher(client, policy, patience, observer, journal)
        self._collecting = asyncio.Semaphore(policy.downloads_at_once)
        self._collector = Collector(client, policy, patience, observer, self._take_answer)
        self._group = asyncio.TaskGroup()
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._attempts: Counter[str] = Counter()
        self._leftovers = Leftovers(policy.live_share)
        # Keys of all requests that were ever in a batch, where a share of them may be finished live.
        self._batched = (
            {key for job in journal.jobs for key in job.requests} if policy.live_share is not None else set()
        )
        self._trials = 0
        self._claims = Claims(ask_changed_again=policy.ask_changed_again)
        # How many jobs are at work here, how many of them wait to go again, and a bell that rings whenever one is done.
        self._active = 0
        self._parked = 0
        self._ended = asyncio.Event()
        self._most_lines = policy.most_lines
        self._room = Room(self._recall_room(), self._remember_room)
        # Without waiting: whether the provider's queue is full, whether the line that goes first is still under way.
        self._full = False
        self._trial_open = False

    # What is sent when

    async def run(self, requests: Iterable[Request]) -> None:
        try:
            async with self._group:
                trials = []
                for job in self._journal.open_jobs():
                    self._claims.claim(job.tag, job.requests)
                    task = self._start(partial(self._adopt, job))
                    if job.trial and self._client.needs_trial:
                        trials.append(task)
                if trials:
                    await asyncio.wait(trials)
                await self._send(self._fresh(self._claims.free(requests)))
                while self._active or self._leftovers.are_any or self._affordable.waits:
                    if self._affordable.waits:
                        await self._spend_what_came_free()
                    else:
                        await self._send_leftovers()
        except* VluresError as errors:
            raise _first(errors) from errors
        finally:
            if not self.abandoned:
                await self._queue.put(_End())

    def _fresh(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Requests without those that batches of earlier processes have left, where such may be finished live."""
        left = self._journal.left_by_batches() if self._leftovers.may_go_live else frozenset()
        for request in requests:
            if request.key in left:
                self._leftovers.again.append(request)
            else:
                yield request

    async def _spend_what_came_free(self) -> None:
        """A request waits for money: when a batch has ended and its answers are stored, send what fits. Where no batch is under way,
        the request is forgone."""
        if self._active:
            await self._next_end(LEFTOVERS_WAIT_S if self._active <= self._parked else None)
        elif self._last_collected is not None:
            await self._last_collected.journaled.wait()
            self._last_collected = None
        else:
            self._affordable.forgo()
        await self._send(iter(()))

    async def _send_leftovers(self) -> None:
        """One step towards the end. What batches have left goes into others, or live once all have ended, if it is little and
        the user wants it so."""
        few = self._leftovers.are_few(len(self._batched))
        if count := self._leftovers.for_batches(few=few):
            if await self._should_go(count):
                await self._send(iter(self._leftovers.take_for_batches(few=few)))
        elif self._active:
            await self._next_end(None)
        elif few:
            for key in self._leftovers.take_for_live():
                await self._queue.put(Deferred(key))
        else:
            for failed in self._leftovers.take_spent():
                await self._queue.put(failed)

    async def _try_form(self, requests: Iterator[Request]) -> None:
        """Send lines one by one until it is known whether the provider takes their form. Where mishaps keep that from
        coming out, the others follow all the same."""
        while self._trials < self._policy.max_attempts:
            first = next(requests, None) if self._client.needs_trial else None
            if first is None:
                return
            self._trials += 1
            self._observer.say(
                f"One request goes first, alone: whether {self._client.provider} takes batches of this form is not known."
            )
            shard = next(cut_shards([first], self._client.write_line, 1, self._policy.most_bytes))
            await self._uploads.acquire()
            await self._submit(shard, trial=True)
            if self._trial_open or self._full:
                return

    async def _send(self, requests: Iterator[Request]) -> None:
        requests = self._affordable.take(requests)
        if not self._trial_open:
            await self._try_form(requests)
        if self._trial_open:
            self._observer.say(
                "Nothing more is sent until the batch of the request that goes first has ended; run again then."
            )
            return
        shards = cut_shards(requests, self._client.write_line, self._most_lines, self._policy.most_bytes)
        while True:
            await self._uploads.acquire()
            shard = None if self._full else next(shards, None)
            if shard is None or not await self._has_room(weigh(shard)):
                self._uploads.release()
                return
            self._start(partial(self._submit, shard))
            # Requests may be made, and pictures read, for a long time without a pause: let the others work too.
            await asyncio.sleep(0)

    async def _has_room(self, weight: int) -> bool:
        """Wait until the provider's queue has room for a shard, by what was learned of it. False where nobody waits."""
        if self._policy.wait:
            await self._room.wait(weight)
        elif not self._room.fits(weight):
            self._fill()
        return not self._full

    def _fill(self) -> None:
        """The provider's queue is full, and nobody waits for it."""
        if not self._full:
            self._full = True
            self._observer.say(
                f"{self._client.provider}'s queue of batches is full; what was not sent goes with a later run."
            )

    def _recall_room(self) -> int | None:
        known = self._journal.recall(f"room at {self._client.provider}")
        if not known or datetime.fromisoformat(known["time"]) + ROOM_KNOWN_FOR < datetime.now(UTC):
            return None
        return int(known["most"])

    def _remember_room(self, most: int) -> None:
        self._journal.remember(f"room at {self._client.provider}", {"most": most, "time": now()})

    def _start(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def counted() -> None:
            try:
                await work()
            finally:
                self._active -= 1
                self._ended.set()

        self._active += 1
        return self._group.create_task(counted())

    async def _should_go(self, leftovers: int) -> bool:
        """When they fill a batch, when nothing else is under way, or when they have waited long enough."""
        if self._active <= self._parked or leftovers >= self._most_lines:
            return True
        return not await self._next_end(LEFTOVERS_WAIT_S)

    async def _next_end(self, timeout_s: float | None) -> bool:
        """Wait until some batch ends. False if none did in time."""
        self._ended.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ended.wait()
                return True
        return False

    # The life of a job

    async def _submit(self, shard: Shard, *, trial: bool = False) -> None:
        """Upload a shard (its upload slot is held already) and see its batch through."""
        job = BatchJob(
            uuid.uuid4().hex,
            {request.key: request.digest for request in shard.requests},
            {request.key: request for request in shard.requests},
            weigh(shard),
            trial,
            account=self._client.account,
        )
        self._attempts.update(job.digests.keys())
        if self._leftovers.may_go_live:
            self._batched.update(job.digests)
        self._room.take(job.tag, job.weight)
        try:
            self._begin(job)
            self._observer.job_changed(job.tag, "uploading", 0, len(job.digests))
            await self._client.place_images(shard.requests)
            shard = shard.rewritten(self._client.write_line)
            file = ShardFile(f"vlures-{job.tag}.jsonl", shard)
            job.file_id = await self._creator.reach(lambda: self._client.upload(file))
            job.input_until = as_text(datetime.now(UTC) + self._client.lifetimes.input)
            self._journal.update_job(job.tag, "uploaded", file_id=job.file_id, input_until=job.input_until)
        finally:
            self._uploads.release()
        await self._see_through(job, job.file_id)

    def _begin(self, job: BatchJob) -> None:
        state: Literal["uploaded", "intended"] = "uploaded" if job.file_id else "intended"
        record = Job(job.tag, self._client.provider, state, job.digests, now(), job.file_id, account=job.account)
        self._journal.begin_job(replace(record, weight=job.weight, trial=job.trial, input_until=job.input_until))

    async def _see_through(self, job: BatchJob, file_id: str) -> None:
        """Create the batch of an uploaded file and collect it. One that the provider could not even begin costs
        nothing and is created again from the same file."""
        unseen = refused_alone = 0
        for recreation in range(1, 1_000_000):
            states = await self._creator.create(job, file_id)
            if not states:
                self._leave_open(job)
                return
            state = await self._follow(job, *states)
            if state is None:
                return
            unseen += state.problem == "file not visible"
            if state.problem not in NEVER_BEGUN or unseen >= MOST_RECREATIONS:
                await self._collect(job, state)
                return
            if recreation == 1:
                self._observer.say(f"{state.name} was not begun and costs nothing; it goes again later: {state.reason}")
            # A refusal of today says nothing of an earlier attempt whose reply was lost: the tag stays to be looked for.
            in_doubt = job.doubted is not None and not state.batch_id
            if not in_doubt:
                self._journal.update_job(job.tag, "dropped", status=state.status, note=state.reason)
            self._observer.job_ended(job.tag)
            if state.problem == "queue full":
                self._room.refuse(job.tag)
                refused_alone += self._room.is_empty
            else:
                self._room.leave(job.tag)
            if state.problem == "queue full" and not self._policy.wait:
                self._fill()
                return
            if refused_alone >= REFUSED_ALONE and len(job.requests) > 1 and not in_doubt:
                self._send_in_halves(job)
                return
            if not in_doubt:
                job = replace(job, tag=uuid.uuid4().hex, doubted=None, seen=None, stalled=None)
            self._observer.job_changed(job.tag, "parked", 0, len(job.digests))
            await self._park(job, recreation, in_room=state.problem == "queue full")
            if not in_doubt:
                self._begin(job)

    async def _park(self, job: BatchJob, recreation: int, *, in_room: bool) -> None:
        """Before a batch is created again. A full queue has room when others end."""
        self._parked += 1
        if in_room:
            self._room.park()
        try:
            await asyncio.sleep(wait_s(recreation))
            if in_room:
                await self._room.wait_parked(job.weight)
            self._room.take(job.tag, job.weight)
        finally:
            self._parked -= 1
            if in_room:
                self._room.unpark()

    def _send_in_halves(self, job: BatchJob) -> None:
        """Even alone a batch is too large for the provider's queue, it seems."""
        half = (len(job.requests) + 1) // 2
        self._observer.say(
            f"{self._client.provider}'s queue has no room for a batch of {len(job.requests)} lines, even alone; batches have "
            f"at most {half} lines from here on."
        )
        self._most_lines = min(self._most_lines, half)
        self._attempts.subtract(job.digests.keys())
        self._leftovers.unsent += job.requests.values()

    def _leave_open(self, job: BatchJob) -> None:
        """A later run goes on with the job."""
        self._observer.job_ended(job.tag)
        self._trial_open = self._trial_open or (job.trial and self._client.needs_trial and not self._policy.wait)

    async def _follow(self, job: BatchJob, state: BatchState, *others: BatchState) -> BatchState | None:
        """See a batch to its end. others: more batches of its tag. None if nothing can be collected in this run."""
        if state.batch_id:
            self._adopt_twins(job, state, others)
            self._creator.confirm(job, state)
        ended = await self._watch(job, state)
        if ended is None:
            return None
        others = await self._creator.find_twins(job, ended)
        if others and not ended.batch_id:
            return await self._follow(job, *others)
        if self._adopt_twins(job, ended, others) and ended.problem in NEVER_BEGUN:
            self._give_back(job, ended.reason)
            return None
        return ended

    async def _watch(self, job: BatchJob, state: BatchState) -> BatchState | None:
        """Poll a batch until it has ended. None if that is not seen in this run."""
        try:
            state = await self._watcher.follow(job, state)
        except NotFound:
            await self._lose(job, state.batch_id)
            return None
        if state.ended:
            return state
        self._leave_open(job)
        return None

    # Jobs of earlier processes, and batches that were found by their tags

    async def _adopt(self, record: Job) -> None:
        """Take over a job of an earlier process."""
        weight = record.weight or len(record.requests) * PICTURE_WEIGHT
        job = BatchJob(
            record.tag,
            record.requests,
            {},
            weight,
            record.trial,
            record.file_id,
            record.input_until,
            record.doubted,
            record.account,
            record.seen,
        )
        if record.state == "created":
            await self._adopt_created(job, str(record.batch_id))
        elif record.state == "creating":
            await self._adopt_doubtful(job, datetime.fromisoformat(record.changed or record.time))
        else:
            self._give_back(job, "interrupted before there was a batch")

    async def _adopt_doubtful(self, job: BatchJob, since: datetime) -> None:
        """Take over a job whose creation nobody has confirmed. since: when it was tried.

        The list of another account says nothing about it.
        """
        self._room.take(job.tag, job.weight)
        self._observer.job_changed(job.tag, "in doubt", 0, len(job.digests))
        can_know = job.account == self._client.account
        states = await self._creator.look_for(job.tag, since, once=not can_know)
        if states:
            self._adopt_twins(job, states[0], states[1:])
            self._creator.confirm(job, states[0])
            await self._adopt_created(job, states[0].batch_id)
        elif can_know or self._policy.forget_lost:
            self._give_back(job, "interrupted before there was a batch")
        else:
            self._leave_open(job)
            self._room.leave(job.tag)
            self._observer.say(
                f"Whether {self._client.provider} has made a batch of {len(job.digests)} request(s) whose creation was in doubt "
                f"only {_name_account(job.account)} can tell, and this is {self._client.account}; the batch stays open. {ADVICE}"
            )

    async def _adopt_created(self, job: BatchJob, batch_id: str) -> None:
        """Take over a batch that there is."""
        self._room.take(job.tag, job.weight)
        try:
            seen = await self._watcher.status(batch_id)
            if self._cancelling and not seen.ended:
                seen = await self._cancel(job, seen)
        except NotFound:
            await self._lose(job, batch_id)
            return
        state = await self._watch(job, seen)
        if state is None:
            return
        self._adopt_twins(job, state, await self._creator.find_twins(job, state))
        if state.problem in NEVER_BEGUN:
            if state.problem == "queue full":
                self._room.refuse(job.tag)
            self._give_back(job, state.reason)
        else:
            await self._collect(job, state)

    def _adopt_twins(self, job: BatchJob, state: BatchState, others: Iterable[BatchState]) -> bool:
        """Take over what else was made of a job's creation. Its requests wait until all batches of its tag have ended."""
        twins = self._creator.note_twins(job, state, others)
        for twin, _ in twins:
            for one in (job, twin):
                self._claims.claim(one.tag, one.digests)
        for request in job.requests.values() if twins else ():
            self._claims.wait(request)
        for twin, batch_id in twins:
            self._start(partial(self._adopt_created, twin, batch_id))
        return bool(twins)

    async def _cancel(self, job: BatchJob, state: BatchState) -> BatchState:
        self._observer.job_changed(job.tag, "cancelling", state.done, len(job.digests))
        await self._patience.call(lambda: self._client.cancel(state.batch_id))
        return await self._watcher.status(state.batch_id)

    def _give_back(self, job: BatchJob, why: str) -> None:
        """No batch has worked on the job; what it held is due."""
        self._journal.update_job(job.tag, "dropped", note=why)
        self._observer.job_ended(job.tag)
        self._room.leave(job.tag)
        for key in job.digests:
            if waiting := self._claims.settle(job.tag, key):
                self._leftovers.unsent.append(waiting)

    async def _lose(self, job: BatchJob, batch_id: str) -> None:
        """The provider does not know a batch that this run has paid for."""
        provider = self._client.provider
        if self._policy.forget_lost:
            self._observer.say(
                f"{provider} no longer knows the batch {batch_id}; its unanswered requests are asked again."
            )
            self._journal.update_job(job.tag, "dropped", note=f"lost at the provider: {batch_id}")
            self._observer.job_ended(job.tag)
            for key, digest in job.digests.items():
                failure = Failure("lost", "The provider no longer knows the batch that held it.", transient=True)
                await self._take_failure(Response(key, "failed", digest, error=failure), job, resubmit=True)
        else:
            self._watcher.note_unknown(job)
            told = describe_unknown(job, self._client.account)
            self._observer.say(
                f"{provider} does not know the batch {batch_id} of this run{told} Nothing of it was touched. {ADVICE}"
            )
            self._leave_open(job)
        self._room.leave(job.tag)

    # What came of a job

    async def _collect(self, job: BatchJob, state: BatchState) -> None:
        """Read the results of an ended batch, pass on its answers, send again or record the rest. Where results must still
        be somewhere, the job stays open."""
        self._observer.job_changed(job.tag, "collecting", state.done, len(job.digests))
        async with self._collecting:
            collection = await self._collector.collect(job, state)
        state, reconciler = collection.state, collection.reconciler
        if collection.lacking and not self._policy.forget_lost:
            self._observer.say(
                f"{state.name} has ended as {state.status}, but {collection.lacking}. What can be read is stored; the batch stays "
                "open and nothing of it is sent again. Run again later; if its results are gone for good, --forget-lost asks (and "
                "pays) again for them."
            )
            self._leave_open(job)
            self._room.leave(job.tag)
            return
        self._tell(collection)
        failures = [
            reconciler.failed.get(key) or _without_line(key, job.digests[key], collection)
            for key in job.digests
            if key not in reconciler.answered
        ]
        if job.trial and self._client.needs_trial and self._client.end_trial(_outcome(job, failures)):
            self._leftovers.unsent += job.requests.values()
            failures = [failed for failed in failures if failed.key not in job.requests]
        for failed in failures:
            await self._take_failure(failed, job, resubmit=state.resubmit or bool(collection.lacking))
        self._room.leave(job.tag, answered=not state.problem)
        collected = self._last_collected = _Collected(job.tag, asyncio.Event())
        await self._queue.put(collected)
        # Not before the whole job is over: while it is open a later run reads its answers again, and one to a question that has
        # changed since would displace a newer one.
        for key in reconciler.answered:
            if changed := self._claims.settle(job.tag, key, job.digests[key]):
                self._leftovers.unsent.append(changed)
        if self._policy.delete_files and not state.problem and not collection.lacking:
            await collected.journaled.wait()
            await self._collector.delete(filter(None, (job.file_id, *state.result_files)))

    def _tell(self, collection: Collection) -> None:
        """Say what is odd about a batch's results."""
        state = collection.state
        if state.problem:
            self._observer.say(f"{state.name} could not begin and costs nothing: {state.reason}")
        elif collection.lacking:
            self._observer.say(f"{state.name} is given up, as --forget-lost wants it: {collection.lacking}.")
        elif (oddities := collection.reconciler.oddities()) and not self._cancelling:
            self._observer.say(f"{state.name} ({state.status}) has lines that are {', '.join(oddities)}.")

    async def _take_answer(self, answer: Response, job: BatchJob) -> None:
        await self._queue.put(self._complete(answer, job))

    async def _take_failure(self, failed: Response, job: BatchJob, *, resubmit: bool) -> None:
        """Send a failed request again in this run, or record its failure. Either way it is due.

        What failed in an earlier process goes again whatever the reason was: the user may have mended it since.
        """
        key = failed.key
        if self._claims.holds(job.tag, key):
            self._attempts[key] += 1
            self._budget.fail(self._complete(failed, job))
            if waiting := self._claims.settle(job.tag, key):
                self._leftovers.again.append(waiting)
            return
        may_go_again = failed.error is not None and failed.error.transient and key in job.requests
        retries = most_retries(failed)
        most = self._policy.max_attempts if retries is None else min(self._policy.max_attempts, 1 + retries)
        if may_go_again and resubmit and self._attempts[key] < most:
            self._budget.fail(self._complete(failed, job))
            self._leftovers.again.append(job.requests[key])
        elif may_go_again and self._leftovers.may_go_live:
            self._budget.fail(self._complete(failed, job))
            self._leftovers.spent[key] = self._complete(failed, job)
        else:
            await self._queue.put(self._complete(failed, job))

    def _complete(self, response: Response, job: BatchJob) -> Response:
        return replace(response, job=job.tag, attempts=max(1, self._attempts[response.key]))


def describe_unknown(job: BatchJob, today: str) -> str:
    """What is known of a batch that the account `today` does not have: the end of a sentence."""
    if job.account is not None and job.account != today:
        return f": it belongs to {job.account}, and this is {today}."
    if job.account is not None or (job.seen is not None and job.seen.results_until):
        return " any more."
    return ": another key or project?"


def _name_account(account: str | None) -> str:
    return account or "the account that created it"


def _outcome(job: BatchJob, failures: list[Response]) -> Response:
    """What came of a batch of one line."""
    return failures[0] if failures else Response(next(iter(job.digests)), "ok")


def _without_line(key: str, digest: str, collection: Collection) -> Response:
    state = collection.state
    if state.problem:
        # Another upload may well do; how often is up to max_attempts.
        failure = Failure(state.problem, state.reason, transient=state.problem == "file gone")
    elif collection.lacking:
        failure = Failure("lost", "The provider has counted a result of it and did not hand it over.", transient=True)
    else:
        failure = Failure("missing", f"The batch ended as {state.status} without a line for it.", transient=True)
    return Response(key, "failed", digest, error=failure)


def _first(errors: BaseExceptionGroup[VluresError]) -> VluresError:
    """One sentence is enough, and what stops a run for good goes before what may be continued."""
    found: list[VluresError] = []
    for error in errors.exceptions:
        found.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    return min(found, key=lambda error: type(error) is not VluresError)

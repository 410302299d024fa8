"""The batch driver: shard, upload, create, poll, collect, adopt, requeue. It knows no provider.

A job's life is written to the journal before and after each step that may cost money, so that a run that is killed
finds its batches again: an intent that was never uploaded or created is dropped (nothing was paid), a batch that was
created is adopted, and one whose creation is in doubt is looked up by its tag before another is created. How a batch
looks at the provider is journaled whenever that changes, so that anybody can read it there without asking.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from vlures.backends import Journal, Observer
from vlures.backends.patience import Patience, wait_s
from vlures.backends.room import PICTURE_WEIGHT, Room, weigh
from vlures.backends.shards import Line, Shard, ShardFile, cut_shards
from vlures.backends.wire import decode_object
from vlures.config import RunConfig
from vlures.errors import InDoubt, NotFound, Retry, VluresError
from vlures.records import Failure, Job, Request, Response, Sighting
from vlures.store import now

T = TypeVar("T")

UPLOADS_AT_ONCE = 2
"""More of them only wait for one another: one fills a line of a gigabit."""
SHORTEST_POLL_S = 1.0
POLL_SHARE = 0.1
"""A batch is looked at again after a tenth of the time that it has been in its state: its answers wait at most a tenth longer
than they must, and not for long where it began late."""
MOST_POLLS_A_SECOND = 40
"""At all batches of a run together: each costs some milliseconds, which uploads and answers need as well."""
LEFTOVERS_WAIT_S = 60.0
MOST_RECREATIONS = 6

LOOKS_FOR_A_KNOWN_BATCH = 4
MOST_DOWNLOADS = 3
LONGEST_CALL_S = 660.0
"""The SDKs wait 600 s for a reply."""

TOLD_SHARE = 0.1
"""How much more of a batch must be done before that is journaled: enough to see it move, and the journal stays short."""
REFUSED_ALONE = 3
"""A batch that the queue has no room for so often, with no other of ours in it, goes again in halves."""
ROOM_KNOWN_FOR = timedelta(days=1)
"""Limits of queues are raised, and other runs share them: what was learned of one is forgotten."""

LEFT = Failure("left", "It is left to be asked live.", transient=True)
"""Of a request that has no answer yet and is not sent again in a batch."""

JobProblem = Literal["queue full", "file not visible", "file gone", "refused"]
NEVER_BEGUN: frozenset[str | None] = frozenset({"queue full", "file not visible"})
"""Nothing was done and nothing is wrong with the requests: the same batch may be created again."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as its provider tells of it.

    batch_id: empty where the creation itself was refused for the problem. ended: nothing will change any more.
    result_files: ids of the files to read then. problem: why it could not even begin (nothing was paid), with the
    provider's reason. resubmit: what it left unanswered may go again unasked. deadline: when the provider gives it up, where
    it says so.
    """

    batch_id: str
    status: str
    ended: bool
    done: int = 0
    total: int = 0
    result_files: tuple[str, ...] = ()
    problem: JobProblem | None = None
    reason: str = ""
    resubmit: bool = True
    deadline: datetime | None = None

    @property
    def name(self) -> str:
        return f"Batch {self.batch_id}" if self.batch_id else "A batch"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a provider works on a batch, and keeps its input file from the upload and its results from their end on."""

    batch: timedelta
    input: timedelta
    results: timedelta


class BatchClient(Protocol):
    """What the driver needs of a provider. Calls raise Retry, NotFound, VluresError; `create` also InDoubt."""

    provider: str
    lifetimes: Lifetimes

    @property
    def needs_trial(self) -> bool:
        """Whether nobody knows if the provider takes lines of this form, so that one goes first, alone."""
        ...

    def end_trial(self, outcome: Response) -> bool:
        """Told what came of the line that went first. True: lines have another form now, and it goes again in that."""
        ...

    async def place_images(self, requests: Iterable[Request]) -> None:
        """Bring to the provider what the requests' lines only name. Raises what patience does."""
        ...

    def write_line(self, request: Request) -> Line:
        """A request's line. Before its image is placed it is about as long as after."""
        ...

    async def upload(self, file: ShardFile) -> str: ...

    async def create(self, file_id: str, tag: str) -> BatchState: ...

    async def find(self, tag: str) -> BatchState | None: ...

    async def status(self, batch_id: str) -> BatchState: ...

    async def cancel(self, batch_id: str) -> None:
        """Ask for its end. One that has ended, or ends already, is left as it is, without an error."""
        ...

    async def download(self, file_id: str, path: Path) -> None: ...

    async def delete(self, file_id: str) -> None:
        """Delete a file that the driver has uploaded or read."""
        ...

    def read_line(self, line: bytes) -> Response | None:
        """What a line of a result file says, without the request's digest; None if it makes no sense."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """The limits of a run's batches. Sizes in bytes, times in seconds.

    ask_changed_again: what an adopted batch answered goes out again if its question has changed since. forget_lost: the
    requests of a batch that the provider no longer knows are due again. wait: for batches to end; otherwise each is looked
    at once. stall_after_s: of a batch that stays in one state for longer the observer is told. delete_files: of a batch
    whose answers are stored. leave_share: what is to be sent again at the end is left to others instead, if it is at most
    this share of all requests.
    """

    most_lines: int
    most_bytes: int
    max_attempts: int
    longest_poll_s: float
    doubt_patience_s: float
    ask_changed_again: bool
    forget_lost: bool
    wait: bool = True
    stall_after_s: float = float("inf")
    delete_files: bool = False
    leave_share: float = 0.0

    @classmethod
    def of(cls, config: RunConfig, most_lines: int, most_bytes: int) -> BatchPolicy:
        """As the configuration has it, within a provider's own limits."""
        return cls(
            most_lines=min(config.batch_size, most_lines),
            most_bytes=min(config.batch_bytes, most_bytes),
            max_attempts=config.max_attempts,
            longest_poll_s=config.poll_s,
            doubt_patience_s=config.doubt_patience_s,
            ask_changed_again=config.stale == "redo",
            forget_lost=config.forget_lost,
            wait=config.wait,
            stall_after_s=config.stall_after_s,
            delete_files=config.delete_remote_files,
            leave_share=config.live_share or 0.0,
        )


@dataclass(slots=True)
class Reconciler:
    """Decides line by line what a batch's results mean for the requests that were in it. An answer is passed on
    at once; a failure waits until all lines are read, because an answer may still come.

    expected: key → digest.
    """

    expected: Mapping[str, str]
    answered: set[str] = field(default_factory=set)
    failed: dict[str, Response] = field(default_factory=dict)
    doubled: int = 0
    unknown: int = 0
    unreadable: int = 0

    def feed(self, response: Response | None) -> Response | None:
        """The answer to store, if this line is one."""
        if response is None:
            self.unreadable += 1
        elif response.key not in self.expected:
            self.unknown += 1
        elif response.key in self.answered:
            self.doubled += 1
        elif response.status == "failed":
            self.doubled += response.key in self.failed
            self.failed.setdefault(response.key, replace(response, digest=self.expected[response.key]))
        else:
            self.answered.add(response.key)
            self.failed.pop(response.key, None)
            return replace(response, digest=self.expected[response.key])
        return None

    @property
    def missing(self) -> list[str]:
        return [key for key in self.expected if key not in self.answered and key not in self.failed]

    def oddities(self) -> list[str]:
        counts = {
            "missing": len(self.missing),
            "doubled": self.doubled,
            "of an unknown request": self.unknown,
            "unreadable": self.unreadable,
        }
        return [f"{count} {what}" for what, count in counts.items() if count]


@dataclass(frozen=True, slots=True)
class _Collected:
    """All responses of the job were handed over before this. journaled: set when it is on the disk that they were stored."""

    tag: str
    journaled: asyncio.Event


class _End:
    """Nothing more will come."""


_Queue = asyncio.Queue[Response | _Collected | _End]


class BatchDriver:
    """The backend of every provider's batch mode."""

    def __init__(self, client: BatchClient, policy: BatchPolicy, patience: Patience, observer: Observer) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer

    async def generate(self, requests: Iterable[Request], journal: Journal) -> AsyncGenerator[Response, None]:
        """Adopt the journal's open jobs, send what they do not hold, yield every response.

        A job is journaled as collected only after its last response was taken, that is, stored.
        """
        async with aclosing(self._drive(requests, journal, self._policy, cancelling=False)) as responses:
            async for response in responses:
                yield response

    async def cancel(self, journal: Journal) -> AsyncGenerator[Response, None]:
        """End the journal's open jobs at the provider, send nothing, yield what they had answered.

        What they left unanswered is due. A job that the provider does not know stays open.
        """
        policy = replace(self._policy, wait=True)
        async with aclosing(self._drive((), journal, policy, cancelling=True)) as responses:
            async for response in responses:
                yield response

    async def _drive(
        self, requests: Iterable[Request], journal: Journal, policy: BatchPolicy, *, cancelling: bool
    ) -> AsyncGenerator[Response, None]:
        queue: _Queue = asyncio.Queue(maxsize=256)
        drive = _Drive(self._client, policy, self._patience, self._observer, journal, queue, cancelling=cancelling)
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


@dataclass(slots=True)
class _Batch:
    """A job under way. requests: those of its requests that are at hand; an adopted job's are not, at first.
    weight: what it takes of the provider's queue. trial: it is the line that goes first, to see whether the provider takes
    its form. seen: how its batch looked last. stalled: the status that it was told to stay in."""

    tag: str
    digests: Mapping[str, str]
    requests: Mapping[str, Request]
    weight: int
    trial: bool = False
    file_id: str | None = None
    input_until: str | None = None
    seen: Sighting | None = None
    stalled: str | None = None


class _Drive:
    """One run of the driver: what it holds while its jobs are under way."""

    def __init__(
        self,
        client: BatchClient,
        policy: BatchPolicy,
        patience: Patience,
        observer: Observer,
        journal: Journal,
        queue: _Queue,
        *,
        cancelling: bool,
    ) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._journal = journal
        self._queue = queue
        self._cancelling = cancelling
        self.abandoned = False
        """Nobody takes from the queue any more, and a full one would hold up the end for ever."""
        self._uploads = asyncio.Semaphore(UPLOADS_AT_ONCE)
        self._attempts: Counter[str] = Counter()
        self._leftovers: list[Request] = []
        self._trials = 0
        # Of jobs of earlier processes: who is in how many of them (a request that was sent again just before a kill is
        # in two), who of those has an answer now, who waits for them to end.
        self._adopted: Counter[str] = Counter()
        self._answers: dict[str, str] = {}
        self._settled: set[str] = set()
        self._waiting: dict[str, Request] = {}
        # How many jobs are at work here, how many of them are polled, how many wait to go again, and a bell that rings whenever one is done.
        self._active = 0
        self._followed = 0
        self._parked = 0
        self._ended = asyncio.Event()
        self._most_lines = policy.most_lines
        self._room = Room(self._recall_room(), self._remember_room)
        # Without waiting: whether the provider's queue is full, whether the line that goes first is still under way.
        self._full = False
        self._trial_open = False
        self._undeleted: set[str] = set()

    # What is sent when

    async def run(self, requests: Iterable[Request]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                trials = []
                for job in self._journal.open_jobs():
                    self._adopted.update(job.requests.keys())
                    task = self._start(group, partial(self._adopt, job))
                    if job.trial and self._client.needs_trial:
                        trials.append(task)
                if trials:
                    await asyncio.wait(trials)
                await self._send(group, self._free_of_jobs(requests))
                while self._active or self._leftovers:
                    if self._leftovers and await self._leftovers_should_go():
                        leftovers, self._leftovers = self._leftovers, []
                        if self._are_few(leftovers):
                            for request in leftovers:
                                await self._queue.put(Response(request.key, "failed", request.digest, error=LEFT))
                        else:
                            await self._send(group, iter(leftovers))
                    elif not self._leftovers:
                        await self._next_end(None)
        except* VluresError as errors:
            raise _first(errors) from errors
        finally:
            if not self.abandoned:
                await self._queue.put(_End())

    def _are_few(self, leftovers: list[Request]) -> bool:
        """Whether what is left at the end is so little that it is to be left to others."""
        total = len(self._attempts.keys() | self._adopted.keys())
        return not self._active and len(leftovers) <= self._policy.leave_share * total

    def _free_of_jobs(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Requests that no open job holds. The others wait until it has ended, unless it already has."""
        for request in requests:
            if request.key not in self._adopted:
                yield request
            elif request.key not in self._settled:
                self._waiting[request.key] = request
            elif self._still_asks(request, self._answers.get(request.key)):
                yield request

    def _settle(self, key: str, answer_digest: str | None = None) -> None:
        """A job of an earlier process holds this key no more. When none does, whoever waited goes out if unanswered."""
        if key not in self._adopted or key in self._settled:
            return
        if answer_digest is not None:
            self._answers[key] = answer_digest
        self._adopted[key] -= 1
        if self._adopted[key] > 0:
            return
        self._settled.add(key)
        waiting = self._waiting.pop(key, None)
        if waiting is not None and self._still_asks(waiting, self._answers.get(key)):
            self._leftovers.append(waiting)

    def _still_asks(self, request: Request, answer_digest: str | None) -> bool:
        """Whether a request goes out after its job has ended. An answer to a question that has changed since is
        paid for, and is asked again only if the user wants it."""
        if answer_digest is None:
            return True
        return self._policy.ask_changed_again and answer_digest != request.digest

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

    async def _send(self, group: asyncio.TaskGroup, requests: Iterator[Request]) -> None:
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
            self._start(group, partial(self._submit, shard))
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

    def _start(self, group: asyncio.TaskGroup, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def counted() -> None:
            try:
                await work()
            finally:
                self._active -= 1
                self._ended.set()

        self._active += 1
        return group.create_task(counted())

    async def _leftovers_should_go(self) -> bool:
        """When they fill a batch, when nothing else is under way, or when they have waited long enough."""
        if self._active <= self._parked or len(self._leftovers) >= self._most_lines:
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
        batch = _Batch(
            uuid.uuid4().hex,
            {request.key: request.digest for request in shard.requests},
            {request.key: request for request in shard.requests},
            weigh(shard),
            trial,
        )
        self._attempts.update(batch.digests.keys())
        self._room.take(batch.tag, batch.weight)
        try:
            self._begin(batch)
            self._observer.job_changed(batch.tag, "uploading", 0, len(batch.digests))
            await self._client.place_images(shard.requests)
            shard = shard.rewritten(self._client.write_line)
            file = ShardFile(f"vlures-{batch.tag}.jsonl", shard)
            batch.file_id = await self._reach(lambda: self._client.upload(file))
            batch.input_until = _as_text(datetime.now(UTC) + self._client.lifetimes.input)
            self._journal.update_job(batch.tag, "uploaded", file_id=batch.file_id, input_until=batch.input_until)
        finally:
            self._uploads.release()
        await self._see_through(batch, batch.file_id)

    def _begin(self, batch: _Batch) -> None:
        state: Literal["uploaded", "intended"] = "uploaded" if batch.file_id else "intended"
        job = Job(batch.tag, self._client.provider, state, batch.digests, now(), batch.file_id)
        self._journal.begin_job(replace(job, weight=batch.weight, trial=batch.trial, input_until=batch.input_until))

    async def _see_through(self, batch: _Batch, file_id: str) -> None:
        """Create the batch of an uploaded file and collect it. One that the provider could not even begin costs
        nothing and is created again from the same file."""
        unseen = refused_alone = 0
        for recreation in range(1, 1_000_000):
            state = await self._create(batch, file_id)
            try:
                state = await self._follow(batch, state)
            except NotFound:
                self._lose(batch, f"the batch {state.batch_id}")
                return
            if not state.ended:
                self._leave_alive(batch)
                return
            unseen += state.problem == "file not visible"
            if state.problem not in NEVER_BEGUN or unseen >= MOST_RECREATIONS:
                await self._collect(batch, state)
                return
            self._journal.update_job(batch.tag, "dropped", status=state.status, note=state.reason)
            self._observer.job_ended(batch.tag)
            if recreation == 1:
                self._observer.say(f"{state.name} was not begun and costs nothing; it goes again later: {state.reason}")
            if state.problem == "queue full":
                self._room.refuse(batch.tag)
                refused_alone += self._room.is_empty
            else:
                self._room.leave(batch.tag)
            if state.problem == "queue full" and not self._policy.wait:
                self._fill()
                return
            if refused_alone >= REFUSED_ALONE and len(batch.requests) > 1:
                self._send_in_halves(batch)
                return
            batch = replace(batch, tag=uuid.uuid4().hex, seen=None, stalled=None)
            self._observer.job_changed(batch.tag, "parked", 0, len(batch.digests))
            await self._park(batch, recreation, in_room=state.problem == "queue full")
            self._begin(batch)

    async def _park(self, batch: _Batch, recreation: int, *, in_room: bool) -> None:
        """Before a batch is created again. A full queue has room when others end."""
        self._parked += 1
        if in_room:
            self._room.park()
        try:
            await asyncio.sleep(wait_s(recreation))
            if in_room:
                await self._room.wait_parked(batch.weight)
            self._room.take(batch.tag, batch.weight)
        finally:
            self._parked -= 1
            if in_room:
                self._room.unpark()

    def _send_in_halves(self, batch: _Batch) -> None:
        """Even alone a batch is too large for the provider's queue, it seems."""
        half = (len(batch.requests) + 1) // 2
        self._observer.say(
            f"{self._client.provider}'s queue has no room for a batch of {len(batch.requests)} lines, even alone; batches have "
            f"at most {half} lines from here on."
        )
        self._most_lines = min(self._most_lines, half)
        self._attempts.subtract(batch.digests.keys())
        self._leftovers += batch.requests.values()

    def _leave_alive(self, batch: _Batch) -> None:
        """Nobody waits for the batch in this run."""
        self._observer.job_ended(batch.tag)
        self._trial_open = self._trial_open or (batch.trial and self._client.needs_trial)

    async def _create(self, batch: _Batch, file_id: str) -> BatchState:
        """Create a batch. A job is dropped only when it is certain that there is none."""
        self._observer.job_changed(batch.tag, "creating", 0, len(batch.digests))
        in_doubt = False

        async def create() -> BatchState:
            nonlocal in_doubt
            self._journal.update_job(batch.tag, "creating")
            try:
                return await self._client.create(file_id, batch.tag)
            except InDoubt as doubt:
                in_doubt = True
                self._observer.say(
                    f"The reply to the creation of a batch was lost ({doubt}); looking for it by its tag."
                )
                found = await self._look_for(batch.tag)
                in_doubt = False
                if found is None:
                    raise Retry(
                        f"a batch was not created ({doubt})", code="not created", after_s=doubt.after_s
                    ) from doubt
                return found

        try:
            state = await self._reach(create)
        except VluresError as refusal:
            if not in_doubt:
                self._journal.update_job(batch.tag, "dropped", note=str(refusal))
            raise
        if state.batch_id:
            self._confirm(batch, state)
        return state

    def _confirm(self, batch: _Batch, state: BatchState) -> None:
        """It is certain that there is a batch."""
        deadline = state.deadline or datetime.now(UTC) + self._client.lifetimes.batch
        self._journal.update_job(batch.tag, "created", batch_id=state.batch_id, deadline=_as_text(deadline))

    async def _reach(self, call: Callable[[], Awaitable[T]]) -> T:
        """A call that has no business to find nothing there."""
        try:
            return await self._patience.call(call)
        except NotFound as error:
            raise VluresError(
                f"{self._client.provider} finds nothing at that address ({error}); check the base URL, then run again."
            ) from error

    async def _look_for(self, tag: str, since: datetime | None = None) -> BatchState | None:
        """Look a batch up by its tag, patiently: a provider's list may lag behind a creation.

        since: when the creation was tried, if that was in an earlier process. It may have waited for the reply for long, and
        died just now, so the patience begins here; only a creation that cannot be on its way any more is looked for but once.
        """
        loop = asyncio.get_running_loop()
        age_s = (datetime.now(UTC) - since).total_seconds() if since else 0.0
        patience_s = self._policy.doubt_patience_s
        deadline = loop.time() + (patience_s if age_s < LONGEST_CALL_S + patience_s else 0.0)
        attempt = 0
        while True:
            attempt += 1
            found = await self._reach(lambda: self._client.find(tag))
            left = deadline - loop.time()
            if found is not None or left <= 0:
                return found
            await asyncio.sleep(min(wait_s(attempt), left))

    async def _adopt(self, job: Job) -> None:
        """Take over a job of an earlier process."""
        weight = job.weight or len(job.requests) * PICTURE_WEIGHT
        batch = _Batch(job.tag, job.requests, {}, weight, job.trial, job.file_id, job.input_until, job.seen)
        state = None
        if job.state in ("creating", "created"):
            self._room.take(batch.tag, weight)
        try:
            if job.state == "creating":
                self._observer.job_changed(job.tag, "in doubt", 0, len(job.requests))
                state = await self._look_for(job.tag, datetime.fromisoformat(job.changed or job.time))
                if state is not None:
                    self._confirm(batch, state)
                    if not state.ended and (self._cancelling or not self._policy.wait):
                        state = await self._status(state.batch_id)  # a list may not say all
            elif job.state == "created":
                state = await self._status(str(job.batch_id))
            if state is not None and self._cancelling and not state.ended:
                state = await self._cancel(batch, state)
            if state is not None:
                state = await self._follow(batch, state)
        except NotFound:
            self._lose(batch, f"the batch {state.batch_id if state else job.batch_id}")
            return
        if state is not None and not state.ended:
            self._leave_alive(batch)
        elif state is None or state.problem in NEVER_BEGUN:
            if state is not None and state.problem == "queue full":
                self._room.refuse(batch.tag)
            self._give_back(batch, state.reason if state else "interrupted before there was a batch")
        else:
            await self._collect(batch, state)

    async def _cancel(self, batch: _Batch, state: BatchState) -> BatchState:
        self._observer.job_changed(batch.tag, "cancelling", state.done, len(batch.digests))
        await self._patience.call(lambda: self._client.cancel(state.batch_id))
        return await self._status(state.batch_id)

    def _give_back(self, batch: _Batch, why: str) -> None:
        """A job without answers is over; what it held is due."""
        self._journal.update_job(batch.tag, "dropped", note=why)
        self._observer.job_ended(batch.tag)
        self._room.leave(batch.tag)
        for key in batch.digests:
            self._settle(key)

    def _lose(self, batch: _Batch, what: str) -> None:
        """The provider does not know a batch, or a file of it, that this run has paid for."""
        if self._policy.forget_lost:
            self._observer.say(
                f"{self._client.provider} no longer knows {what}; its unanswered requests are asked again."
            )
            self._give_back(batch, f"lost at the provider: {what}")
            return
        self._observer.job_ended(batch.tag)
        self._room.leave(batch.tag)
        self._note(batch, replace(batch.seen or Sighting("", now(), now()), time=now(), lost=True))
        self._observer.say(
            f"{self._client.provider} does not know {what} of this run: another key or project? Nothing of it was touched. Run "
            "again with the key that created it; if it is gone for good, --forget-lost asks (and pays) again for what it held."
        )

    async def _status(self, batch_id: str) -> BatchState:
        """Ask after a batch. One that was just created may not be known everywhere yet.

        Raises NotFound if it is not known after several looks.
        """
        for attempt in range(1, LOOKS_FOR_A_KNOWN_BATCH):
            with suppress(NotFound):
                return await self._patience.call(lambda: self._client.status(batch_id))
            await asyncio.sleep(wait_s(attempt))
        return await self._patience.call(lambda: self._client.status(batch_id))

    async def _follow(self, batch: _Batch, state: BatchState) -> BatchState:
        """Poll a batch until it has ended, or look at it once."""
        loop = asyncio.get_running_loop()
        status, since = state.status, loop.time()
        self._followed += 1
        try:
            while True:
                self._see(batch, state)
                if state.ended or not self._policy.wait:
                    return state
                if state.status != status:
                    status, since = state.status, loop.time()
                pause_s = max(SHORTEST_POLL_S, POLL_SHARE * (loop.time() - since), self._followed / MOST_POLLS_A_SECOND)
                await asyncio.sleep(min(self._policy.longest_poll_s, pause_s))
                state = await self._status(state.batch_id)
        finally:
            self._followed -= 1

    def _see(self, batch: _Batch, state: BatchState) -> None:
        """Journal how a batch looks, if that has changed, and say so if it has not for too long."""
        if not state.batch_id:
            return
        self._observer.job_changed(batch.tag, state.status, state.done, len(batch.digests))
        before, today = batch.seen, datetime.now(UTC)
        same = before is not None and not before.lost and before.status == state.status
        since = before.since if before is not None and same else _as_text(today)
        until = _as_text(today + self._client.lifetimes.results) if state.ended else None
        if not same or state.ended or state.done >= (before.done if before else 0) + TOLD_SHARE * len(batch.digests):
            self._note(batch, Sighting(state.status, _as_text(today), since, state.done, state.total, False, until))
        lasts_s = (today - datetime.fromisoformat(since)).total_seconds()
        if not state.ended and lasts_s > self._policy.stall_after_s and batch.stalled != state.status:
            batch.stalled = state.status
            self._observer.say(
                f"{state.name} has been {state.status} since {since} ({state.done} of {len(batch.digests)} lines done); it is left "
                "alone. `vlures cancel` ends it and keeps what it has answered."
            )

    def _note(self, batch: _Batch, sighting: Sighting) -> None:
        batch.seen = sighting
        self._journal.see_job(batch.tag, sighting)

    # What came of a job

    async def _collect(self, batch: _Batch, state: BatchState) -> None:
        """Read the result files of an ended batch, pass on its answers, send again or record the rest."""
        self._observer.job_changed(batch.tag, "collecting", state.done, len(batch.digests))
        reconciler = Reconciler(batch.digests)
        with tempfile.TemporaryDirectory(prefix="vlures-") as folder:
            paths = {file_id: Path(folder) / f"{number}.jsonl" for number, file_id in enumerate(state.result_files)}
            gone = await self._download(paths, batch.digests, state)
            for path in paths.values():
                if path.is_file():
                    await self._read_results(path, reconciler, batch)
        if gone:
            self._lose(batch, f"the result file {gone} of batch {state.batch_id}")
            return
        if state.problem:
            self._observer.say(f"{state.name} could not begin and costs nothing: {state.reason}")
        elif (oddities := reconciler.oddities()) and not self._cancelling:
            self._observer.say(f"{state.name} ({state.status}) has lines that are {', '.join(oddities)}.")
        failures = [
            reconciler.failed.get(key) or _without_line(key, batch.digests[key], state)
            for key in batch.digests
            if key not in reconciler.answered
        ]
        if batch.trial and self._client.needs_trial and self._client.end_trial(_outcome(batch, failures)):
            self._leftovers += batch.requests.values()
            failures = [failed for failed in failures if failed.key not in batch.requests]
        for failed in failures:
            await self._take_failure(failed, batch, state)
        self._room.leave(batch.tag, answered=not state.problem)
        collected = _Collected(batch.tag, asyncio.Event())
        await self._queue.put(collected)
        if self._policy.delete_files and not state.problem:
            await collected.journaled.wait()
            await self._delete(filter(None, (batch.file_id, *state.result_files)))

    async def _delete(self, file_ids: Iterable[str]) -> None:
        """Delete files that nobody needs any more. One that stays is no reason to stop; the same reason is said once."""
        for file_id in file_ids:
            try:
                await self._patience.call(partial(self._client.delete, file_id))
            except NotFound:
                continue
            except VluresError as error:
                if str(error) not in self._undeleted:
                    self._undeleted.add(str(error))
                    self._observer.say(
                        f"{self._client.provider} keeps the file {file_id}: {error} It expires there by itself."
                    )

    async def _download(self, paths: Mapping[str, Path], digests: Mapping[str, str], state: BatchState) -> str | None:
        """Fetch the result files; again, twice at most, if they look cut short: what is missing would be paid for again. Of
        each the longest stays. Returns the id of a file that is not there, if one is not."""
        gone = None
        try:
            for _ in range(MOST_DOWNLOADS):
                for file_id, path in paths.items():
                    fresh = path.with_suffix(".fresh")
                    try:
                        await self._patience.call(partial(self._client.download, file_id, fresh))
                    except NotFound:
                        gone = file_id
                    else:
                        if not path.is_file() or fresh.stat().st_size > path.stat().st_size:
                            fresh.replace(path)
                if gone is not None or await asyncio.to_thread(_look_whole, paths.values(), digests.keys(), state.done):
                    break
        except OSError as error:
            raise VluresError(
                f"The results of batch {state.batch_id} cannot be written to {tempfile.gettempdir()} ({error.strerror}); they are "
                "safe at the provider. Make room, or point TMPDIR elsewhere, and run again."
            ) from error
        return gone

    async def _read_results(self, path: Path, reconciler: Reconciler, batch: _Batch) -> None:
        """Pass on the answers of a result file, line by line."""
        with path.open("rb") as lines:
            for line in lines:
                answer = reconciler.feed(self._client.read_line(line)) if line.strip() else None
                if answer is not None:
                    await self._queue.put(self._complete(answer, batch))
                    self._settle(answer.key, answer.digest)

    async def _take_failure(self, failed: Response, batch: _Batch, state: BatchState) -> None:
        """Send a failed request again in this run, or record its failure. Either way it is due.

        What failed in an earlier process goes again whatever the reason was: the user may have mended it since.
        """
        key = failed.key
        if key in self._adopted and key not in self._settled:
            self._attempts[key] += 1
            self._settle(key)
            return
        transient = failed.error is not None and failed.error.transient
        if transient and state.resubmit and key in batch.requests and self._attempts[key] < self._policy.max_attempts:
            self._leftovers.append(batch.requests[key])
        else:
            await self._queue.put(self._complete(failed, batch))

    def _complete(self, response: Response, batch: _Batch) -> Response:
        return replace(response, job=batch.tag, attempts=max(1, self._attempts[response.key]))


def _as_text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _outcome(batch: _Batch, failures: list[Response]) -> Response:
    """What came of a batch of one line."""
    return failures[0] if failures else Response(next(iter(batch.digests)), "ok")


def _without_line(key: str, digest: str, state: BatchState) -> Response:
    if state.problem:
        # Another upload may well do; how often is up to max_attempts.
        failure = Failure(state.problem, state.reason, transient=state.problem == "file gone")
    else:
        failure = Failure("missing", f"The batch ended as {state.status} without a line for it.", transient=True)
    return Response(key, "failed", digest, error=failure)


def _look_whole(paths: Iterable[Path], keys: Collection[str], least: int) -> bool:
    """Whether every line of the result files begins and ends like a JSON object, and no fewer requests have one than the
    provider counts. A line that stands twice, or that nobody asked for, makes up for none that is missing."""
    found: set[str] = set()
    for path in paths:
        with path.open("rb") as file:
            for line in filter(bytes.strip, file):
                if not (line.startswith(b"{") and line.rstrip().endswith(b"}")):
                    return False
                fields = (decode_object(line) or {}).values()
                found.update(field for field in fields if isinstance(field, str) and field in keys)
    return len(found) >= least


def _first(errors: BaseExceptionGroup[VluresError]) -> VluresError:
    """One sentence is enough, and what stops a run for good goes before what may be continued."""
    found: list[VluresError] = []
    for error in errors.exceptions:
        found.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    return min(found, key=lambda error: type(error) is not VluresError)

"""The batch driver: shard, upload, create, poll, collect, adopt, requeue. It knows no provider.

A job's life is written to the journal before and after each step that may cost money, so that a run that is killed
finds its batches again: an intent that was never uploaded or created is dropped (nothing was paid), a batch that was
created is adopted, and one whose creation is in doubt is looked up by its tag before another is created.
"""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from vlures.backends import Journal, Observer
from vlures.backends.patience import Patience, wait_s
from vlures.backends.shards import Line, Shard, ShardFile, cut_shards
from vlures.config import RunConfig
from vlures.errors import InDoubt, NotFound, Retry, VluresError
from vlures.records import Failure, Job, Request, Response
from vlures.store import now

T = TypeVar("T")

UPLOADS_AT_ONCE = 2
"""More of them only wait for one another: one fills a line of a gigabit."""
SHORTEST_POLL_S = 1.0
POLL_SHARE_OF_AGE = 0.1
"""A batch is looked at again after a tenth of its age: its answers wait at most a tenth longer than they must."""
LEFTOVERS_WAIT_S = 60.0
MOST_RECREATIONS = 6

LOOKS_FOR_A_KNOWN_BATCH = 4

JobProblem = Literal["queue full", "file not visible", "file gone", "refused"]
NEVER_BEGUN: frozenset[str | None] = frozenset({"queue full", "file not visible"})
"""Nothing was done and nothing is wrong with the requests: the same batch may be created again."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as its provider tells of it.

    batch_id: empty where the creation itself was refused for the problem. ended: nothing will change any more.
    result_files: ids of the files to read then. problem: why it could not even begin (nothing was paid), with the
    provider's reason. resubmit: what it left unanswered may go again unasked.
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

    @property
    def name(self) -> str:
        return f"Batch {self.batch_id}" if self.batch_id else "A batch"


class BatchClient(Protocol):
    """What the driver needs of a provider. Calls raise Retry, NotFound, VluresError; `create` also InDoubt."""

    provider: str

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

    async def download(self, file_id: str, path: Path) -> None: ...

    def read_line(self, line: bytes) -> Response | None:
        """What a line of a result file says, without the request's digest; None if it makes no sense."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """The limits of a run's batches. Sizes in bytes, times in seconds.

    ask_changed_again: what an adopted batch answered goes out again if its question has changed since. forget_lost: the
    requests of a batch that the provider no longer knows are due again.
    """

    most_lines: int
    most_bytes: int
    max_attempts: int
    longest_poll_s: float
    doubt_patience_s: float
    ask_changed_again: bool
    forget_lost: bool

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
    """All responses of the job were handed over before this."""

    tag: str


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
        queue: _Queue = asyncio.Queue(maxsize=256)
        drive = _Drive(self._client, self._policy, self._patience, self._observer, journal, queue)
        task = asyncio.create_task(drive.run(requests))
        try:
            while not isinstance(item := await queue.get(), _End):
                if isinstance(item, _Collected):
                    journal.update_job(item.tag, "collected")
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
    trial: it is the line that goes first, to see whether the provider takes its form."""

    tag: str
    digests: Mapping[str, str]
    requests: Mapping[str, Request]
    trial: bool = False


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
    ) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._journal = journal
        self._queue = queue
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
        # How many jobs are under way, the bells of those that are parked, and one that rings whenever a job ends.
        self._active = 0
        self._parked: deque[asyncio.Event] = deque()
        self._ended = asyncio.Event()

    # What is sent when

    async def run(self, requests: Iterable[Request]) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for job in self._journal.open_jobs():
                    self._adopted.update(job.requests.keys())
                    self._start(group, self._adopt(job))
                await self._send(group, self._free_of_jobs(requests))
                while self._active or self._leftovers:
                    if self._leftovers and await self._leftovers_should_go():
                        leftovers, self._leftovers = self._leftovers, []
                        await self._send(group, iter(leftovers))
                    elif not self._leftovers:
                        await self._next_end(None)
        except* VluresError as errors:
            raise _first(errors) from errors
        finally:
            if not self.abandoned:
                await self._queue.put(_End())

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

    async def _send(self, group: asyncio.TaskGroup, requests: Iterator[Request]) -> None:
        await self._try_form(requests)
        shards = cut_shards(requests, self._client.write_line, self._policy.most_lines, self._policy.most_bytes)
        while True:
            await self._uploads.acquire()
            shard = next(shards, None)
            if shard is None:
                self._uploads.release()
                return
            self._start(group, self._submit(shard))
            # Requests may be made, and pictures read, for a long time without a pause: let the others work too.
            await asyncio.sleep(0)

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> None:
        async def counted() -> None:
            try:
                await work
            finally:
                self._active -= 1
                self._ended.set()
                if self._parked:
                    self._parked.popleft().set()

        self._active += 1
        group.create_task(counted())

    async def _leftovers_should_go(self) -> bool:
        """When they fill a batch, when nothing else is under way, or when they have waited long enough."""
        if self._active <= len(self._parked) or len(self._leftovers) >= self._policy.most_lines:
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
            trial,
        )
        self._attempts.update(batch.digests.keys())
        try:
            self._begin(batch)
            self._observer.job_changed(batch.tag, "uploading", 0, len(batch.digests))
            await self._client.place_images(shard.requests)
            shard = shard.rewritten(self._client.write_line)
            file = ShardFile(f"vlures-{batch.tag}.jsonl", shard)
            file_id = await self._reach(lambda: self._client.upload(file))
            self._journal.update_job(batch.tag, "uploaded", file_id=file_id)
        finally:
            self._uploads.release()
        await self._see_through(batch, file_id)

    def _begin(self, batch: _Batch, file_id: str | None = None) -> None:
        state: Literal["uploaded", "intended"] = "uploaded" if file_id else "intended"
        self._journal.begin_job(Job(batch.tag, self._client.provider, state, batch.digests, now(), file_id))

    async def _see_through(self, batch: _Batch, file_id: str) -> None:
        """Create the batch of an uploaded file and collect it. One that the provider could not even begin costs
        nothing and is created again from the same file."""
        for recreation in range(1, 1_000_000):
            state = await self._create(batch, file_id)
            try:
                state = await self._follow(batch, state)
            except NotFound:
                self._lose(batch, f"the batch {state.batch_id}")
                return
            hopeless = state.problem == "file not visible" and recreation >= MOST_RECREATIONS
            if state.problem not in NEVER_BEGUN or hopeless:
                await self._collect(batch, state)
                return
            self._journal.update_job(batch.tag, "dropped", status=state.status, note=state.reason)
            self._observer.job_ended(batch.tag)
            if recreation == 1:
                self._observer.say(f"{state.name} was not begun and costs nothing; it goes again later: {state.reason}")
            batch = replace(batch, tag=uuid.uuid4().hex)
            self._observer.job_changed(batch.tag, "parked", 0, len(batch.digests))
            await self._park(recreation, until_another_ends=state.problem == "queue full")
            self._begin(batch, file_id)

    async def _park(self, recreation: int, *, until_another_ends: bool) -> None:
        """A full queue has room again when a batch ends; without one of ours under way, only time helps."""
        bell = asyncio.Event()
        self._parked.append(bell)
        try:
            if until_another_ends and self._active > len(self._parked):
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._policy.longest_poll_s):
                        await bell.wait()
            else:
                await asyncio.sleep(wait_s(recreation))
        finally:
            with suppress(ValueError):
                self._parked.remove(bell)

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
            self._journal.update_job(batch.tag, "created", batch_id=state.batch_id)
        return state

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

        since: when the creation was tried, if that was in an earlier process.
        """
        loop = asyncio.get_running_loop()
        waited_s = (datetime.now(UTC) - since).total_seconds() if since else 0.0
        deadline = loop.time() + self._policy.doubt_patience_s - max(0.0, waited_s)
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
        batch = _Batch(job.tag, job.requests, {})
        state = None
        try:
            if job.state == "creating":
                self._observer.job_changed(job.tag, "in doubt", 0, len(job.requests))
                state = await self._look_for(job.tag, datetime.fromisoformat(job.changed or job.time))
                if state is not None:
                    self._journal.update_job(job.tag, "created", batch_id=state.batch_id)
            elif job.state == "created":
                state = await self._status(str(job.batch_id))
            if state is not None:
                state = await self._follow(batch, state)
        except NotFound:
            self._lose(batch, f"the batch {job.batch_id}")
            return
        if state is None or state.problem in NEVER_BEGUN:
            why = state.reason if state else "interrupted before there was a batch"
            self._give_back(batch, why)
            return
        await self._collect(batch, state)

    def _give_back(self, batch: _Batch, why: str) -> None:
        """A job without answers is over; what it held is due."""
        self._journal.update_job(batch.tag, "dropped", note=why)
        self._observer.job_ended(batch.tag)
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
        """Poll a batch until it has ended."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        while not state.ended:
            self._observer.job_changed(batch.tag, state.status, state.done, len(batch.digests))
            age = loop.time() - since
            await asyncio.sleep(min(self._policy.longest_poll_s, max(SHORTEST_POLL_S, age * POLL_SHARE_OF_AGE)))
            state = await self._status(state.batch_id)
        return state

    # What came of a job

    async def _collect(self, batch: _Batch, state: BatchState) -> None:
        """Read the result files of an ended batch, pass on its answers, send again or record the rest."""
        self._observer.job_changed(batch.tag, "collecting", state.done, len(batch.digests))
        reconciler = Reconciler(batch.digests)
        with tempfile.TemporaryDirectory(prefix="vlures-") as folder:
            for number, file_id in enumerate(state.result_files):
                path = Path(folder) / f"{number}.jsonl"
                try:
                    await self._download(file_id, path, state)
                except NotFound:
                    self._lose(batch, f"the result file {file_id} of batch {state.batch_id}")
                    return
                with path.open("rb") as lines:
                    for line in lines:
                        answer = reconciler.feed(self._client.read_line(line)) if line.strip() else None
                        if answer is not None:
                            await self._queue.put(self._complete(answer, batch))
                            self._settle(answer.key, answer.digest)
        if state.problem:
            self._observer.say(f"{state.name} could not begin and costs nothing: {state.reason}")
        elif oddities := reconciler.oddities():
            self._observer.say(f"{state.name} ({state.status}) has lines that are {', '.join(oddities)}.")
        failures = [
            reconciler.failed.get(key) or _without_line(key, batch.digests[key], state)
            for key in batch.digests
            if key not in reconciler.answered
        ]
        if batch.trial and self._client.needs_trial and self._client.end_trial(_outcome(batch, failures)):
            self._leftovers += batch.requests.values()
            failures = []
        for failed in failures:
            await self._take_failure(failed, batch, state)
        await self._queue.put(_Collected(batch.tag))

    async def _download(self, file_id: str, path: Path, state: BatchState) -> None:
        """Fetch a result file; once more if it looks cut short. Raises NotFound if it is not there."""
        try:
            await self._patience.call(lambda: self._client.download(file_id, path))
            if not await asyncio.to_thread(_looks_whole, path):
                await self._patience.call(lambda: self._client.download(file_id, path))
        except OSError as error:
            raise VluresError(
                f"The results of batch {state.batch_id} cannot be written to {path.parent} ({error.strerror}); they are safe at "
                "the provider. Make room, or point TMPDIR elsewhere, and run again."
            ) from error

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


def _looks_whole(path: Path) -> bool:
    """Whether every line of a result file begins and ends like a JSON object."""
    with path.open("rb") as file:
        return all(line.startswith(b"{") and line.rstrip().endswith(b"}") for line in file if line.strip())


def _first(errors: BaseExceptionGroup[VluresError]) -> VluresError:
    """One sentence is enough, and what stops a run for good goes before what may be continued."""
    found: list[VluresError] = []
    for error in errors.exceptions:
        found.append(_first(error) if isinstance(error, BaseExceptionGroup) else error)
    return min(found, key=lambda error: type(error) is not VluresError)

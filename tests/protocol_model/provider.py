"""A provider of batches that lives in the test's own process: what it was sent, what it charges, and what goes wrong
there.

Its batches are real in everything that a bill knows. What a batch comes to is decided when it is created (`Fate`), so
that the model can tell at once whether a request is about to be paid a second time.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tests.protocol_model.clock import Clock
from vlures.backends import Journal
from vlures.backends.batch.client import NEVER_BEGUN, BatchState, JobProblem, Lifetimes
from vlures.backends.batch.shards import Line, ShardFile
from vlures.errors import InDoubt, NotFound, Retry, VluresError
from vlures.records import Failure, Request, Response, Usage

if TYPE_CHECKING:
    from tests.protocol_model.live import LiveCall

T = TypeVar("T")

NAME = "openai"
"""The backend whose batches these are taken for: one with prices."""
MODEL = "gpt-5.4-mini"
ON_THE_WAY_S = 0.05

CallName = Literal["upload", "create", "find", "status", "cancel", "download", "delete", "live"]
Trouble = Literal[
    "lost before", "lost after", "late", "slow", "retry", "retry later", "unreachable", "not found", "refused",
    "full", "cut", "cut at a line", "empty", "a page", "another's", "truncated", "lasting",
    "tells nothing", "tells nonsense",
]  # fmt: skip
TROUBLES: tuple[tuple[CallName, Trouble], ...] = (
    ("upload", "lost before"), ("upload", "lost after"), ("upload", "slow"), ("upload", "retry"),
    ("upload", "retry later"), ("upload", "unreachable"), ("upload", "not found"), ("upload", "refused"),
    ("create", "lost before"), ("create", "lost after"), ("create", "late"), ("create", "slow"), ("create", "retry"),
    ("create", "retry later"), ("create", "unreachable"), ("create", "not found"), ("create", "refused"),
    ("create", "full"),
    ("find", "lost after"), ("find", "slow"), ("find", "retry"), ("find", "retry later"), ("find", "refused"),
    ("status", "lost after"), ("status", "slow"), ("status", "retry"), ("status", "retry later"),
    ("status", "not found"), ("status", "refused"),
    ("cancel", "lost before"), ("cancel", "lost after"), ("cancel", "retry"), ("cancel", "not found"),
    ("cancel", "refused"),
    ("delete", "lost after"), ("delete", "retry"), ("delete", "not found"), ("delete", "refused"),
    ("download", "lost after"), ("download", "slow"), ("download", "retry"), ("download", "not found"),
    ("download", "refused"),
)  # fmt: skip

CUTS: tuple[Trouble, ...] = ("cut", "cut at a line", "empty", "a page", "another's")
"""What may come in the place of a whole result file."""

MOST_NEVER_BEGUN = 4
"""Fewer than a run takes before it gives a batch up whose file stays invisible."""

SHORT_LAG_S = 2.0
"""Less than a run waits for a batch that it knows of."""

SLOW_S = 12.0
LATE_S = 4.0

Treatment = Literal[
    "ok", "truncated", "refused", "transient", "lasting", "missing", "garbage", "doubled", "failed, then ok"
]
"""What becomes of a line. missing, garbage: it is charged, and never handed over."""
FAILED: frozenset[Treatment] = frozenset({"transient", "lasting"})
CHARGED: frozenset[Treatment] = frozenset({"ok", "truncated", "refused", "doubled", "failed, then ok"})

Told = Literal["true", "nothing", "negative", "absurd"]


def usage_of(asked: tuple[str, str]) -> tuple[int, int]:
    """Tokens of input and of output that an answer takes, within what a user allows."""
    return 5, 10 + sum(asked[0].encode()) % 50


def tell_usage(asked: tuple[str, str], told: Told) -> list[int] | None:
    """The same as a reply has it."""
    match told:
        case "true":
            return list(usage_of(asked))
        case "nothing":
            return None
        case "negative":
            return [-1_000_000, -1_000_000]
        case "absurd":
            return [10**15, 10**15]


End = Literal["completed", "expired", "cancelled", "refused", "queue full", "file not visible", "file gone"]
PROBLEMS: dict[End, JobProblem] = {
    "refused": "refused",
    "queue full": "queue full",
    "file not visible": "file not visible",
    "file gone": "file gone",
}


@dataclass(frozen=True, slots=True)
class Fate:
    """How a batch ends, and what happens to its lines."""

    end: End = "completed"
    reached: int = 99
    """How many of its lines are worked on before it ends (all, if it completes)."""
    lines: tuple[Treatment, ...] = ("ok",)
    """The treatment of its lines, in turn."""
    oddities: tuple[str, ...] = ()
    files: Literal["two", "one", "inline", "none"] = "two"
    """Which result files there are."""
    lasts_s: float = 3.0
    """Until it ends."""
    list_lag_s: float = 0.0
    """How long after its creation the list does not show it."""
    status_lag_s: float = 0.0
    """How long after its creation the call for its state does not know it."""
    results_lag_s: float = 0.0
    """How long after its end it names no results."""
    counts: bool = True
    """Whether the provider counts what it has done."""
    tells: Told = "true"
    """What its answers say about their usage."""


CLEAN = Fate()


@dataclass(eq=False, slots=True)
class Batch:
    """A batch at the provider."""

    number: int
    account: str
    """Whose it is."""
    tag: str
    lines: list[tuple[str, str]]
    fate: Fate
    made_s: float
    heard_s: float
    """When a client last waited for the reply to its creation, or received it."""
    cursed: frozenset[str]
    deleted: set[str] = field(default_factory=set)
    """Its deleted result files."""
    given_up: bool = False
    """It, or a result of it, was hidden from a user who then wanted it asked again."""
    told: set[Client] = field(default_factory=set)
    """Clients that learned its id when it was made, or by looking for its tag."""
    unwanted: list[str] = field(default_factory=list)
    """What it asks although it has an answer that the user wants to keep."""

    @property
    def id(self) -> str:
        return f"batch-{self.number}"

    @property
    def ends_s(self) -> float:
        return self.made_s + self.fate.lasts_s

    @property
    def is_exhaustive(self) -> bool:
        """Whether its end says that all of its requests were worked on."""
        return self.fate.end == "completed" or (self.fate.end == "expired" and not self.fate.counts)

    @property
    def never_shows_all(self) -> bool:
        """Whether it must have results that nobody will ever read."""
        treatments = {self.treatment(position) for position in range(self.reached)}
        if not self.fate.counts or not treatments - {"missing"}:
            return (
                bool(treatments & {"garbage", "missing"}) or self.fate.files == "none" or self.fate.end != "completed"
            )
        return "garbage" in treatments or (self.fate.files == "none" and self.reached > 0)

    @property
    def reached(self) -> int:
        whole = self.fate.end == "completed"
        return len(self.lines) if whole else 0 if self.fate.end in PROBLEMS else min(self.fate.reached, len(self.lines))

    def treatment(self, position: int) -> Treatment:
        if self.lines[position][0] in self.cursed:
            return "lasting"
        return self.fate.lines[position % len(self.fate.lines)]

    def charged(self) -> Iterator[tuple[str, str]]:
        """(key, digest) of every line that is paid for and handed over."""
        if self.fate.files == "none":
            return
        for position in range(self.reached):
            if self.treatment(position) in CHARGED:
                yield self.lines[position]

    def result_files(self) -> dict[str, bytes]:
        """Its result files by id, once it has ended."""
        if self.fate.end in PROBLEMS or self.fate.files == "none":
            return {}
        if not self.fate.counts and not self.reached:
            return {}
        answers, failures = [], []
        for position in range(self.reached):
            answered, failed = self._result_lines(position)
            answers += answered
            failures += failed
        if self.fate.end == "expired":
            failures += [_failed(key, "transient") for key, _ in self.lines[self.reached :]]
        self._add_oddities(answers, failures)
        if self.fate.files == "one":
            return {f"{self.id}-all": _as_file(answers + failures)}
        return {f"{self.id}-out": _as_file(answers), f"{self.id}-err": _as_file(failures)}

    def _result_lines(self, position: int) -> tuple[list[str], list[str]]:
        """What one of its lines leaves in the answers and in the failures."""
        key, digest = self.lines[position]
        told = {"text": f"answer to {digest}", "usage": tell_usage((key, digest), self.fate.tells)}
        answer = json.dumps({"key": key, "status": "ok", **told})
        match self.treatment(position):
            case "ok":
                return [answer], []
            case "doubled":
                return [answer, json.dumps({"key": key, "status": "ok", "text": "another"})], []
            case "truncated" | "refused" as status:
                return [json.dumps({"key": key, "status": status, **told})], []
            case "transient" | "lasting" as kind:
                return [], [_failed(key, kind)]
            case "failed, then ok":
                return [_failed(key, "lasting"), answer], []
            case "garbage":
                return ['{"key": 7, "oh": [}'], []
        return [], []

    def _add_oddities(self, answers: list[str], failures: list[str]) -> None:
        if "unknown" in self.fate.oddities:
            answers.insert(0, json.dumps({"key": "En-t1-1shot-rationales-999", "status": "ok", "text": "whose?"}))
        if "null" in self.fate.oddities:
            failures.append(json.dumps({"key": None, "status": "failed"}))
        if "empty line" in self.fate.oddities:
            answers.insert(len(answers) // 2, "")


def _failed(key: str, kind: str) -> str:
    return json.dumps({"key": key, "status": "failed", "kind": kind})


def _as_file(lines: list[str]) -> bytes:
    return "".join(line + "\n" for line in lines).encode()


@dataclass(eq=False, slots=True)
class _Create:
    """A creation on its way to the provider."""

    account: str
    file_id: str
    tag: str
    acts_s: float
    """When it arrives."""
    heard_s: float
    orphan: bool = False
    """No client waits for it any more."""


@dataclass(slots=True)
class Provider:
    """The provider: its batches, its files and its faults."""

    clock: Clock
    troubles: dict[str, deque[Trouble | None]] = field(default_factory=lambda: defaultdict(deque))
    """What the next calls of a name meet, one after the other (None: nothing)."""
    fates: deque[Fate] = field(default_factory=deque)
    """Of the next batches."""
    usual: Fate = CLEAN
    """Of all batches after those."""
    queue: int | None = None
    """Maximum of batches under way at once."""
    refuses_files: bool = False
    """Lines of the form `file` fail."""
    cursed: set[str] = field(default_factory=set)
    batches: list[Batch] = field(default_factory=list)
    live: list[LiveCall] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    shown: Counter[str] = field(default_factory=Counter)
    given_up_tags: set[str] = field(default_factory=set)
    """Looked for in vain by a user who wanted such batches asked again."""
    _coming: list[_Create] = field(default_factory=list)

    def calm_down(self) -> None:
        """Nothing goes wrong any more, but for what has gone wrong already and what a run must bear by itself: a few
        batches that were not begun and cost nothing, and those that are not known everywhere at once. A queue that was
        full at times stays short."""
        self.troubles.clear()
        never_begun = [fate for fate in self.fates if fate.end in NEVER_BEGUN]
        self.usual = Fate(status_lag_s=SHORT_LAG_S)
        self.fates = deque(replace(self.usual, end=fate.end) for fate in never_begun[:MOST_NEVER_BEGUN])
        self.queue = 1 if self.queue else None
        for batch in self.batches:
            lags = {name: min(SHORT_LAG_S, getattr(batch.fate, name)) for name in ("status_lag_s", "results_lag_s")}
            batch.fate = replace(batch.fate, **lags)

    def next_trouble(self, name: CallName) -> Trouble | None:
        waiting = self.troubles.get(name)
        if not waiting:
            return None
        trouble = waiting.popleft()
        if trouble is not None:
            self.shown[trouble] += 1
        return trouble

    def catch_up(self) -> None:
        """Creations that nobody waits for arrive all the same."""
        due = [creation for creation in self._coming if creation.orphan and creation.acts_s <= self.clock.wall_s]
        for creation in sorted(due, key=lambda creation: creation.acts_s):
            self.create(creation)

    def expect(self, account: str, file_id: str, tag: str, acts_s: float) -> _Create:
        creation = _Create(account, file_id, tag, acts_s, acts_s)
        self._coming.append(creation)
        return creation

    def forget(self, creation: _Create) -> None:
        self._coming.remove(creation)

    def create(self, creation: _Create) -> Batch:
        self.forget(creation)
        self.calls["created"] += 1
        fate = self.fates.popleft() if self.fates else self.usual
        now = min(creation.acts_s, self.clock.wall_s)
        if self.is_full():
            fate = Fate("queue full", lasts_s=1.0, list_lag_s=fate.list_lag_s)
        file = self.files.get(creation.file_id)
        if file is None:
            fate = replace(fate, end="file gone")
        content = [json.loads(line) for line in (file or b"").splitlines()]
        lines = [(line["key"], line["digest"]) for line in content]
        if self.refuses_files and any(line["form"] == "file" for line in content):
            fate = replace(fate, end="completed", lines=("lasting",))
        number = len(self.batches) + 1
        batch = Batch(
            number, creation.account, creation.tag, lines, fate, now, creation.heard_s, frozenset(self.cursed)
        )
        self.batches.append(batch)
        return batch

    def is_full(self) -> bool:
        under_way = sum(batch.ends_s > self.clock.wall_s for batch in self.batches)
        return self.queue is not None and under_way >= self.queue

    def find(self, tag: str, account: str) -> tuple[BatchState, ...]:
        return tuple(
            self.state(batch)
            for batch in self.batches
            if batch.tag == tag
            and batch.account == account
            and batch.made_s + batch.fate.list_lag_s <= self.clock.wall_s
        )

    def batch(self, batch_id: str, account: str) -> Batch:
        for batch in self.batches:
            if (
                batch.id == batch_id
                and batch.account == account
                and batch.made_s + batch.fate.status_lag_s <= self.clock.wall_s
            ):
                return batch
        raise NotFound(f"no batch {batch_id}")

    def batch_of(self, name: str) -> Batch:
        """The batch with this id, or with this result file."""
        return self.batches[int(name.split("-")[1]) - 1]

    def cancel(self, batch: Batch) -> None:
        """It ends a little later, with what it has reached by then."""
        if batch.ends_s > self.clock.wall_s:
            lasts_s = self.clock.wall_s - batch.made_s + 2.0
            reached = min(batch.fate.reached, batch.reached)
            end: End = batch.fate.end if batch.fate.end in PROBLEMS else "cancelled"
            batch.fate = replace(batch.fate, end=end, reached=reached, lasts_s=min(lasts_s, batch.fate.lasts_s))

    def delete(self, file_id: str) -> None:
        if file_id.startswith("file-"):
            if self.files.pop(file_id, None) is None:
                raise NotFound(f"no file {file_id}")
        else:
            batch, _ = self.result_file(file_id)
            batch.deleted.add(file_id)

    def state(self, batch: Batch) -> BatchState:
        total = len(batch.lines)
        if batch.ends_s > self.clock.wall_s:
            return BatchState(batch.id, "in_progress", ended=False, total=total)
        if problem := PROBLEMS.get(batch.fate.end):
            return BatchState(batch.id, "failed", ended=True, problem=problem, reason="Not begun.")
        answered = failed = 0
        if batch.fate.counts:
            treatments = [batch.treatment(position) for position in range(batch.reached)]
            answered = sum(treatment in CHARGED or treatment == "garbage" for treatment in treatments)
            failed = sum(treatment in FAILED for treatment in treatments)
        files = batch.result_files() if batch.ends_s + batch.fate.results_lag_s <= self.clock.wall_s else {}
        inline: tuple[bytes, ...] = ()
        if batch.fate.files == "inline":
            files, inline = {}, tuple(b"".join(files.values()).splitlines(keepends=True))
        return BatchState(
            batch.id,
            batch.fate.end,
            ended=True,
            done=answered + failed,
            answered=answered,
            total=total if batch.fate.counts else 0,
            is_exhaustive=batch.is_exhaustive,
            is_uncounted=batch.reached > 0 and not batch.fate.counts,
            result_files=tuple(files),
            failures_file=f"{batch.id}-err" if f"{batch.id}-err" in files else None,
            inline_lines=inline,
            resubmit=batch.fate.end != "cancelled",
        )

    def result_file(self, file_id: str) -> tuple[Batch, bytes]:
        batch = self.batch_of(file_id)
        if file_id in batch.deleted:
            raise NotFound(f"no file {file_id}")
        return batch, batch.result_files()[file_id]

    def lines_of_another(self, batch: Batch) -> bytes:
        """What the first result file of another batch with other requests holds."""
        keys = {key for key, _ in batch.lines}
        for other in self.batches:
            if keys.isdisjoint(key for key, _ in other.lines):
                return next(iter(other.result_files().values()), b"")
        return b""


class Client:
    """The provider's calls as one process makes them. has_answer: whether a request has one that the user wants to
    keep."""

    provider = NAME
    lifetimes = Lifetimes(timedelta(days=1), timedelta(days=30), timedelta(days=30))

    def __init__(
        self,
        provider: Provider,
        journal: Journal,
        has_answer: Callable[[str], bool],
        *,
        trial: bool,
        forgetful: bool,
        account: str,
    ) -> None:
        self.account = account
        self._provider = provider
        self._has_answer = has_answer
        self._forgetful = forgetful
        self._clock = provider.clock
        self._journal = journal
        self._trial = trial
        self._form = "inline" if not trial or journal.recall("form").get("works") is False else "file"

    # The form of a line

    @property
    def needs_trial(self) -> bool:
        return self._trial and self._form == "file" and not self._journal.recall("form")

    def end_trial(self, outcome: Response) -> bool:
        if outcome.status != "failed":
            self._journal.remember("form", {"works": True})
            return False
        if outcome.error is not None and outcome.error.transient:
            return False
        self._journal.remember("form", {"works": False})
        self._form = "inline"
        return True

    async def place_images(self, requests: Iterable[Request]) -> None:
        await asyncio.sleep(0)

    def write_line(self, request: Request) -> Line:
        content = {"key": request.key, "digest": request.digest, "form": self._form}
        return Line(json.dumps(content).encode() + b"\n", None)

    # The calls

    async def upload(self, file: ShardFile) -> str:
        def act() -> str:
            file.seek(0)
            self._provider.calls["uploaded"] += 1
            file_id = f"file-{self._provider.calls['uploaded']}"
            self._provider.files[file_id] = bytes(file.read())
            return file_id

        return await self._call("upload", act)

    async def create(self, file_id: str, tag: str) -> BatchState:
        provider, clock = self._provider, self._clock
        provider.calls["create"] += 1
        trouble = provider.next_trouble("create")
        if trouble == "full" or (trouble in NOT_ACTED):
            await asyncio.sleep(ON_THE_WAY_S)
            if trouble == "full":
                return BatchState("", "refused", ended=True, problem="queue full", reason="Full.")
            raise _error(trouble, creating=True)
        way_s = SLOW_S if trouble == "slow" else LATE_S if trouble == "late" else ON_THE_WAY_S
        creation = provider.expect(self.account, file_id, tag, clock.wall_s + way_s)
        batch: Batch | None = None
        try:
            await asyncio.sleep(ON_THE_WAY_S if trouble == "late" else way_s)
            if trouble == "late":
                raise InDoubt("no reply in time")
            provider.catch_up()
            batch = provider.create(creation)
            batch.unwanted = [key for key, _ in batch.lines if self._has_answer(key)]
            await asyncio.sleep(ON_THE_WAY_S)
            if trouble == "lost after":
                raise InDoubt("the reply was lost")
            batch.told.add(self)
            return provider.state(batch)
        finally:
            creation.heard_s = clock.wall_s
            creation.orphan = True
            if batch is not None:
                batch.heard_s = clock.wall_s

    async def find(self, tag: str) -> tuple[BatchState, ...]:
        found = await self._call("find", lambda: self._provider.find(tag, self.account))
        if self._forgetful and not found:
            self._provider.given_up_tags.add(tag)
        for state in found:
            self._provider.batch_of(state.batch_id).told.add(self)
        return found

    async def status(self, batch_id: str) -> BatchState:
        with self._giving_up(batch_id):
            return await self._call("status", lambda: self._show(self._provider.batch(batch_id, self.account)))

    def _show(self, batch: Batch) -> BatchState:
        state = self._provider.state(batch)
        batch.given_up |= self._forgetful and state.ended and not (state.result_files or state.inline_lines)
        return state

    async def cancel(self, batch_id: str) -> None:
        await self._call("cancel", lambda: self._provider.cancel(self._provider.batch(batch_id, self.account)))

    async def delete(self, file_id: str) -> None:
        """What is sent counts as done: nobody calls it back by dying."""
        trouble = self._provider.next_trouble("delete")
        if trouble not in NOT_ACTED:
            self._provider.delete(file_id)
        await self._call("delete", lambda: None, trouble)

    async def download(self, file_id: str, path: Path, most_bytes: int) -> None:
        def act() -> tuple[Batch, bytes]:
            return self._provider.result_file(file_id)

        trouble = self._provider.next_trouble("download")
        with self._giving_up(file_id):
            batch, content = await self._call("download", act, trouble)
        whole = content
        if trouble == "cut":
            content = content[: len(whole) * 2 // 3]
        elif trouble == "cut at a line":
            content = b"".join(content.splitlines(keepends=True)[:-1])
        elif trouble == "empty":
            content = b""
        elif trouble == "a page":
            content = b"<html>\n<body>Sign in</body>\n</html>\n"
        elif trouble == "another's":
            content = self._provider.lines_of_another(batch)
        batch.given_up |= self._forgetful and content != whole
        path.write_bytes(content)

    @contextmanager
    def _giving_up(self, name: str) -> Iterator[None]:
        try:
            yield
        except NotFound:
            self._provider.batch_of(name).given_up |= self._forgetful
            raise

    async def _call(
        self, name: CallName, act: Callable[[], T], trouble: Trouble | Literal["next"] | None = "next"
    ) -> T:
        provider = self._provider
        provider.calls[name] += 1
        if trouble == "next":
            trouble = provider.next_trouble(name)
        await asyncio.sleep(SLOW_S if trouble == "slow" else ON_THE_WAY_S)
        if trouble in NOT_ACTED:
            raise _error(trouble, creating=False)
        provider.catch_up()
        result = act()
        await asyncio.sleep(ON_THE_WAY_S)
        if trouble == "lost after":
            raise Retry("the reply was lost", code="connection")
        return result

    def read_line(self, line: bytes) -> Response | None:
        try:
            content: dict[str, Any] = json.loads(line)
        except ValueError:
            return None
        key = content.get("key")
        if not isinstance(key, str):
            return None
        if content["status"] == "failed":
            transient = content["kind"] == "transient"
            return Response(key, "failed", error=Failure(content["kind"], "No.", transient))
        usage = Usage(*content["usage"]) if content.get("usage") else None
        return Response(key, content["status"], text=content["text"], model=MODEL, usage=usage)

    async def close(self) -> None:
        await asyncio.sleep(0)


NOT_ACTED: frozenset[Trouble | None] = frozenset(
    {"lost before", "retry", "retry later", "unreachable", "not found", "refused"}
)


def _error(trouble: Trouble | None, *, creating: bool) -> Exception:
    match trouble:
        case "lost before" if creating:
            return InDoubt("the reply was lost")
        case "lost before":
            return Retry("the connection was lost", code="connection")
        case "retry":
            return Retry("503 Busy.", code="503")
        case "retry later":
            return Retry("429 Later.", code="429", after_s=20.0)
        case "unreachable":
            return Retry("nobody is there", code="connection", reached=False)
        case "not found":
            return NotFound("404 Nothing here.")
        case _:
            return VluresError("The key is refused. Fix it, then run again.")

"""What a provider of batches is to the batch driver: its calls, the state of a batch, and a run's limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from vlures.backends.batch.shards import Line, ShardFile
from vlures.config.sections import BackendOptions
from vlures.records import Request, Response

JobProblem = Literal["queue full", "file not visible", "file gone", "too large", "refused"]
NEVER_BEGUN: frozenset[str | None] = frozenset({"queue full", "file not visible"})
"""No work was done and the requests are sound: the same batch may be created again."""
GIVEN_BACK: frozenset[str | None] = NEVER_BEGUN | {"too large"}
"""No work was done and the requests are sound: they may go into other batches."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as its provider describes it."""

    batch_id: str
    """Empty where the creation itself was refused for the problem."""
    status: str
    """In the provider's word."""
    ended: bool
    """Nothing about it will change."""
    done: int = 0
    """Requests that the provider counts as answered or failed; 0 also where it does not count."""
    total: int = 0
    """Requests that the provider counts; 0 also where it does not count."""
    result_files: tuple[str, ...] = ()
    """Ids of the files to read once it has ended."""
    problem: JobProblem | None = None
    """Why it could not even begin (nothing was paid)."""
    reason: str = ""
    """The provider's reason for the problem, in its words."""
    resubmit: bool = True
    """The requests that it left unanswered may be sent again without asking the user."""
    deadline: datetime | None = None
    """When the provider gives it up, where it says so."""
    is_known: bool = True
    """This version knows the status. An unknown one is neither an end nor a problem."""
    answered: int = 0
    """Requests that the provider counts as answered; 0 also where it does not count."""
    is_exhaustive: bool = False
    """The status says that every request was worked on, so that each has a result."""
    is_uncounted: bool = False
    """Some requests were worked on, by a provider that counts nothing."""
    failures_file: str | None = None
    """The one of the result files that holds no answers."""
    inline_lines: tuple[bytes, ...] = ()
    """Results that come in the batch itself, written as the lines of a result file."""

    @property
    def name(self) -> str:
        return f"Batch {self.batch_id}" if self.batch_id else "A batch"


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a provider works on a batch and keeps its files."""

    batch: timedelta
    """From the creation to the deadline."""
    input: timedelta
    """From the upload of the input file to its deletion."""
    results: timedelta
    """From the end of the batch to the deletion of its results."""


class BatchClient(Protocol):
    """What the driver needs of a provider. Calls raise Retry, NotFound, VluresError; `create` also InDoubt."""

    provider: str
    lifetimes: Lifetimes

    @property
    def account(self) -> str:
        """The account's name, without its key. Another account's lists and ids do not show these batches."""
        ...

    @property
    def needs_trial(self) -> bool:
        """Whether it is unknown if the provider takes lines of this form, so that one goes first, alone."""
        ...

    def end_trial(self, outcome: Response) -> bool:
        """Take the outcome of the line that went first. True: lines have another form now, and it is sent again."""
        ...

    async def place_images(self, requests: Iterable[Request]) -> None:
        """Upload the images that the requests' lines only name. Raises what Patience.call does."""
        ...

    def write_line(self, request: Request) -> Line:
        """A request's line. Its length is about the same before its image is placed and after."""
        ...

    async def upload(self, file: ShardFile) -> str: ...

    async def create(self, file_id: str, tag: str) -> BatchState: ...

    async def find(self, tag: str) -> tuple[BatchState, ...]:
        """Every batch with this tag that the provider lists: two are possible where a creation's reply was lost."""
        ...

    async def status(self, batch_id: str) -> BatchState: ...

    async def cancel(self, batch_id: str) -> None:
        """Ask for its end. One that has ended or is ending stays as it is, without an error."""
        ...

    async def download(self, file_id: str, path: Path, most_bytes: int) -> None:
        """Raises NotFound for a file that does not exist or does not exist yet, Retry for one of more bytes, OSError
        where it cannot be written."""
        ...

    async def delete(self, file_id: str) -> None:
        """Delete a file that the driver has uploaded or read."""
        ...

    def read_line(self, line: bytes) -> Response | None:
        """The response in a line of a result file, without the request's digest; None if it is unreadable."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """The limits of a run's batches."""

    most_lines: int
    """Of a batch."""
    most_bytes: int
    """Of a batch's file."""
    max_attempts: int
    """How many batches may hold the same request in one run."""
    longest_poll_s: float
    """Between two looks at a batch."""
    doubt_patience_s: float
    """How long to look for a batch whose creation is in doubt before it is created again."""
    ask_changed_again: bool
    """A request that an adopted batch answered is sent again if its question has changed since."""
    forget_lost: bool
    """The requests of a batch that the provider no longer knows, or has no results of, are due again."""
    result_patience_s: float = 600.0
    """How long to look again at an ended batch whose results are incomplete."""
    wait: bool = True
    """For batches to end; otherwise each is looked at once."""
    stall_after_s: float = float("inf")
    """The observer is told of a batch that stays in one state for longer."""
    delete_files: bool = False
    """At the provider, once a batch's answers are stored."""
    live_share: float | None = None
    """Requests that batches leave without an answer are left to a live backend, if they are at most this share of all;
    None if there is no such backend."""
    downloads_at_once: int = 500
    """Batches that are collected at the same time."""

    @classmethod
    def of(cls, options: BackendOptions, most_lines: int, most_bytes: int, connections: int) -> BatchPolicy:
        """The configuration's limits within those of the provider."""
        return cls(
            most_lines=min(options.batches.batch_size, most_lines),
            most_bytes=min(options.batches.batch_bytes, most_bytes),
            max_attempts=options.batches.max_attempts,
            longest_poll_s=options.batches.poll_s,
            doubt_patience_s=options.batches.doubt_patience_s,
            ask_changed_again=options.asks_changed_again,
            forget_lost=options.batches.forget_lost,
            result_patience_s=options.batches.result_patience_s,
            wait=options.batches.wait,
            stall_after_s=options.batches.stall_after_s,
            delete_files=options.batches.delete_remote_files,
            live_share=options.batches.live_share,
            downloads_at_once=max(1, connections // 2),
        )

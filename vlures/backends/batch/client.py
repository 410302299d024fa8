"""What a provider of batches is to the batch driver: its calls, what a batch says of itself, and a run's limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, Protocol

from vlures.backends.batch.shards import Line, ShardFile
from vlures.config.sections import BackendOptions
from vlures.records import Request, Response

JobProblem = Literal["queue full", "file not visible", "file gone", "refused"]
NEVER_BEGUN: frozenset[str | None] = frozenset({"queue full", "file not visible"})
"""Nothing was done and nothing is wrong with the requests: the same batch may be created again."""


@dataclass(frozen=True, slots=True)
class BatchState:
    """A batch as its provider tells of it.

    batch_id: empty where the creation itself was refused for the problem.
    ended: nothing will change any more.
    is_known: this version knows what the status means; one that it does not know is neither an end nor a problem.
    done: how many requests the provider counts as answered or failed; answered: as answered. 0 also where it does not count.
    is_exhaustive: the status says that every request was worked on, so that each has a result.
    is_uncounted: some were worked on, by a provider that counts nothing.
    result_files: ids of the files to read once it has ended. failures_file: the one of them that holds no answers, if any.
    inline_lines: results that stand in the batch itself, written as the lines of a result file.
    problem: why it could not even begin (nothing was paid). reason: the provider's, in its words.
    resubmit: what it left unanswered may go again unasked.
    deadline: when the provider gives it up, where it says so.
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
    is_known: bool = True
    answered: int = 0
    is_exhaustive: bool = False
    is_uncounted: bool = False
    failures_file: str | None = None
    inline_lines: tuple[bytes, ...] = ()

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
    def account(self) -> str:
        """Whose batches these are, in words that hold no key: another account's lists and ids do not show them."""
        ...

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

    async def find(self, tag: str) -> tuple[BatchState, ...]:
        """Every batch with this tag that the provider lists. There may be two where the reply to a creation was lost."""
        ...

    async def status(self, batch_id: str) -> BatchState: ...

    async def cancel(self, batch_id: str) -> None:
        """Ask for its end. One that has ended, or ends already, is left as it is, without an error."""
        ...

    async def download(self, file_id: str, path: Path, most_bytes: int) -> None:
        """Raises NotFound for a file that is not there, or not there yet, Retry for one of more bytes, OSError where it cannot
        be written."""
        ...

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

    doubt_patience_s: how long a batch whose creation is in doubt is looked for before it is created again.
    result_patience_s: how long an ended batch is looked at again whose results are not all there.
    ask_changed_again: what an adopted batch answered goes out again if its question has changed since.
    forget_lost: the requests of a batch that the provider no longer knows, or has no results of, are due again.
    wait: for batches to end; otherwise each is looked at once.
    stall_after_s: of a batch that stays in one state for longer the observer is told.
    delete_files: of a batch whose answers are stored.
    live_share: requests that batches leave without an answer are left to a live backend, if they are at most this share of
    all; None if there is no such backend.
    downloads_at_once: batches that are collected at the same time.
    """

    most_lines: int
    most_bytes: int
    max_attempts: int
    longest_poll_s: float
    doubt_patience_s: float
    ask_changed_again: bool
    forget_lost: bool
    result_patience_s: float = 600.0
    wait: bool = True
    stall_after_s: float = float("inf")
    delete_files: bool = False
    live_share: float | None = None
    downloads_at_once: int = 500

    @classmethod
    def of(cls, options: BackendOptions, most_lines: int, most_bytes: int, connections: int) -> BatchPolicy:
        """As the configuration has it, within a provider's own limits."""
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

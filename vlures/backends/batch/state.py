"""What the parts of the batch driver share during one run."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from vlures.backends import Budget, Journal, Observer
from vlures.backends.batch.claims import Claims
from vlures.backends.batch.client import BatchClient, BatchPolicy
from vlures.backends.batch.job import BatchJob
from vlures.backends.batch.leftovers import Leftovers
from vlures.backends.batch.queue_limit import QueueLimit, recall_limit, remember_limit
from vlures.backends.batch.shards import ShardLimits
from vlures.backends.batch.tasks import JobTasks
from vlures.backends.retry import Patience
from vlures.files.writing import NotWritable
from vlures.records import Deferred, Response
from vlures.store.clock import now

UPLOADS_AT_ONCE = 2
"""One upload fills a gigabit line; more than two would only wait for one another."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Follows the last response of a job in the outbox."""

    tag: str
    journaled: asyncio.Event
    """Set once the journal holds, on disk, that the job's responses are stored."""


class End:
    """Nothing follows."""


Outbox = asyncio.Queue[Response | Deferred | Collected | End]


@dataclass(slots=True)
class DriverState:
    """One run of the driver: what it was given, and what its parts know of its requests and batches."""

    client: BatchClient
    policy: BatchPolicy
    patience: Patience
    observer: Observer
    budget: Budget
    journal: Journal
    outbox: Outbox
    cancelling: bool
    """Open batches are cancelled at the provider, and nothing is sent."""
    tasks: JobTasks = field(default_factory=JobTasks)
    uploads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPLOADS_AT_ONCE))
    attempts: Counter[str] = field(default_factory=Counter)
    """By request key: how many batches have held the request."""
    leftovers: Leftovers = field(init=False)
    claims: Claims = field(init=False)
    queue_limit: QueueLimit = field(init=False)
    batched: set[str] = field(init=False)
    """Keys of all requests that any batch has ever held, where a share of them may be finished live; else empty."""
    limits: ShardLimits = field(init=False)
    _proven_bytes: int | None = field(init=False)
    """The learned size of a file that is known to be small enough."""
    last_collected: Collected | None = None
    queue_is_full: bool = False
    """The provider's queue has no room, and this run does not wait for any."""
    trial_is_open: bool = False
    """The trial batch outlasts this run, which does not wait for it."""

    def __post_init__(self) -> None:
        self.leftovers = Leftovers(self.policy.live_share)
        self.claims = Claims(ask_changed_again=self.policy.ask_changed_again)
        self.queue_limit = QueueLimit(
            recall_limit(self.journal, self.client.provider),
            lambda most: remember_limit(self.journal, self.client.provider, most),
        )
        self.batched = (
            {key for job in self.journal.jobs for key in job.requests} if self.policy.live_share is not None else set()
        )
        likely = self.journal.recall(self._file_size_fact).get("most")
        self._proven_bytes = likely
        self.limits = ShardLimits(self.policy.most_lines, self.policy.most_bytes, likely)

    @property
    def _file_size_fact(self) -> str:
        return f"file size at {self.client.account}"

    def prove_file_size(self) -> None:
        """A file was taken, so later runs over the folder begin with the size that this one has learned."""
        learned = self.limits.likely_bytes
        if learned is not None and learned != self._proven_bytes:
            self._proven_bytes = learned
            with suppress(NotWritable):  # a later run learns it again
                self.journal.remember(self._file_size_fact, {"most": learned, "time": now()})

    def halve_lines(self, lines: int) -> int:
        """A batch of so many lines was too large. Returns how many the next ones may have."""
        self.limits.most_lines = min(self.limits.most_lines, (lines + 1) // 2)
        return self.limits.most_lines

    def mark_queue_full(self) -> None:
        """Send nothing more: the provider's queue is full, and this run does not wait."""
        if not self.queue_is_full:
            self.queue_is_full = True
            self.observer.say(f"{self.client.provider}'s queue of batches is full; a later run sends the rest.")

    def leave_open(self, job: BatchJob) -> None:
        """A later run continues the job."""
        self.observer.job_ended(job.tag)
        self.trial_is_open = self.trial_is_open or (job.trial and self.client.needs_trial and not self.policy.wait)

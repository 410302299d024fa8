"""The journal that a backend writes to, with the money of its jobs kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlures.pricing.spending import Spending
from vlures.records import BatchSnapshot, Job, JobState
from vlures.store.checkpoints import CheckpointStore

LOST = "lost at the provider"
"""Begins the note of a job that was dropped although its batch may have been charged."""


@dataclass(frozen=True, slots=True)
class LedgerJournal:
    """A store as a backend sees it (`vlures.backends.Journal`)."""

    store: CheckpointStore
    spending: Spending

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self.store.jobs

    def open_jobs(self) -> tuple[Job, ...]:
        return self.store.open_jobs()

    def left_by_batches(self) -> frozenset[str]:
        return self.store.left_by_batches()

    def begin_job(self, job: Job) -> None:
        self.spending.begin_job(job)
        self.store.begin_job(job)

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None:
        self.store.update_job(tag, state, **facts)
        if state == "collected":
            self.spending.end_job(tag)
        elif state == "dropped":
            self.spending.drop_job(tag, lost=(facts.get("note") or "").startswith(LOST))

    def see_job(self, tag: str, snapshot: BatchSnapshot) -> None:
        self.store.see_job(tag, snapshot)

    def recall(self, name: str) -> Mapping[str, Any]:
        return self.store.recall(name)

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        self.store.remember(name, facts)

"""A job under way in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vlures.records import BatchSnapshot, Request


@dataclass(slots=True)
class BatchJob:
    """One batch that this process sends, watches or collects.

    requests: those of its requests that are at hand; an adopted job's are not, at first.
    weight: what it takes of the provider's queue.
    trial: it is the line that goes first, to see whether the provider takes its form.
    doubted: when the reply to its creation was lost first, ISO 8601; there may be a second batch of its tag.
    account: of the provider under which it was created; None where an earlier version did not note it.
    seen: how its batch looked last. stalled: the status that it was told to stay in.
    """

    tag: str
    digests: Mapping[str, str]
    requests: Mapping[str, Request]
    weight: int
    trial: bool = False
    file_id: str | None = None
    input_until: str | None = None
    doubted: str | None = None
    account: str | None = None
    seen: BatchSnapshot | None = None
    stalled: str | None = None

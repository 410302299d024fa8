"""A job under way in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vlures.records import BatchSnapshot, Request


@dataclass(slots=True)
class BatchJob:
    """One batch that this process sends, watches or collects."""

    tag: str
    digests: Mapping[str, str]
    """Request key → digest."""
    requests: Mapping[str, Request]
    """By key, those of its requests that are at hand: at first none of an adopted job's."""
    weight: int
    """Its share of the provider's queue, see queue_limit."""
    trial: bool = False
    """It holds the one line that goes first, to see whether the provider takes its form."""
    file_id: str | None = None
    """Of the uploaded input file."""
    input_until: str | None = None
    """When the provider deletes the input file, ISO 8601."""
    doubted: str | None = None
    """When the reply to its creation was first lost, ISO 8601; a second batch of its tag may exist."""
    account: str | None = None
    """Under which it was created; None where an earlier version did not note it."""
    seen: BatchSnapshot | None = None
    """How its batch looked last."""
    stalled: str | None = None
    """The status that the observer was told it stays in."""

"""The time that lines carry."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> str:
    """The current time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")

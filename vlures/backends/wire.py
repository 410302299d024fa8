"""Values out of a provider's JSON, whatever stands there: one odd reply must never cost the others.

Each function returns a value of its type or an empty one, and never raises.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

LONGEST_NUMBER = 20
"""Digits of 64 bits. Python refuses to read a number of thousands."""


def decode_object(data: bytes | str) -> dict[str, Any] | None:
    """The JSON object in the data; None if there is none."""
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; what is no object is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """A text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def as_speech(text: str) -> str | None:
    """The text as it is, or None if there is nothing in it but blanks."""
    return text if text.strip() else None


def as_count(value: Any) -> int | None:
    """A whole number, also one that is written as a text."""
    if isinstance(value, str) and value.isdecimal() and len(value) <= LONGEST_NUMBER:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_seconds(value: str) -> float | None:
    """The seconds of `2`, `2.5s` or an HTTP date (from now); None for what is no finite time."""
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None

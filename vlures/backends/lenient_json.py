"""Values out of a provider's JSON, whatever their type: one odd reply must never cost the others.

Each function returns a value of its type or an empty one, and never raises.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from vlures.records import MOST_COUNTED

A_MONTH_S = 30 * 86_400.0
LONGEST_NUMBER = 20
"""Digits of 64 bits. Python refuses to read numbers of thousands of digits."""


def decode_object(data: bytes | str) -> dict[str, Any] | None:
    """The JSON object in the data; None if there is none."""
    try:
        content = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        content = _decode_leniently(data)
    return content if isinstance(content, dict) else None


def _decode_leniently(data: bytes | str) -> Any:
    """The JSON value by Python's own reader, which takes NaN and lone surrogates; an invalid byte becomes a replacement
    character. A byte order mark, which some servers and proxies put before a text, is dropped."""
    try:
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        return _replace_surrogates(json.loads(text.removeprefix("\ufeff")))
    except (ValueError, RecursionError):
        return None


def _replace_surrogates(value: Any) -> Any:
    """A lone surrogate cannot be stored; it becomes a replacement character."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_replace_surrogates(key): _replace_surrogates(inner) for key, inner in value.items()}
    return [_replace_surrogates(inner) for inner in value] if isinstance(value, list) else value


def as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def as_objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list, without its other items."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """A text that is not empty, or None."""
    return value if isinstance(value, str) and value else None


def as_speech(text: str) -> str | None:
    """The text as it is, or None if it is blank."""
    return text if text.strip() else None


def as_count(value: Any) -> int | None:
    """A whole number from 0 to 2^53, also one written as a text or as 5.0. None for anything else."""
    is_written = isinstance(value, str) and value.isdecimal() and len(value) <= LONGEST_NUMBER
    if is_written or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and 0 <= value <= MOST_COUNTED else None


def as_seconds(value: str) -> float | None:
    """The seconds of `2`, `2.5s` or an HTTP date (from now), at most a month; None for anything else."""
    try:
        seconds = float(value.removesuffix("s"))
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return min(max(0.0, seconds), A_MONTH_S) if math.isfinite(seconds) else None

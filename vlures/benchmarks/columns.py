"""Columns of the exported table: those that every run has, and those that a benchmark adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WHO: dict[str, type] = {
    "name": str,
    "provider": str,
    "mode": str,
    "model": str,
    "model_answered": str,
}
WHAT: dict[str, type] = {
    "key": str,
    "status": str,
    "answer": str,
    "reasoning": str,
    "finish_reason": str,
    "error_code": str,
    "error_message": str,
    "response_id": str,
    "input_tokens": int,
    "output_tokens": int,
    "cached_tokens": int,
    "thinking_tokens": int,
    "latency_s": float,
    "attempts": int,
    "job": str,
    "imported": str,
    "time": str,
    "digest": str,
    "image": str,
}
"""Columns of every table, in this order: who was asked (WHO), the benchmark's columns about the question, the response
(WHAT), the benchmark's columns about the subject. All columns exist, even where they are empty."""

TAKEN = frozenset({*WHO, *WHAT, "run", "cost_usd", "image_base64"})
"""Names that no column of a benchmark may have."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A benchmark's columns of the exported table, with their types."""

    question: Mapping[str, type]
    """Known from the key alone."""
    subject: Mapping[str, type]
    """Known only from the data."""
    local: Mapping[str, type]
    """Known only on this machine: not exported, but in the table that vlures.load returns."""


def merge(*several: Mapping[str, type]) -> dict[str, type]:
    """Columns of several tables as those of one: text where a name has several types."""
    merged: dict[str, type] = {}
    for columns in several:
        for name, kind in columns.items():
            merged[name] = kind if merged.get(name, kind) is kind else str
    return merged


def fit(value: Any, kind: type) -> Any:
    """A value as one of a merged column's type."""
    if kind is not str or value is None or isinstance(value, str | dict):
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)

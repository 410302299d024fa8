"""Columns of the exported table: those that every run has, and those that a benchmark adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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

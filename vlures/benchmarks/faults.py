"""Texts that a model gave and that are no answer to the benchmark, such as a judgement that is not the JSON that was
asked for: each is stored as it came, and counts as failed everywhere else."""

from __future__ import annotations

from dataclasses import replace

from vlures.benchmarks import FindFault
from vlures.records import Failure, Response

FAULTY = "invalid"
"""The code of the failure that such a text counts as."""


def count_as(response: Response, find_fault: FindFault | None) -> Response:
    """A stored response as it counts: failed, and without its text, where that is no answer."""
    if find_fault is None or response.status != "ok":
        return response
    fault = find_fault(response.text or "")
    if fault is None:
        return response
    error = Failure(FAULTY, f"The text is no answer ({fault}).", transient=True)
    return replace(response, status="failed", text=None, error=error)

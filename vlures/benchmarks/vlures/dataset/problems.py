"""What is wrong with a table, told for its first rows of each kind and counted for the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from vlures.benchmarks.vlures.samples import Problem

Thing = TypeVar("Thing")
Severity = Literal["error", "note"]

MOST_OF_A_KIND = 20
"""A table may be wrong a million times over; nobody reads that, and the rows are found with what stands here."""

KINDS = {
    "torn": "unreadable rows",
    "name": "rows without a usable file name or ID",
    "double": "files or IDs that are in several rows",
    "language": "other languages",
    "image": "images that are missing or cannot be used",
    "text": "rows whose text is none",
    "no text": "samples without a text, for tasks 1-5 only",
}


@dataclass(slots=True)
class Complaints:
    """Problems in the order they were found. False if there are none."""

    _told: list[Problem] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _severities: dict[str, Severity] = field(default_factory=dict)

    def add(self, kind: str, files: tuple[str, ...], reason: str, severity: Severity = "error") -> None:
        """kind: one of KINDS."""
        self._counts[kind] += 1
        self._severities[kind] = severity
        if self._counts[kind] <= MOST_OF_A_KIND:
            self._told.append(Problem(severity, files, reason))

    def count(self, kind: str, more: int) -> None:
        """So many more of a kind of which enough was told."""
        self._counts[kind] += more

    def first(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """Of the things to be told, as many as will be."""
        return things[:MOST_OF_A_KIND]

    def problems(self, table_name: str) -> tuple[Problem, ...]:
        rest = [
            Problem(self._severities[kind], (table_name,), f"and {more:,} more {KINDS[kind]}", times=more)
            for kind, number in self._counts.items()
            if (more := number - MOST_OF_A_KIND) > 0
        ]
        return (*self._told, *rest)

    def __bool__(self) -> bool:
        return bool(self._told)

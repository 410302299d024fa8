"""A table of numbers, before it is written in any format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["text", "count", "number", "share", "chance", "interval"]
"""number: in points of its scale. share: from 0 to 1, shown in per cent. chance: a p-value. interval: two bounds, or
None."""

NAMES = ("answers", "controls", "means", "macro", "gaps", "variants", "crossing", "agreement", "people", "exact")
"""Of the tables of `vlures tables`, for --table."""
COMPARISONS = ("overall", "tiers", "cells", "unmatched")
"""Of those of `vlures compare`."""

Interval = tuple[float, float]
Value = str | int | float | Interval | None


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    """Short, for --table and for programs."""
    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Value]]
    notes: Sequence[str] = field(default_factory=tuple)
    """Sentences about what the figures mean and what they do not."""
    rater: str | None = None
    """Whose scores alone it is made of."""


def interval(low: float | None, high: float | None) -> Interval | None:
    return None if low is None or high is None else (low, high)


def texts(*names: str) -> list[Column]:
    return [Column(name) for name in names]


def without_empty_columns(table: Table) -> Table:
    """The table without columns that have nothing in any row."""
    kept = [
        place
        for place, column in enumerate(table.columns)
        if column.kind == "text" or any(row[place] is not None for row in table.rows)
    ]
    return Table(
        table.name,
        table.title,
        [table.columns[place] for place in kept],
        [[row[place] for place in kept] for row in table.rows],
        table.notes,
        table.rater,
    )

"""What comes back from a rater, before it is compared with the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError


class UnusableSheet(VluresError):
    """A file is not a sheet that came back. The text continues its name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a returned sheet."""

    place: int
    """Row of the workbook, or number of the answer on the page."""
    id: str | None
    """None where the row has none."""
    digest: str | None
    """Of the texts beside the score; None where the file does not hold them."""
    score: int | None
    """None where there is none, and where what is there is not one."""
    problem: str | None
    """Why what is there is not a score."""
    comment: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A returned file."""

    path: Path
    set: str
    rater: str
    rows: Sequence[Entry]
    unit: str
    """What a place is: `row` or `answer`."""
    is_page: bool
    """It comes from the page, not the workbook."""
    texts_digest: str | None
    """Of the workbook's sheet of long texts; None where there is none."""

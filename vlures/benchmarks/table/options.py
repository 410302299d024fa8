"""The options of a table of the user's own questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vlures.config.options import option, read_columns, read_folder, read_ids, read_texts
from vlures.config.sections import PositiveInt
from vlures.errors import UsageError
from vlures.records import Cell

ROLES = ("image", "question", "id", "system", "answer", "group")
"""Roles of the table's columns. The first two are required; additional columns are exported unchanged."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which table to read, and how."""

    questions: str | None = option("A table of questions: .jsonl, .csv or .parquet.", metavar="FILE", beside=True)
    dataset: str | None = option(
        "The folder of the images; by default the table's own.",
        metavar="FOLDER",
        read=read_folder,
        suggest="folder",
        beside=True,
    )
    columns: dict[str, str] = option(
        f"Which column is which, where the names differ: {', '.join(f'{role}=NAME' for role in ROLES)}.",
        {},
        metavar="ROLE=COLUMN",
        read=read_columns(ROLES),
    )
    limit: PositiveInt | None = option("Take only the first N rows.")
    samples: tuple[str, ...] = option("Take only the rows with these IDs.", (), metavar="IDS", read=read_ids)
    text_encoding: Literal["utf-8", "latin-1"] = option("How the table is encoded.", "utf-8")
    follow_links: bool = option("Follow links to images that lead out of their folder.", False)

    def check(self, place: Callable[[str], str]) -> None:
        """Raises UsageError if no table is named. place: where an option was given."""
        if self.questions is None:
            raise UsageError("--benchmark table needs a table: add --questions FILE (.jsonl, .csv or .parquet).")
        if not self.questions.strip():
            raise UsageError(f"{place('questions')} is empty; name a table (.jsonl, .csv or .parquet).")


SELECTS = ("groups",)
"""The options that read_selection takes."""


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    """A test of whether a cell is one of the selected groups. Raises UsageError."""
    if unknown := selection.keys() - set(SELECTS):
        raise UsageError(f"`{min(unknown)}` selects nothing; name groups.")
    groups = read_texts(selection["groups"], "`groups`")
    return lambda cell: cell in groups

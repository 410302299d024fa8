"""What the lines of a cell's checkpoint add up to: the standing answer of every sample, tokens and money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from vlures.records import FINAL_STATUSES, Response, Usage
from vlures.store.lines import StoredLine, StoredUsage

MOST_COUNTED = 10_000_000
"""Tokens of one answer; older versions stored any number that a server reported."""

# A store holds a million of these: a Struct without garbage collection is made in a fraction of a dataclass's time.


class Entry(msgspec.Struct, frozen=True, gc=False):
    """The standing response of a sample."""

    status: str
    digest: str
    offset: int
    """Of its line in the cell's file, in bytes."""
    due: bool = False
    """The sample was marked to be asked again since."""
    imported: bool = False
    """Taken over from the original scripts, so the digest of its question is unknown."""

    @property
    def is_own_answer(self) -> bool:
        """Whether a provider has answered it through vlures."""
        return self.status in FINAL_STATUSES and not self.imported


@dataclass(slots=True)
class CellTotals:
    """Tokens that were paid for in a cell, redone answers included."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    cache_write_tokens: int = 0

    def add(self, usage: Usage | StoredUsage | CellTotals) -> None:
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        # Most answers have none of the following, and a million are added up at every start.
        if usage.cached_tokens:
            self.cached_tokens += usage.cached_tokens
        if usage.thinking_tokens:
            self.thinking_tokens += usage.thinking_tokens
        if usage.cache_write_tokens:
            self.cache_write_tokens += usage.cache_write_tokens


@dataclass(slots=True)
class CellMoney:
    """What a cell's lines say about their cost."""

    nano_usd: int = 0
    """Sum over the lines that state it."""
    unpriced: dict[tuple[Literal["batch", "live"], str | None], CellTotals] = field(default_factory=dict)
    """Tokens of the other lines, by mode and by the model that answered."""
    untold: int = 0
    """How many answers state neither cost nor usage."""

    def add(self, line: Response | StoredLine) -> None:
        """Count a line of an answer that was not imported."""
        if line.nano_usd is not None:
            self.nano_usd += max(0, line.nano_usd)
        elif line.usage is not None and _is_sound(line.usage):
            answered: tuple[Literal["batch", "live"], str | None] = ("batch" if line.job else "live", line.model)
            totals = self.unpriced.get(answered)
            if totals is None:
                totals = self.unpriced[answered] = CellTotals()
            totals.add(line.usage)
        elif line.status in FINAL_STATUSES and line.error is None:
            self.untold += 1


def _is_sound(usage: Usage | StoredUsage) -> bool:
    asked, answered = usage.input_tokens, usage.output_tokens
    if asked is None or answered is None:
        return False
    return 0 <= asked <= MOST_COUNTED and 0 <= answered <= MOST_COUNTED


@dataclass(slots=True)
class CellState:
    """One cell, as its lines leave it."""

    entries: dict[str, Entry] = field(default_factory=dict)
    """Sample's ID → its standing response."""
    batch: CellTotals = field(default_factory=CellTotals)
    live: CellTotals = field(default_factory=CellTotals)
    money: CellMoney = field(default_factory=CellMoney)

    def add(self, sample_id: str, response: Response, offset: int) -> None:
        """Count a response that was written at the offset."""
        imported = response.imported is not None
        fold_entry(self.entries, sample_id, Entry(response.status, response.digest, offset, imported=imported))
        if response.usage:
            (self.batch if response.job else self.live).add(response.usage)
        if not imported:
            self.money.add(response)


def fold_entry(entries: dict[str, Entry], sample_id: str, entry: Entry) -> None:
    """The last answer stands; a failure does not displace an answer, and a `due` line marks it to be asked again."""
    standing = entries.get(sample_id)
    if entry.status == "due":
        if standing:
            entries[sample_id] = msgspec.structs.replace(standing, due=True)
    elif standing is None or entry.status in FINAL_STATUSES or standing.status not in FINAL_STATUSES:
        entries[sample_id] = entry


def sort_ids(sample_ids: Iterable[str]) -> list[str]:
    """Shorter IDs first, those of equal length by their characters: whole numbers ascend."""
    return sorted(sorted(sample_ids), key=len)

"""Which samples of a table are read."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of a table's samples."""

    ids: frozenset[int] = frozenset()
    """Only the samples with these IDs; empty for all."""
    limit: int | None = None
    """Of these, only the first ones."""

    def __str__(self) -> str:
        """In words; empty for the whole table."""
        words = []
        if self.ids:
            listed = ",".join(map(str, sorted(self.ids)))
            words.append(
                f"samples {listed}" if len(listed) <= 20 else f"{len(self.ids)} samples, {crc32(listed.encode()):08x}"
            )
        if self.limit is not None:
            words.append(f"first {self.limit}")
        return ", ".join(words)


EVERYTHING = Selection()

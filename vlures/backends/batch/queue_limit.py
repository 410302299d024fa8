"""How much a provider's queue of batches holds: nobody can ask for it, so it is learned from what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from vlures.backends.batch.shards import Shard

PICTURE_WEIGHT = 4_000
"""A picture is about 1,000 tokens, and a token of text about four bytes."""
GROWTH = 1.25
"""The room is taken for so many times larger after as much as fits it has been answered without a refusal."""


def weigh(shard: Shard) -> int:
    """What a shard takes of a queue that is counted in tokens: the bytes of its lines without the pictures, and as much for
    each picture. Only the proportion between shards matters."""
    return sum(len(line.head) + len(line.tail or b"") + PICTURE_WEIGHT for line in shard.lines)


@dataclass(frozen=True, slots=True)
class _Held:
    weight: int
    most: int | None


class Room:
    """The weights of the batches under way, and how much may be under way at once.

    most: what was learned earlier, or None. learned: told whenever that changes.
    """

    def __init__(self, most: int | None, learned: Callable[[int], None]) -> None:
        self.most = most
        self.parked = 0
        """How many shards were refused and wait to go again. They go before any other."""
        self._learned = learned
        self._held: dict[str, _Held] = {}
        self._answered = 0
        self._changed = asyncio.Event()

    @property
    def under_way(self) -> int:
        return sum(held.weight for held in self._held.values())

    @property
    def is_empty(self) -> bool:
        """Whether no batch of ours is under way."""
        return not self._held

    def fits(self, weight: int) -> bool:
        """A single batch always does: whether it is too large only the provider knows."""
        return self.most is None or self.is_empty or self.under_way + weight <= self.most

    def take(self, tag: str, weight: int) -> None:
        self._held[tag] = _Held(weight, self.most)

    def leave(self, tag: str, *, answered: bool = False) -> None:
        """A batch is under way no more."""
        held = self._held.pop(tag, None)
        if held is not None and answered and self.most is not None:
            self._answered += held.weight
            if self._answered >= self.most:
                self._learn(int(self.most * GROWTH))
        self._ring()

    def refuse(self, tag: str) -> None:
        """The provider had no room for a batch beside the others. One that was sent because it fits what was learned shows
        that as wrong: half of it is left."""
        held = self._held.pop(tag, None)
        if held is None:
            return
        others = self.under_way
        if held.most is not None and held.most == self.most:
            self._learn(self.most // 2)
        elif self.most is None:
            self._learn(others or held.weight)
        elif 0 < others < self.most:
            self._learn(others)
        self._ring()

    def park(self) -> None:
        self.parked += 1

    def unpark(self) -> None:
        self.parked -= 1
        self._ring()

    async def wait_parked(self, weight: int) -> None:
        """Until a refused shard fits."""
        while not self.fits(weight):
            await self._changed.wait()

    async def wait(self, weight: int) -> None:
        """Until a shard fits, and none that was refused waits."""
        while self.parked or not self.fits(weight):
            await self._changed.wait()

    def _learn(self, most: int) -> None:
        self.most = max(1, most)
        self._answered = 0
        self._learned(self.most)

    def _ring(self) -> None:
        """Wake all who wait; each looks for itself."""
        self._changed.set()
        self._changed = asyncio.Event()

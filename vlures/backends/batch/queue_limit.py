"""How much a provider's queue of batches holds. No call tells it, so it is learned from what the queue refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from vlures.backends import Journal
from vlures.backends.batch.shards import Shard
from vlures.store.clock import now

IMAGE_WEIGHT = 4_000
"""An image is about 1,000 tokens, and a token of text about four bytes."""
GROWTH = 1.25
"""The limit grows by this factor after as much as it allows was answered without a refusal."""
LIMIT_KNOWN_FOR = timedelta(days=1)
"""Providers raise the limits of queues, and other runs share them: what was learned is forgotten after this time."""


def weigh(shard: Shard) -> int:
    """What a shard takes of a queue that is counted in tokens: the bytes of its lines without the images, and
    IMAGE_WEIGHT for each image. Only the proportion between shards matters."""
    return sum(len(line.head) + len(line.tail or b"") + IMAGE_WEIGHT for line in shard.lines)


def recall_limit(journal: Journal, provider: str) -> int | None:
    """The limit that was learned within LIMIT_KNOWN_FOR."""
    known = journal.recall(f"room at {provider}")
    if not known or datetime.fromisoformat(known["time"]) + LIMIT_KNOWN_FOR < datetime.now(UTC):
        return None
    return int(known["most"])


def remember_limit(journal: Journal, provider: str, most: int) -> None:
    journal.remember(f"room at {provider}", {"most": most, "time": now()})


@dataclass(frozen=True, slots=True)
class _Held:
    """A batch under way."""

    weight: int
    most: int | None
    """The limit when it was sent."""


class QueueLimit:
    """The weights of the batches under way, and how much may be under way at once.

    most: the limit learned earlier, or None. learned: called with every new limit.
    """

    def __init__(self, most: int | None, learned: Callable[[int], None]) -> None:
        self.most = most
        self.parked = 0
        """How many refused shards wait to be sent again. They go before any other."""
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
        """A single batch always does: only the provider knows whether it is too large."""
        return self.most is None or self.is_empty or self.under_way + weight <= self.most

    def take(self, tag: str, weight: int) -> None:
        self._held[tag] = _Held(weight, self.most)

    def release(self, tag: str, *, answered: bool = False) -> None:
        """A batch is no longer under way."""
        held = self._held.pop(tag, None)
        if held is not None and answered and self.most is not None:
            self._answered += held.weight
            if self._answered >= self.most:
                self._learn(int(self.most * GROWTH))
        self._ring()

    def refuse(self, tag: str) -> None:
        """The provider had no room for a batch beside the others. If the batch was within the learned limit, that limit
        was wrong and is halved."""
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
        """Wait until a refused shard fits."""
        while not self.fits(weight):
            await self._changed.wait()

    async def wait(self, weight: int) -> None:
        """Wait until a shard fits and no refused one waits."""
        while self.parked or not self.fits(weight):
            await self._changed.wait()

    def _learn(self, most: int) -> None:
        self.most = max(1, most)
        self._answered = 0
        self._learned(self.most)

    def _ring(self) -> None:
        """Wake all waiters; each checks for itself."""
        self._changed.set()
        self._changed = asyncio.Event()

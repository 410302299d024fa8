"""Which images train, validate and test."""

from __future__ import annotations

import random
from collections.abc import Sequence

Shares = Sequence[tuple[str, float]]
"""Split → its share of the images, from 0 to 1."""


def choose_splits(count: int, chance: random.Random, shares: Shares) -> list[str]:
    """The split of each of so many images. Of three images or more, every split with a share has one."""
    names: list[str] = []
    for name, share in shares[1:]:
        fewest = min(1, count // 3) if share else 0
        names += [name] * min(count - len(names), max(fewest, round(count * share)))
    rest = next(name for name, share in shares if share)
    names = [rest] * (count - len(names)) + names
    order = sorted(range(count), key=_keys(count, chance).__getitem__)
    return [names[place] for place in order]


def _keys(count: int, chance: random.Random) -> Sequence[float]:
    return [chance.random() for _ in range(count)]

"""What one rater gets, and in which order: the drawn answers, some of them twice, and some that are wrong for sure."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from vlures.judge.sheets.candidates import Candidate
from vlures.judge.sheets.drawing import Drawn
from vlures.records import Cell

Control = Literal["repeat", "other answer"]
"""repeat: an answer once more. other answer: another image's, in the same language and task: a bad item."""
CONTROL_SHARE = 0.1
"""Of the drawn answers: as many repeats, and as many bad items."""


@dataclass(frozen=True, slots=True)
class Item:
    """A row of a rater's sheet."""

    id: str
    """Says nothing about the answer; unique among all sheets of a set."""
    about: Candidate
    """Whose image, task and article are shown."""
    answer: str
    """The text that is rated: another candidate's in a bad item."""
    control: Control | None
    third: str
    probability: float | None
    """None for a bad item, which was not drawn for what it says."""


def arrange(drawn: Sequence[Drawn], pool: Iterable[Candidate], seed: int, rater: str) -> list[Item]:
    """A rater's rows in order. The same seed and rater give the same rows.

    pool: where answers of other images come from. Rows about the same image, and rows with the same answer, are not
    adjacent where that can be avoided; of two equal rows, the later one is the repeat.
    """
    chance = random.Random(f"{seed} {rater}")  # noqa: S311 (an order, not a secret)
    items = [Item("", one.candidate, one.candidate.answer, None, one.third, one.probability) for one in drawn]
    count = max(1, round(CONTROL_SHARE * len(items)))
    repeats = [replace(item, control="repeat") for item in chance.sample(items, min(count, len(items)))]
    by_cell: dict[Cell, list[Candidate]] = {}
    for candidate in pool:
        by_cell.setdefault(candidate.cell, []).append(candidate)
    order = _spread(items + repeats + _bad_items(items, by_cell, count, chance), chance)
    seen: set[tuple[object, ...]] = set()
    arranged = []
    for place, item in enumerate(order):
        what = (item.about.run, item.about.variant, item.about.cell, item.about.sample_id)
        control = item.control
        if control != "other answer":
            control = "repeat" if what in seen else None
            seen.add(what)
        digest = hashlib.sha256(f"{seed} {rater} {place} {item.control}".encode()).hexdigest()
        arranged.append(replace(item, id=digest[:10], control=control))
    return arranged


def _bad_items(
    items: Sequence[Item], by_cell: Mapping[Cell, Sequence[Candidate]], count: int, chance: random.Random
) -> list[Item]:
    """Drawn rows with the answer that another image got in the same cell; fewer where no other image is there."""
    bad: list[Item] = []
    for item in chance.sample(items, len(items)):
        if len(bad) == count:
            break
        others = [
            other
            for other in by_cell[item.about.cell]
            if other.image.digest != item.about.image.digest and other.answer != item.about.answer
        ]
        if others:
            answer = chance.choice(others).answer
            bad.append(replace(item, answer=answer, control="other answer", probability=None))
    return bad


def _spread(items: Sequence[Item], chance: random.Random) -> list[Item]:
    """A random order in which neighbours have different images and answers, as far as there is one.

    At each step the next row is a random one that differs from the last; an image that has half of the rows that are
    left goes first, or else its rows would remain together at the end.
    """
    left = chance.sample(items, len(items))
    images = Counter(item.about.image.digest for item in left)
    order: list[Item] = []
    while left:
        commonest, most = images.most_common(1)[0]
        crowded = 2 * most > len(left)
        place = next(
            (place for place, item in enumerate(left) if _may_follow(item, order, commonest if crowded else None)),
            next((place for place, item in enumerate(left) if _may_follow(item, order, None)), 0),
        )
        item = left.pop(place)
        images[item.about.image.digest] -= 1
        order.append(item)
    return order


def _may_follow(item: Item, order: Sequence[Item], image: str | None) -> bool:
    """image: the only one that may come now; None: any."""
    if image is not None and item.about.image.digest != image:
        return False
    if not order:
        return True
    last = order[-1]
    return item.about.image.digest != last.about.image.digest and item.answer != last.answer


def count_neighbours(items: Sequence[Item]) -> int:
    """Rows about the same image as the row before."""
    return sum(one.about.image.digest == other.about.image.digest for one, other in pairwise(items))

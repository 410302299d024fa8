"""Controls: judgements that test the judge. They are in no mean; the result says what the judge made of them.

Which answers have controls depends on a seed and on the answers themselves, and every control names what it shows in
its ID: answers that come later change no control that was paid for into another one.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

from vlures.benchmarks import Assignment
from vlures.judge.answers import Answer, AnswerId
from vlures.judge.verdicts import Control
from vlures.records import Image

SHARES: dict[Control, float] = {
    "wrong image": 0.3,
    "no image": 0.2,
    "other answer": 0.15,
    "wrong language": 0.1,
    "padded": 0.1,
    "repeat": 0.15,
}
"""Of all controls."""
FEWEST: dict[Control, int] = {
    "wrong image": 4,
    "no image": 4,
    "other answer": 1,
    "wrong language": 1,
    "padded": 1,
    "repeat": 1,
}
"""In a small run, as far as it has answers: with fewer of the first two, nothing can be said about the judge."""

WRITTEN: dict[Control, str] = {
    "wrong image": "wrongimage",
    "no image": "noimage",
    "other answer": "other",
    "wrong language": "wronglanguage",
    "padded": "padded",
    "repeat": "repeat",
}
"""As a control is named in an ID."""
PARTNER_DIGITS = 8
PARTNER = "partner"
"""For a lot of its own: the answers that are drawn have the lowest lots, and would all find the same partner."""


@dataclass(frozen=True, slots=True)
class Item:
    """One judgement: an answer, and what the judge is shown of it and around it."""

    name: str
    """What it is, as its ID says: `answer`, `padded`, `wrongimage.3f9a10c2`, `repeat2`."""
    answer: Answer
    control: Control | None
    image: Image | None
    """None: the judge is shown none."""
    assignment: Assignment
    text: str


Pad = Callable[[str | None], tuple[str, str]]
"""(an answer's language) → sentences without content, to stand before and after it."""


def list_items(answers: Sequence[Answer], share: float, repeats: int, seed: int, pad: Pad) -> list[Item]:
    """All judgements of a run: every answer, its repeats, and the controls. share: of controls, from 0 to 1."""
    items = [_item("answer", answer) for answer in answers]
    for number in range(2, repeats + 1):
        items += [_item(f"repeat{number}", answer, "repeat") for answer in answers]
    if share > 0 and answers:
        items += _draw(answers, share, repeats, seed, pad)
    return items


def read_control(name: str) -> Control | None:
    """What an item's name says. None: the answer itself. Raises ValueError for a name that no item has."""
    kind = name.partition(".")[0].rstrip("0123456789")
    if kind == "answer":
        return None
    for control, written in WRITTEN.items():
        if written == kind:
            return control
    raise ValueError(f"{name!r} names no judgement")


def _draw(answers: Sequence[Answer], share: float, repeats: int, seed: int, pad: Pad) -> Iterator[Item]:
    partners = _Partners(answers, seed)
    makers: dict[Control, Callable[[Answer], Item | None]] = {
        "wrong image": partners.show_wrong_image,
        "no image": lambda answer: replace(_item("noimage", answer, "no image"), image=None),
        "other answer": partners.show_other_answer,
        "wrong language": partners.ask_in_wrong_language,
        "padded": lambda answer: _pad(answer, pad),
        "repeat": lambda answer: _item("repeat2", answer, "repeat"),
    }
    for control, make in makers.items():
        if control == "repeat" and repeats > 1:
            continue
        wanted = max(FEWEST[control], math.ceil(share * SHARES[control] * len(answers)))
        yield from _first(map(make, sorted(answers, key=partial(partners.draw_lot, control))), wanted)


def _first(items: Iterable[Item | None], wanted: int) -> Iterator[Item]:
    """The first ones that can be made."""
    for item in items:
        if wanted <= 0:
            return
        if item is not None:
            wanted -= 1
            yield item


def _item(name: str, answer: Answer, control: Control | None = None) -> Item:
    return Item(name, answer, control, answer.image, answer.assignment, answer.text)


def _pad(answer: Answer, pad: Pad) -> Item:
    before, after = pad(answer.assignment.language)
    return replace(_item("padded", answer, "padded"), text=f"{before}\n\n{answer.text}\n\n{after}")


class _Partners:
    """What takes the place of an answer's image, text or task.

    The choice is by lot, and the same every time: possible partners stand on a ring, in the order of their digests, and
    an answer's lot says where to begin to look. A new image or answer takes the place of few others (consistent
    hashing: Karger and others, 1997, https://doi.org/10.1145/258533.258660).
    """

    def __init__(self, answers: Sequence[Answer], seed: int) -> None:
        self._names = {answer.id: _name(seed, answer.id) for answer in answers}
        images = {answer.image.digest: answer.image for answer in answers}
        self._images = _Ring((_digest(digest), image) for digest, image in images.items())
        by_cell: dict[tuple[str, str], list[Answer]] = {}
        self._tasks: dict[tuple[str, str], dict[str, Assignment]] = {}
        """By variant and rubric, of each language: one assignment."""
        for answer in answers:
            by_cell.setdefault((answer.id.variant, answer.id.cell), []).append(answer)
            asked = answer.assignment
            if asked.language is not None:
                self._tasks.setdefault((answer.id.variant, asked.rubric), {}).setdefault(asked.language, asked)
        self._answers = {
            where: _Ring((_digest(answer.id.sample_id), answer) for answer in found) for where, found in by_cell.items()
        }

    def show_wrong_image(self, answer: Answer) -> Item | None:
        """Another image of the run."""
        lot = self.draw_lot("wrong image", answer, PARTNER)
        other = self._images.find(lot, lambda image: image.digest != answer.image.digest)
        if other is None:
            return None
        name = f"wrongimage.{other.digest[:PARTNER_DIGITS]}"
        return replace(_item(name, answer, "wrong image"), image=other)

    def show_other_answer(self, answer: Answer) -> Item | None:
        """An answer to the same task about another image, with another text."""

        def is_other(other: Answer) -> bool:
            return other.image.digest != answer.image.digest and other.text != answer.text

        lot = self.draw_lot("other answer", answer, PARTNER)
        other = self._answers[answer.id.variant, answer.id.cell].find(lot, is_other)
        if other is None:
            return None
        partner = _digest(other.id.sample_id).hex()[:PARTNER_DIGITS]
        return replace(_item(f"other.{partner}", answer, "other answer"), text=other.text)

    def ask_in_wrong_language(self, answer: Answer) -> Item | None:
        """The same task, as it is asked in another language of the run."""
        asked = answer.assignment
        wordings = self._tasks.get((answer.id.variant, asked.rubric), {})
        others = sorted(tag for tag in wordings if tag != asked.language)
        if not others:
            return None
        tag = min(others, key=lambda tag: self.draw_lot("wrong language", answer, tag))
        shown = replace(asked, wording=wordings[tag].wording, language=tag)
        return replace(_item(f"wronglanguage.{tag}", answer, "wrong language"), assignment=shown)

    def draw_lot(self, control: Control, answer: Answer, partner: str = "") -> bytes:
        """The lowest lot is drawn first."""
        return hashlib.sha256(self._names[answer.id] + f"{control} {partner}".encode("utf-8", "surrogatepass")).digest()


Member = TypeVar("Member")


class _Ring(Generic[Member]):
    """Members in the order of their digests."""

    def __init__(self, members: Iterable[tuple[bytes, Member]]) -> None:
        found = sorted(members, key=lambda member: member[0])
        self._digests = [digest for digest, _ in found]
        self._members = [member for _, member in found]

    def find(self, lot: bytes, fits: Callable[[Member], bool]) -> Member | None:
        """The first member from there on that fits; None if none does."""
        begin = bisect_left(self._digests, lot)
        return next(filter(fits, (*self._members[begin:], *self._members[:begin])), None)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _name(seed: int, answer: AnswerId) -> bytes:
    return repr((seed, *answer)).encode("utf-8", "surrogatepass")

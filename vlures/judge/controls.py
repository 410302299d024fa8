"""Controls: judgements that test the judge. They are in no mean; the result says what the judge made of them.

Which answers have controls depends on a seed and on the answers themselves, and every control names what it shows in
its ID: answers that come later change no control that was paid for into another one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

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
        yield from _first(map(make, sorted(answers, key=lambda answer: _rank(seed, control, answer.id))), wanted)


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
    """What takes the place of an answer's image, text or task. The choice is by lot, and the same every time."""

    def __init__(self, answers: Sequence[Answer], seed: int) -> None:
        self._seed = seed
        self._images = list({answer.image.digest: answer.image for answer in answers}.values())
        self._by_cell: dict[tuple[str, str], list[Answer]] = {}
        self._tasks: dict[tuple[str, str], dict[str, Assignment]] = {}
        """By variant and rubric, of each language: one assignment."""
        for answer in answers:
            self._by_cell.setdefault((answer.id.variant, answer.id.cell), []).append(answer)
            asked = answer.assignment
            if asked.language is not None:
                self._tasks.setdefault((answer.id.variant, asked.rubric), {}).setdefault(asked.language, asked)

    def show_wrong_image(self, answer: Answer) -> Item | None:
        """Another image of the run."""
        others = [image for image in self._images if image.digest != answer.image.digest]
        if not others:
            return None
        other = min(others, key=lambda image: self._lot("wrong image", answer, image.digest))
        name = f"wrongimage.{other.digest[:PARTNER_DIGITS]}"
        return replace(_item(name, answer, "wrong image"), image=other)

    def show_other_answer(self, answer: Answer) -> Item | None:
        """An answer to the same task about another image, with another text."""
        cell = self._by_cell[answer.id.variant, answer.id.cell]
        others = [other for other in cell if other.image.digest != answer.image.digest and other.text != answer.text]
        if not others:
            return None
        other = min(others, key=lambda other: self._lot("other answer", answer, other.id.sample_id))
        partner = hashlib.sha256(other.id.sample_id.encode()).hexdigest()[:PARTNER_DIGITS]
        return replace(_item(f"other.{partner}", answer, "other answer"), text=other.text)

    def ask_in_wrong_language(self, answer: Answer) -> Item | None:
        """The same task, as it is asked in another language of the run."""
        asked = answer.assignment
        wordings = self._tasks.get((answer.id.variant, asked.rubric), {})
        others = sorted(tag for tag in wordings if tag != asked.language)
        if not others:
            return None
        tag = min(others, key=lambda tag: self._lot("wrong language", answer, tag))
        shown = replace(asked, wording=wordings[tag].wording, language=tag)
        return replace(_item(f"wronglanguage.{tag}", answer, "wrong language"), assignment=shown)

    def _lot(self, control: Control, answer: Answer, partner: str) -> bytes:
        return _rank(self._seed, control, answer.id, partner)


def _rank(seed: int, control: Control, answer: AnswerId, partner: str = "") -> bytes:
    drawn = repr((seed, control, answer.variant, answer.cell, answer.sample_id, partner))
    return hashlib.sha256(drawn.encode("utf-8", "surrogatepass")).digest()

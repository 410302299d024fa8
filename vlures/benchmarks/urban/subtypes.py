"""The subtypes of the street-view questions: their evaluation group, kind of answer and fixed wording, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

import msgspec

from vlures.files.reading import parse_toml

AnswerKind = Literal[
    "yes_no",
    "complex_simple",
    "level",
    "side",
    "people_or_cars",
    "absent_thing",
    "thing",
    "count",
    "proportion",
    "number",
]
"""How an answer is read. thing: the name of an object. proportion: from 0 to 1."""
Place = Literal["image", "foreground", "background"]
ANSWER_KINDS: tuple[AnswerKind, ...] = get_args(AnswerKind)
NUMERIC: frozenset[AnswerKind] = frozenset({"count", "proportion", "number"})
BINARY: frozenset[AnswerKind] = frozenset({"yes_no", "complex_simple"})

SLOTS = ("object", "factor", "object1", "object2")
"""Fields of a QA file that a wording may need."""
PARAPHRASE = "paraphrase.from_"
"""Begins the subtype of a question that says another one in other words."""

_SLOT = re.compile(r"\{(\w+)\}")


class Subtype(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kind of question."""

    name: str = ""
    group: str
    """The evaluation group: the cell."""
    answer: AnswerKind
    rule: str
    """How its label follows from the metadata."""
    constant: str = ""
    """The answer that every question of it has, where the rule leaves no other."""
    wording: str
    """Its fixed wording, with slots in braces."""
    presence: Place | None = None
    """Where it asks whether something is there, if it asks that: a statement answers it, too."""

    @property
    def slots(self) -> tuple[str, ...]:
        """The fields that its wording needs."""
        return tuple(_SLOT.findall(self.wording))


@dataclass(frozen=True, slots=True)
class Wordings:
    """All of subtypes.toml."""

    subtypes: dict[str, Subtype]
    answers: dict[AnswerKind, str]
    """Kind → what an answer of it is, for the instruction."""
    instructions: dict[str, str]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    answers: dict[AnswerKind, str]
    instructions: dict[str, str]
    subtypes: dict[str, Subtype]


@cache
def read_wordings() -> Wordings:
    """The wordings that come with the package."""
    data = files("vlures.benchmarks.urban").joinpath("subtypes.toml").read_bytes()
    file = msgspec.convert(parse_toml(data), _File)
    subtypes = {name: msgspec.structs.replace(subtype, name=name) for name, subtype in file.subtypes.items()}
    return Wordings(subtypes, file.answers, file.instructions)


def find_subtype(name: str, origin: str | None = None) -> Subtype | None:
    """The subtype that a row of a QA file names, or whose paraphrase it is. None for one that is unknown.

    origin: the row's `origin_subtype`, which decides for a paraphrase whose own name does not say.
    """
    known = read_wordings().subtypes
    for written in (name, name.removeprefix(PARAPHRASE), origin or ""):
        if written in known:
            return known[written]
    return None


def all_groups() -> tuple[str, ...]:
    """The evaluation groups, in the order of the file."""
    return tuple(dict.fromkeys(subtype.group for subtype in read_wordings().subtypes.values()))

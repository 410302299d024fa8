"""What the questions and the reasons for their answers say, as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar

import msgspec

from vlures.benchmarks.urban.prompts import fill
from vlures.benchmarks.urban.subtypes import read_wordings
from vlures.benchmarks.urban.synthesis.rules import Made
from vlures.files.reading import parse_toml

ANY_ANSWER = "*"
"""In texts.toml the reasons for every answer that has none of its own."""

Item = TypeVar("Item")


class SubtypeTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The texts of a subtype."""

    questions: list[str]
    """Wordings besides the fixed one."""
    reasons: dict[str, list[str]]
    """Answer → ways to reason towards it."""


class ParaphraseTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model is asked for a paraphrase."""

    request: str
    keep: str
    """The part of the request that names the words which must stay."""


class Texts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of texts.toml."""

    paraphrase: ParaphraseTexts
    subtypes: dict[str, SubtypeTexts]


@cache
def read_texts() -> Texts:
    """The texts that come with the package."""
    data = files("vlures.benchmarks.urban.synthesis").joinpath("texts.toml").read_bytes()
    return msgspec.convert(parse_toml(data), Texts)


def draw(seed: int, *about: str) -> int:
    """A number that hangs on the seed and on what it is drawn for, and on nothing else: neither order nor number of
    the images change it."""
    drawn = hashlib.sha256(json.dumps([seed, *about]).encode()).digest()
    return int.from_bytes(drawn[:8], "big")


def pick(items: Sequence[Item], seed: int, *about: str) -> Item:
    return items[draw(seed, *about) % len(items)]


def word_question(made: Made, image_id: str, seed: int) -> str:
    """The question, in one of the wordings of its subtype."""
    own = read_texts().subtypes[made.subtype].questions
    wordings = [read_wordings().subtypes[made.subtype].wording, *own]
    return fill(pick(wordings, seed, "wording", image_id, made.subtype, *made.slots.values()), made.slots)


def word_reasons(made: Made, image_id: str, seed: int) -> str:
    """The target of a model that reasons: it ends with a line `Answer:`."""
    reasons = read_texts().subtypes[made.subtype].reasons
    ways = reasons.get(made.answer) or reasons[ANY_ANSWER]
    told: Mapping[str, str] = {**made.slots, **made.told, "answer": made.answer}
    text = fill(pick(ways, seed, "reasons", image_id, made.subtype, *made.slots.values()), told)
    return f"{text}\nAnswer: {made.answer}"

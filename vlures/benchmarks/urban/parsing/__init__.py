"""A model's text → a typed value, or the reason why it has none. Pure functions: nothing is guessed, and an answer that
cannot be read is never a "no" or a 0."""

from __future__ import annotations

from collections.abc import Collection

from vlures.benchmarks.urban.parsing.choices import read_choice, read_side
from vlures.benchmarks.urban.parsing.numbers import read_count, read_number, read_proportion
from vlures.benchmarks.urban.parsing.prose import declines
from vlures.benchmarks.urban.parsing.text import Invalid, find_final, normalise
from vlures.benchmarks.urban.parsing.things import read_thing
from vlures.benchmarks.urban.parsing.yes_no import read_yes_no
from vlures.benchmarks.urban.subtypes import AnswerKind, Place, Subtype

__all__ = ["Invalid", "Value", "parse_answer", "parse_label"]

Value = str | int | float
"""yes_no: "yes" or "no". complex_simple, level, side, people_or_cars, absent_thing: one of the kind's words. thing: a
name. count: a whole number. proportion: from 0 to 1. number: any."""


def parse_answer(
    text: str,
    subtype: Subtype,
    *,
    cot: bool,
    about: str = "",
    known: Collection[str] = (),
    asked: Collection[str] = (),
) -> Value | Invalid:
    """What a model answered.

    cot: it was asked for its reasoning, so only what follows the last `Answer:` counts. about: the object that the
    question is about. known: names of objects that an answer may give, besides those of COCO and Cityscapes. asked: the
    question's words, which a model may repeat before its answer.
    """
    final = find_final(normalise(text), required=cot, asked=[normalise(words).strip() for words in asked])
    if isinstance(final, Invalid):
        return final
    said, is_marked = final
    if declines(said):
        return Invalid("declines to answer")
    first, _, rest = said.partition("\n")
    if is_marked and rest:  # the answer is what stands beside the mark; the lines below it may explain it
        value = _read(first, subtype.answer, subtype.presence, about, known)
        if not isinstance(value, Invalid):
            return value
    return _read(said, subtype.answer, subtype.presence, about, known)


def parse_label(text: str, kind: AnswerKind, known: Collection[str] = ()) -> Value | Invalid:
    """The reference answer of a QA file."""
    said = normalise(text).strip()
    if not said:
        return Invalid("empty")
    if kind == "thing":
        return said.rstrip(".")
    return _read(said, kind, None, "", known)


def _read(said: str, kind: AnswerKind, place: Place | None, about: str, known: Collection[str]) -> Value | Invalid:
    match kind:
        case "yes_no":
            return read_yes_no(said, place=place, about=about)
        case "side":
            return read_side(said)
        case "thing":
            return read_thing(said, frozenset(known))
        case "count":
            return read_count(said, about)
        case "proportion":
            return read_proportion(said)
        case "number":
            return read_number(said)
        case "complex_simple" | "level" | "people_or_cars" | "absent_thing":
            return read_choice(said, kind)

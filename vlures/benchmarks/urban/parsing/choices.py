"""Answers that choose from a closed set: Complex or Simple, High, Moderate or Low, Left side, Right side or Even."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from vlures.benchmarks.urban.parsing.prose import first_sentence, is_denied, sentences, takes_back
from vlures.benchmarks.urban.parsing.text import EDGES, Invalid

ChoiceKind = Literal["complex_simple", "level", "people_or_cars", "absent_thing"]

_NO_LEVEL = (
    r"(?!\s+(?:buildings?|rises?|walls?|trees?|fences?|structures?|towers?|houses?|ceilings?|clouds?|bushes|hedges?"
    r"|lights?|lighting|traffic|contrast|resolution|quality|angle|density|number|speed|viewpoint)\b)"
)
"""After a `high` that says nothing of the depth."""
CLASSES: Mapping[ChoiceKind, Mapping[str, str]] = {
    "complex_simple": {"complex": "complex", "simple": "simple"},
    "level": {"high": f"high{_NO_LEVEL}", "moderate": "moderate(?:ly)?|medium", "low": f"low{_NO_LEVEL}"},
    "people_or_cars": {"people": "people|persons?|pedestrians?", "cars": "cars?"},
    "absent_thing": {"tree": "trees?", "car": "cars?", "bench": "bench(?:es)?"},
}
"""Class → how it is named. Cue words (`varied`, `flat`) name none: they also occur in explanations of the others."""
SIDES = ("left side", "right side", "even")

_WORD = r"(?<![\w-])(?:{})(?![\w-])"
_PATTERNS = {
    kind: {name: re.compile(_WORD.format(words)) for name, words in classes.items()}
    for kind, classes in CLASSES.items()
}
_LEADING = re.compile(r"^[\s\"'(\[]*(?:(?:it|this|that) is |it's )?(?:an? |the |mostly |mainly )?")
_ENDS = re.compile(r"\s*(?:[.,;:(\n-]+\s*|$|(?=because\b|since\b|as\b|due\b))")
"""After a class that is the whole of an answer, before its explanation."""
_GOES_ON = re.compile(r"(?:or|and|but|to|nor|even)\b")


def read_choice(text: str, kind: ChoiceKind) -> str | Invalid:
    """The class that a normalised text names: the only one, or the one that its first sentence begins with."""
    if kind == "absent_thing":
        return _read_absent(text)
    if kind == "people_or_cars" and (more := _compare(text)) is not None:
        return more
    return _choose(text, _PATTERNS[kind])


def _choose(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str | Invalid:
    named = _find_named(text, patterns)
    if len(named) > 1 and (chosen := _find_leading(text, patterns) or _find_conclusion(text, patterns)) is not None:
        named = [chosen]
    return _only(named, patterns)


def _only(named: list[str], patterns: Mapping[str, re.Pattern[str]]) -> str | Invalid:
    if len(named) == 1:
        return named[0]
    if named:
        return Invalid(f"names several: {', '.join(named)}")
    return Invalid(f"names none of {', '.join(patterns)}")


def _find_named(text: str, patterns: Mapping[str, re.Pattern[str]]) -> list[str]:
    return [
        name
        for name, pattern in patterns.items()
        if any(not is_denied(text, *match.span()) for match in pattern.finditer(text))
    ]


def _find_leading(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str | None:
    """The class that a text begins with, where what follows explains it and takes nothing back."""
    start = _LEADING.match(text)
    at = start.end() if start else 0
    for name, pattern in patterns.items():
        match = pattern.match(text, at)
        if match is None or _offers_another(text[match.end() :], name, patterns):
            continue
        first = first_sentence(text)
        if _find_named(first.partition("(")[0], patterns) == [name]:
            return name
        ends = _ENDS.match(text, match.end())
        if ends and not _GOES_ON.match(text, ends.end()):
            follows = any(other.match(text, ends.end()) for other in patterns.values())
            return None if follows else name
    return None


def _offers_another(rest: str, name: str, patterns: Mapping[str, re.Pattern[str]]) -> bool:
    """Whether what follows an answer takes it back, or gives another one by itself."""
    others = [pattern for other, pattern in patterns.items() if other != name]
    said = [sentence.strip(EDGES) for sentence in sentences(rest)]
    return takes_back(rest) or any(pattern.fullmatch(sentence) for sentence in said for pattern in others)


_CONCLUDES = re.compile(r"\b(?:so|therefore|thus|hence),? (?:the answer is |it is |it's )?(?:an? |the )?")


def _find_conclusion(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str | None:
    """The class that a text ends with, as what follows from the rest: `…, so cars`."""
    marks = list(_CONCLUDES.finditer(text))
    said = text[marks[-1].end() :].strip(EDGES) if marks else ""
    return next((name for name, pattern in patterns.items() if pattern.fullmatch(said)), None)


# Sides

_EVEN = re.compile(
    r"\b(?:even(?! though| if| more| when| so)|evenly|equally|balanced|both sides|both halves|both (?:the )?left and"
    r"|both\W*$)"
)
_SIDE_WORDS = {
    "left side": re.compile(r"\bleft(?:[ -](?:hand )?side)?\b"),
    "right side": re.compile(
        r"(?<!that's )(?<!that is )(?<!you're )(?<!you are )(?<!all )\bright(?:[ -](?:hand )?side)?\b"
        r"(?! (?:in front|in the (?:middle|center|centre)|next|now|away|there|here|before|behind|across|up|down)\b)"
    ),
}


def read_side(text: str) -> str | Invalid:
    """`left side`, `right side` or `even`. "Evenly spread left and right" is even."""
    sides = _find_named(text, _SIDE_WORDS)
    is_even = any(not is_denied(text, *match.span()) for match in _EVEN.finditer(text))
    if is_even and len(sides) != 1:
        return "even"
    if is_even:
        return Invalid(f"names several: {sides[0]}, even")
    return _choose(text, _SIDE_WORDS)


# People or cars

_PEOPLE, _CARS = CLASSES["people_or_cars"]["people"], CLASSES["people_or_cars"]["cars"]
_COMPARED = [
    (re.compile(rf"\b(?:fewer|less) (?:\w+ )?(?:{few}) than (?:there are )?(?:\w+ )?(?:{many})\b"), name)
    for few, many, name in ((_PEOPLE, _CARS, "cars"), (_CARS, _PEOPLE, "people"))
] + [
    (re.compile(rf"\b(?:{many}) (?:\w+ )?outnumber(?:s|ed)? (?!by\b)(?:the )?(?:\w+ )?(?:{few})\b"), name)
    for few, many, name in ((_PEOPLE, _CARS, "cars"), (_CARS, _PEOPLE, "people"))
]
"""`Fewer people than cars`: there are more of what is named last."""


def _compare(text: str) -> str | None:
    found = {
        name for pattern, name in _COMPARED for match in pattern.finditer(text) if not is_denied(text, match.start())
    }
    return found.pop() if len(found) == 1 else None


# What is absent

_SEGMENT = re.compile(r"[.;!?()\n]+|\bbut\b|\bwhile\b|\bso\b|\bhowever\b")
_GONE = re.compile(r"\b(?:not|no|none|never|neither|nor|without|absent|missing|except|lacks?|lacking|cannot)\b|n't\b")
_SHOWN = re.compile(
    r"\b(?:visible|present|seen|shown|there (?:is|are)|i (?:can )?see|(?:image|picture|street|scene|it) "
    r"(?:shows|contains|has|includes|features|depicts|displays)|parked"
    r"|in the (?:image|picture|photo|scene|view|street))\b"
)


def _read_absent(text: str) -> str | Invalid:
    """What is said to be absent, or is named without a word about its being there."""
    patterns = _PATTERNS["absent_thing"]
    named = {
        name
        for segment in _SEGMENT.split(text)
        for clause in _find_unseen(segment)
        for name, pattern in patterns.items()
        if pattern.search(clause)
    }
    return _only([name for name in patterns if name in named], patterns)


def _find_unseen(segment: str) -> Iterator[str]:
    """The parts of a segment, between commas, that do not say that something is there. In a list, `there are trees,
    cars and people`, each says what the one before it says."""
    is_shown = False
    for clause in segment.split(","):
        if _GONE.search(clause):
            is_shown = False
        elif _SHOWN.search(clause):
            is_shown = True
        if not is_shown:
            yield clause

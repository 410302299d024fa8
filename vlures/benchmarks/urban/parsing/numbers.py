"""Answers that are numbers: counts, shares of the image, depths."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vlures.benchmarks.urban.parsing.text import EDGES, Invalid, first_sentence

_ONE_TO_NINE = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NAMED = {
    "zero": 0,
    **{word: number for number, word in enumerate(_ONE_TO_NINE, 1)},
    **{word: number for number, word in enumerate(_TEENS, 10)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
    "dozen": 12,
    "hundred": 100,
}

_DIGITS = re.compile(
    r"(?<![\w.,:/])[+-]?(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d{1,15})?|\d{1,15}(?:\.\d{1,15})?|\.\d{1,15})"
    r"(?![\d/]|[.,:]\d)(?:(?=m\b|meters?\b|metres?\b)|(?!\w))(?!-[a-z])"
)
"""A number that stands alone: not part of a word, a date, a version or a fraction."""
_WORDS = re.compile(
    rf"(?<![\w-])(?:(?P<tens>{'|'.join(_TENS)})[ -](?P<unit>{'|'.join(_ONE_TO_NINE)})|(?:an? )?(?P<word>"
    rf"{'|'.join(_NAMED)}))(?![\w]|-[a-z])(?!(?<=\bone) (?:of|another|side|way|can|could|might)\b)"
)
_NOT_COUNTED = re.compile(r"\b(?:no|each|every|any|which|this|that|the|another|some)\s+$")
"""Before a `one` that is no number."""
_BOUND = re.compile(
    r"(?:\b(?:at least|at most|more than|less than|fewer than|greater than|over|under|above|below|up to|minimum of"
    r"|maximum of)|[<>≤≥])\s*$"
)
_PERCENT = re.compile(r"\s*(?:%|percent\b|per cent\b|percentage\b)")
_PLUS = re.compile(r"\s?\+| (?:or more|or fewer|or less|and more|and above|or above)\b")
_SCALE = re.compile(
    r"\b(?:out of|on a scale of|on a scale from|from|between) (?:0 (?:to|and) )?1(?:\.0+)?(?![\d.]*\d)"
    r"|(?<=\d)\s?/\s?1(?![\d.])"
)
"""The scale that an answer repeats: `0.3 out of 1`, `on a scale of 0 to 1`."""
_LEADING = re.compile(
    r"^[\s\"'(\[=≈]*(?:about|approximately|approx\.?|around|roughly|exactly|i count|there (?:is|are))?\s*"
)
_PART = re.compile(r" of (?:which|them|these|those|whom)\b")
"""After a number that counts a part of what was counted: `3 cars, 2 of which are parked`."""
_VAGUE = re.compile(r"\b(?:several|some|many|a few|few|a couple|multiple|numerous|a lot|lots)\b")
_NONE_THERE = re.compile(
    r"(?:none|(?:there (?:is|are) (?:no|not any)|there (?:isn't|aren't) any|no) (?!way|idea|clear|information|answer"
    r"|signs?|evidence|indication|number|one|exact|definite)(?:[\w'\"-]+ ?){1,3}?"
    r"(?: ?(?:is|are|can be)? ?(?:visible|present|shown|seen|here)(?: in .{1,40})?| ?in .{1,40})?)"
)
LONGEST_STATEMENT = 120
"""Characters of a sentence that says that there is none."""


@dataclass(frozen=True, slots=True)
class _Mention:
    """A number in a text."""

    value: float
    start: int
    is_bound: bool
    """At least, more than …: not the number itself."""
    is_percent: bool


def read_count(text: str) -> int | Invalid:
    """A whole number from 0, in digits or as a word."""
    sentence = first_sentence(text.strip(EDGES)).strip(EDGES)
    if len(sentence) <= LONGEST_STATEMENT and _NONE_THERE.fullmatch(sentence):
        return 0
    found = _choose(list(_find_digits(text)) + list(_find_words(text)), text)
    if isinstance(found, Invalid):
        return Invalid(f"{found.reason}, only a vague amount") if _is_vague(text, found) else found
    if found.is_percent:
        return Invalid("a percentage, not a count")
    if found.value < 0 or not found.value.is_integer():
        return Invalid(f"{found.value:g} is not a count")
    return int(found.value)


def read_proportion(text: str) -> float | Invalid:
    """From 0 to 1. A number with a percent sign is divided by 100; without one, none is taken for a percentage."""
    plain = _SCALE.sub(" ", text)
    found = _choose([_as_share(mention) for mention in _find_digits(plain)], plain)
    if isinstance(found, Invalid):
        return found
    if not 0 <= found.value <= 1:
        hint = "" if found.is_percent else " and has no percent sign"
        return Invalid(f"{found.value:g} is not between 0 and 1{hint}")
    return found.value


def read_number(text: str) -> float | Invalid:
    """Any number in digits."""
    found = _choose(list(_find_digits(text)), text)
    if isinstance(found, Invalid):
        return found
    return Invalid("a percentage, not a number") if found.is_percent else found.value


def _is_vague(text: str, found: Invalid) -> bool:
    return found.reason == "no number" and _VAGUE.search(text) is not None


def _as_share(mention: _Mention) -> _Mention:
    value = mention.value / 100 if mention.is_percent else mention.value
    return _Mention(round(value, 9), mention.start, mention.is_bound, mention.is_percent)


def _find_digits(text: str) -> Iterator[_Mention]:
    for match in _DIGITS.finditer(text):
        if _PART.match(text, match.end()):
            continue
        value = float(match[0].replace(",", ""))
        is_percent = _PERCENT.match(text, match.end()) is not None
        yield _Mention(value, match.start(), _is_bound(text, match), is_percent)


def _find_words(text: str) -> Iterator[_Mention]:
    for match in _WORDS.finditer(text):
        words = [match[name] for name in ("tens", "unit", "word") if match[name]]
        if _PART.match(text, match.end()):
            continue
        if match["word"] == "one" and _NOT_COUNTED.search(text[max(0, match.start() - 20) : match.start()]):
            continue
        value = float(sum(_NAMED[word] for word in words))
        is_percent = _PERCENT.match(text, match.end()) is not None
        yield _Mention(value, match.start(), _is_bound(text, match), is_percent)


def _is_bound(text: str, match: re.Match[str]) -> bool:
    before = _BOUND.search(text[max(0, match.start() - 30) : match.start()])
    return before is not None or _PLUS.match(text, match.end()) is not None


def _choose(mentions: list[_Mention], text: str) -> _Mention | Invalid:
    """The only number of a text, or the one that it begins with and that is the only one of its first sentence."""
    plain = [mention for mention in mentions if not mention.is_bound]
    values = {mention.value for mention in plain}
    if len(values) > 1:
        end = len(first_sentence(text).partition("(")[0])
        first = [mention for mention in mentions if mention.start < end]
        start = _LEADING.match(text)
        at = start.end() if start else 0
        if len({mention.value for mention in first}) == 1 and first[0].start == at and not first[0].is_bound:
            return first[0]
        return Invalid(f"names several numbers: {', '.join(f'{value:g}' for value in sorted(values))}")
    if plain:
        return plain[0]
    return Invalid("a bound, not a number" if mentions else "no number")

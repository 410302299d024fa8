"""The numbers that a text mentions, in digits and in words, and what it says of each: at least, percent, not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vlures.benchmarks.urban.parsing.prose import is_denied

_ONE_TO_NINE = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NAMED = {
    "zero": 0,
    **{word: number for number, word in enumerate(_ONE_TO_NINE, 1)},
    **{word: number for number, word in enumerate(_TEENS, 10)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
    "single": 1,
}
_SCALES = {"dozen": 12, "hundred": 100, "thousand": 1000}
_PARTS = {
    **{"half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4},
    **{"fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10},
}

_DIGITS = re.compile(
    r"(?<![\w.,:/])(?<![a-z]-)[+-]?"
    r"(?:(?P<thousands>(?!0)\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d{1,15})?)|(?P<comma>\d{1,15},\d{1,2}(?!\d)|0,\d{1,15})"
    r"|\d{1,15}(?:\.\d{1,15})?(?:e[+-]?\d{1,2})?|\.\d{1,15})"
    r"(?![\d/]|[.,:]\d)(?:(?=m\b|meters?\b|metres?\b)|(?!\w))(?!-[a-z])"
)
"""A number that stands alone: not part of a word, a date, a version or a fraction. A comma before three digits parts
thousands, unless a lone zero is before it; before one or two, it is a decimal comma."""
_WORDS = re.compile(
    rf"(?<![\w-])(?:(?P<tens>{'|'.join(_TENS)})[ -](?P<unit>{'|'.join(_ONE_TO_NINE)})|(?P<half>half )?(?:an? )?"
    rf"(?:(?P<word>{'|'.join(_NAMED)})|(?P<scale>{'|'.join(_SCALES)})))"
    r"(?![\w]|-[a-z])(?!(?<=\bone) (?:of|another|side|way|can|could|might|whole number|number)\b)"
)
_NOT_COUNTED = re.compile(r"\b(?:no|each|every|any|which|this|that|the|another|some)\s+$")
"""Before a `one` that is no number."""
_SCALED = re.compile(rf"\s+(?P<scale>{'|'.join(_SCALES)})\b(?!-)")
_AND_A_PART = re.compile(r"\s+and (?:an?|one)[ -](half|third|quarter)\b")

_BOUND = re.compile(
    r"(?:\b(?:at least|at most|more than|less than|fewer than|greater than|over|under|above|below|up to|minimum of"
    r"|maximum of|as many as)|(?<![-=])[<>]|[≤≥])\s*$"
)
_BOUND_AFTER = re.compile(
    r"\s?\+(?!\s*\d)| (?:[a-z]+ )?(?:or more|or fewer|or less|and more|and above|or above|at most|at least|at a minimum"
    r"|at a maximum)\b"
)
_PERCENT = re.compile(r"\s*(?:%|percent\b|per cent\b|percentage\b|pct\b)")
_PART_OF = re.compile(r" of (?:which|them|these|those|whom)\b(?!\s*(?:[.,;!?]|$))")
"""After a number that counts a part of what was counted: `3 cars, 2 of which are parked`."""
_TOTAL = re.compile(
    r"(?:=|(?<!in )\btotal(?: of| is|:)?|\b(?:makes"
    r"|(?:so|therefore|thus|hence),?(?: (?:there are|the answer is|that is|that's|it's))?))(?: about)?\s*$"
)
_TOTAL_AFTER = re.compile(r"(?: [a-z]+){0,2} (?:in total|total|altogether|in all)\b(?!:)")

_FRACTION = re.compile(
    rf"(?<![\w-])(?:(?P<times>an?|{'|'.join(_ONE_TO_NINE)})[ -])?(?P<part>{'|'.join(_PARTS)})(?![\w-])"
    r"|(?<![\w.,:/])(?P<over>\d{1,3})(?: ?/ ?| out of )(?P<under>\d{1,3})(?!\w|[.,/]\d)"
)
_WHICH_PART = re.compile(
    r"\b(?:upper|lower|left|right|top|bottom|first|second|other|each|this|that|whole|the|middle)[ -](?:one )?$"
)
"""Before a half that is a place, not a share."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A number in a text."""

    value: float
    start: int
    end: int
    is_bound: bool
    """At least, more than …: not the number itself."""
    is_percent: bool
    is_total: bool
    is_in_words: bool


def find_amounts(text: str, *, words: bool) -> list[Mention]:
    """The numbers that a normalised text mentions, in order, without those that it denies or that count a part.

    words: also those in words.
    """
    found = sorted(
        [(match.span(), _value_of_digits(match)) for match in _DIGITS.finditer(text)]
        + ([(match.span(), value) for match, value in _find_words(text)] if words else [])
    )
    mentions: list[Mention] = []
    past = 0
    for (start, end), said in found:
        if start < past:  # the scale of the number before
            continue
        value, past = _extend(text, said, end) if words else (said, end)
        if not _PART_OF.match(text, past) and not is_denied(text, start):
            mentions.append(_mention(text, value, start, past))
    return mentions


def find_fractions(text: str) -> list[Mention]:
    """`a third`, `two-thirds`, `1/3`, `3 out of 10`, in order, without those that it denies."""
    mentions = []
    for match in _FRACTION.finditer(text):
        before = text[max(0, match.start() - 20) : match.start()]
        if match["part"]:
            is_half = match["part"] == "half"
            if (match["times"] is None and not is_half) or _WHICH_PART.search(before):
                continue
            times = _NAMED.get(match["times"] or "", 1)
            value = times / _PARTS[match["part"]]
        else:
            if not int(match["under"]):
                continue
            value = int(match["over"]) / int(match["under"])
        if not is_denied(text, match.start()):
            mentions.append(_mention(text, value, *match.span()))
    return mentions


def _find_words(text: str) -> Iterator[tuple[re.Match[str], float]]:
    for match in _WORDS.finditer(text):
        before = text[max(0, match.start() - 20) : match.start()]
        if match["word"] in ("one", "single") and _NOT_COUNTED.search(before):
            continue
        if match["scale"]:
            yield match, _SCALES[match["scale"]] / (2 if match["half"] else 1)
        else:
            named = [match[name] for name in ("tens", "unit", "word") if match[name]]
            yield match, float(sum(_NAMED[word] for word in named))


def _value_of_digits(match: re.Match[str]) -> float:
    return float(match[0].replace(",", "." if match["comma"] else ""))


def _extend(text: str, value: float, end: int) -> tuple[float, int]:
    """A number with what belongs to it: `two hundred`, `two and a half`."""
    if scaled := _SCALED.match(text, end):
        return value * _SCALES[scaled["scale"]], scaled.end()
    if more := _AND_A_PART.match(text, end):
        return value + 1 / _PARTS[more[1]], more.end()
    return value, end


def _mention(text: str, value: float, start: int, end: int) -> Mention:
    before = text[max(0, start - 30) : start]
    is_bound = _BOUND.search(before) is not None or _BOUND_AFTER.match(text, end) is not None
    is_total = _TOTAL.search(before) is not None or _TOTAL_AFTER.match(text, end) is not None
    is_percent = _PERCENT.match(text, end) is not None
    return Mention(value, start, end, is_bound, is_percent, is_total, is_in_words=text[start].isalpha())

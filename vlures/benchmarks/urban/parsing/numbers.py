"""Answers that are numbers: counts, shares of the image, depths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from vlures.benchmarks.urban.parsing.amounts import Mention, find_amounts, find_fractions
from vlures.benchmarks.urban.parsing.prose import first_sentence, sentences, takes_back
from vlures.benchmarks.urban.parsing.statements import says_none
from vlures.benchmarks.urban.parsing.text import EDGES, Invalid

_ZERO_TO_ONE = r"0(?:\.0+)?(?: ?\([^()]{0,30}\))? ?(?:to|and|-) ?1(?:\.0+)?(?: ?\([^()]{0,30}\))?"
_SCALE = re.compile(
    rf"\b(?:(?:on a )?scale (?:of|from)|from|between) {_ZERO_TO_ONE}(?![\d.,]*\d|\s*(?:%|percent))"
    r"|\bout of 1(?:\.0+)?(?![\d.,]*\d|\s*(?:%|percent))|(?<=\d)\s?/\s?1(?:\.0+)?(?![\d.]*\d)"
)
"""The scale that an answer repeats: `0.3 out of 1`, `on a scale of 0 to 1`."""
_LEADING = re.compile(
    r"^[\s\"'(\[=≈$]*(?:(?:i (?:can )?(?:see|count)|there (?:is|are)|no,)\s+)?"
    r"(?:(?:about|approximately|approx\.?|around|roughly|exactly|only|a total of)\s*)?"
)
_VAGUE = re.compile(r"\b(?:several|some|many|a few|few|a couple|multiple|numerous|a lot|lots)\b")
_NOTHING_OF = re.compile(r"\bno (?!doubt|question|more|less|fewer|other|longer|idea)[a-z]|\bn(?:o|')t any\b")
"""A text that says so of something and has a number, too, may mean either."""
_OR = re.compile(r"\bor (?:maybe |about )?$")
_BARE = re.compile(r"[\W_]*\d[\d.,]*\W*")
_COLON, _COLON_OR_BRACKET = re.compile(r":"), re.compile(r"[:(]")
_OTHER_NUMBER = re.compile(r"\s*\(\s*\W*\d[\d.,]*\s*%?\s*\)")


def read_count(text: str, about: str) -> int | Invalid:
    """A whole number from 0, in digits or as a word. about: what is counted."""
    if says_none(first_sentence(text.strip(EDGES)).strip(EDGES), about):
        return 0
    mentions = find_amounts(text, words=True)
    found = _choose(mentions, text)
    if isinstance(found, Invalid):
        is_vague = found.reason == NO_NUMBER and _VAGUE.search(text)
        return Invalid(f"{found.reason}, only a vague amount") if is_vague else found
    if _NOTHING_OF.search(text) and not _leads(found, text):
        return Invalid("says that there is none, and a number")
    if found.is_percent:
        return Invalid("a percentage, not a count")
    if found.value < 0 or not found.value.is_integer():
        return Invalid(f"{found.value:g} is not a count")
    return int(found.value)


def read_proportion(text: str) -> float | Invalid:
    """From 0 to 1. A number with a percent sign is divided by 100; without one, none is taken for a percentage."""
    plain = _SCALE.sub(" ", text)
    fractions = find_fractions(plain)
    taken = {at for fraction in fractions for at in range(fraction.start, fraction.end)}
    amounts = [
        _as_share(mention)
        for mention in find_amounts(plain, words=True)
        if mention.start not in taken and (mention.is_percent or mention.value == 0 or not mention.is_in_words)
    ]
    found = _choose(sorted([*amounts, *fractions], key=lambda mention: mention.start), plain)
    if isinstance(found, Invalid):
        return found
    if not 0 <= found.value <= 1:
        hint = "" if found.is_percent else " and has no percent sign"
        return Invalid(f"{found.value:g} is not between 0 and 1{hint}")
    return found.value


def read_number(text: str) -> float | Invalid:
    """Any number in digits."""
    found = _choose(find_amounts(text, words=False), text)
    if isinstance(found, Invalid):
        return found
    return Invalid("a percentage, not a number") if found.is_percent else found.value


NO_NUMBER = "no number"


def _as_share(mention: Mention) -> Mention:
    return replace(mention, value=round(mention.value / 100 if mention.is_percent else mention.value, 9))


def _choose(mentions: Sequence[Mention], text: str) -> Mention | Invalid:
    """The only number of a text, or the one that it begins with and that is the only one of its first sentence, or the
    only one that it calls the total."""
    plain = [mention for mention in mentions if not mention.is_bound]
    if not plain:
        return Invalid("a bound, not a number" if mentions else NO_NUMBER)
    before = [mention for mention in mentions if mention.is_bound and mention.start < plain[0].start]
    values = {mention.value for mention in [*plain, *before]}  # at least 3, maybe 5
    if len(values) == 1:
        is_other = _OR.search(text[max(0, plain[0].start - 20) : plain[0].start])  # a car or two
        return Invalid("names an alternative") if is_other else plain[0]
    if not before:
        totals = [mention for mention in plain if mention.is_total]
        if len({mention.value for mention in totals}) == 1 and not takes_back(text[totals[-1].end :]):
            return totals[0]
        if _leads(plain[0], text) and _is_alone(plain[0], mentions, text):
            return plain[0]
    return Invalid(f"names several numbers: {', '.join(f'{value:g}' for value in sorted(values))}")


def _leads(mention: Mention, text: str) -> bool:
    start = _LEADING.match(text)
    return start is not None and start.end() == mention.start


def _is_alone(leading: Mention, mentions: Sequence[Mention], text: str) -> bool:
    """Whether the first sentence has no other number, except in brackets that explain it, and nothing takes it back."""
    sentence = first_sentence(text)
    marks = _COLON if _OTHER_NUMBER.match(text, leading.end) else _COLON_OR_BRACKET
    end = len(marks.split(sentence, maxsplit=1)[0])
    others = {mention.value for mention in mentions if mention.start < end} - {leading.value}
    rest = text[leading.end :]
    return not others and not takes_back(rest) and not any(_BARE.fullmatch(one.strip()) for one in sentences(rest))

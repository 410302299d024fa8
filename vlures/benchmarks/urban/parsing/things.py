"""Answers that name an object, of any kind: `traffic light`."""

from __future__ import annotations

import re
from functools import lru_cache

from vlures.benchmarks.urban.parsing.names import ARTICLES, EDGES, KNOWN, SAME, same_thing
from vlures.benchmarks.urban.parsing.prose import first_sentence, is_denied, sentences, takes_back
from vlures.benchmarks.urban.parsing.text import Invalid

_BEFORE_A_NAME = re.compile(r"[\s\"'(\[]*(?:it is |it's |this is |that is )?(?:an? |the |some |one )?")
_BEFORE_A_HEAD = re.compile(r"[\s\"'(\[]*(?:(?:an? |the |some |one |its )(?:[\w-]+ ){0,2})?")
_AFTER_A_HEAD = re.compile(
    r",? (?:followed by|then)\b| (?:parked|in|on|at|near|next to|behind|beside|with|riding|standing|driving|walking"
    r"|sitting|crossing|that|which|who|along|under)\b"
)
"""Around the first object of `a red car parked in front of a building`."""
_VERB = re.compile(r"\b(?:is|are|was|were|not)\b|n't\b")
_NAMED = re.compile(r"(?:\bis|\bare|\bbe|\bwould be|:)\s+(?:an? |the |some |one |its )?(?:[a-z]+ly )?$")
"""Before the object that a sentence names: `the closest object is a car`."""
NAMED_CHARS = 60
"""How far back it is looked for."""
_NAMES_IT = re.compile(
    r"(?: (?!not\b|never\b)\w+){0,8} (?:is|are) (?:the )?(?:closest|nearest|most|main|dominant)\b"
    r"|(?: (?!not\b|never\b)\w+){0,3} (?:covers?|dominates?|occupy|occupies|takes? up|fills?|makes? up)\b"
)
_DEPENDS = re.compile(
    r"\b(?:of|in|on|near|behind|beside|by|to|with|from|under|at|above|below|than)\s+(?:an? |the |its |some )?$"
)
"""Before an object that only tells where another one is."""
_JOINS = re.compile(r"\s*(?:,|/|&|\band\b|\bor\b)\s*(?:and |or )?(?:maybe |possibly |perhaps )?(?:an? |the |some )?")
_JOINS_AFTER = re.compile(r"\s*(?:/|,? ?\bor\b)|\s*(?:,|&|\+|\band\b)\s*(?:an? |the )?[a-z]+\W*$")
_JOINS_BEFORE = re.compile(r"(?:/|\bor\b)\s*(?:an? |the )?$")
_NO_NAME = (
    "yes no none nothing unknown unclear unsure not cannot can't n/a na null other object objects it that this i sorry "
    "maybe both neither left right unable impossible hard difficult tell say know don't sure idk insufficient "
    "information determine determined undetermined unidentifiable unidentified undefined error answer anything "
    "everything something someone several various nan blank empty"
)
"""Words of which no name consists."""
MOST_WORDS = 3
"""Of an answer that is a name without being a known one."""


def read_thing(text: str, known: frozenset[str]) -> str | Invalid:
    """The object that a normalised text names. known: names besides KNOWN, normalised."""
    phrase = ARTICLES.sub("", text.strip(EDGES)).strip(EDGES)
    name = same_thing(phrase)
    if name in KNOWN or name in known:
        return phrase
    found = [match for match in _pattern(known).finditer(text) if not is_denied(text, *match.span())]
    names = {same_thing(match[0]) for match in found}
    if len(names) == 1:
        is_joined = any(_joins_unknown(text, match) for match in found)
        return Invalid(f"names {found[0][0]} and another object") if is_joined else found[0][0]
    if names:
        chosen = _find_named(text, found)
        return chosen if chosen is not None else Invalid(f"names several: {', '.join(sorted(names)[:6])}")
    is_denied_name = _pattern(known).search(text) is not None
    return phrase if not is_denied_name and _may_be_name(phrase) else Invalid("names no object")


def _may_be_name(phrase: str) -> bool:
    words = phrase.split()
    return (
        1 <= len(words) <= MOST_WORDS
        and not set(_NO_NAME.split()).intersection(words)
        and any(map(str.isalpha, phrase))
    )


def _joins_unknown(text: str, match: re.Match[str]) -> bool:
    """Whether an object that is not known is named beside this one: `a car or a van`."""
    before = text[max(0, match.start() - NAMED_CHARS) : match.start()]
    return _JOINS_AFTER.match(text, match.end()) is not None or _JOINS_BEFORE.search(before) is not None


def _find_named(text: str, found: list[re.Match[str]]) -> str | None:
    """The one of several objects that the first sentence gives as the answer."""
    end = len(first_sentence(text).partition("(")[0])
    first = [match for match in found if match.start() < end]
    if not first or _offers_another(text, first[0], found):
        return None
    is_alone = len({same_thing(match[0]) for match in first}) == 1
    if is_alone and _BEFORE_A_NAME.fullmatch(text[: first[0].start()]):
        return first[0][0]
    if _is_head(text[:end], first[0]):
        return first[0][0]
    for match in first:
        before = text[max(0, match.start() - NAMED_CHARS) : match.start()]
        is_named = _NAMED.search(before) is not None
        if is_named or (_NAMES_IT.match(text, match.end()) and not _only_tells_where(text, match)):
            return None if _is_joined(text, match, first, is_named) else match[0]
    return None


def _offers_another(text: str, first: re.Match[str], found: list[re.Match[str]]) -> bool:
    """Whether what follows the first object takes it back, or gives another one by itself."""
    rest = text[first.end() :]
    others = {other[0] for other in found if same_thing(other[0]) != same_thing(first[0])}
    return takes_back(rest) or any(ARTICLES.sub("", one.strip(EDGES)) in others for one in sentences(rest))


def _only_tells_where(text: str, match: re.Match[str]) -> bool:
    return _DEPENDS.search(text[max(0, match.start() - NAMED_CHARS) : match.start()]) is not None


def _is_head(sentence: str, match: re.Match[str]) -> bool:
    return (
        _BEFORE_A_HEAD.fullmatch(sentence[: match.start()]) is not None
        and _AFTER_A_HEAD.match(sentence, match.end()) is not None
        and _VERB.search(sentence) is None
    )


def _is_joined(text: str, match: re.Match[str], found: list[re.Match[str]], is_named: bool) -> bool:
    """Whether another object is named in the same breath: `a car and a bus`. In `the closest is a car, and the bus is
    behind it`, it is not."""
    for other in found:
        if same_thing(other[0]) == same_thing(match[0]) or _only_tells_where(text, other):
            continue
        if _JOINS.fullmatch(text[other.end() : match.start()]):
            return True
        if _JOINS.fullmatch(text[match.end() : other.start()]):
            return not (is_named and _VERB.match(text, other.end() + 1))
    return False


@lru_cache(maxsize=8)
def _pattern(known: frozenset[str]) -> re.Pattern[str]:
    names = sorted(KNOWN | known | SAME.keys(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?:s|es)?(?![\w-])")

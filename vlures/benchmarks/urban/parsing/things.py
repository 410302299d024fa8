"""Answers that name an object, of any kind: `traffic light`."""

from __future__ import annotations

import re
from functools import lru_cache

from vlures.benchmarks.urban.parsing.choices import is_denied
from vlures.benchmarks.urban.parsing.names import ARTICLES, EDGES, KNOWN, SAME, same_thing
from vlures.benchmarks.urban.parsing.text import Invalid, first_sentence

_BEFORE_A_NAME = re.compile(r"[\s\"'(\[]*(?:it is |it's |this is |that is )?(?:an? |the |some |one )?")
_NAMED = re.compile(r"(?:\bis|\bare|\bbe|\bwould be|:)\s+(?:an? |the |some |one |its )?(?:[a-z]+ly )?$")
"""Before the object that a sentence names: `the closest object is a car`."""
NAMED_CHARS = 60
"""How far back it is looked for."""
_NAMES_IT = re.compile(r"(?: \w+){0,3} (?:is|are) (?:the )?(?:closest|nearest|most)\b")
_NO_NAME = frozenset(
    {"yes", "no", "none", "nothing", "unknown", "unclear", "unsure", "not", "cannot", "can't", "n/a", "na", "null"}
    | {"other", "object", "objects", "it", "that", "this", "i", "sorry", "maybe", "both", "neither", "left", "right"}
)
"""Words of which no name consists."""
MOST_WORDS = 3
"""Of an answer that is a name without being a known one."""


def read_thing(text: str, known: frozenset[str]) -> str | Invalid:
    """The object that a normalised text names. known: names besides KNOWN, normalised."""
    phrase = ARTICLES.sub("", text.strip(EDGES)).strip(EDGES)
    if same_thing(phrase) in KNOWN | known:
        return phrase
    found = [match for match in _pattern(known).finditer(text) if not is_denied(text, match.start())]
    names = {same_thing(match[0]) for match in found}
    if len(names) == 1:
        return found[0][0]
    if names:
        chosen = _find_named(text, found)
        return chosen if chosen is not None else Invalid(f"names several: {', '.join(sorted(names)[:6])}")
    words = phrase.split()
    if not 1 <= len(words) <= MOST_WORDS or _NO_NAME.intersection(words) or not any(map(str.isalpha, phrase)):
        return Invalid("names no object")
    return phrase


def _find_named(text: str, found: list[re.Match[str]]) -> str | None:
    """The one of several objects that the first sentence gives as the answer."""
    end = len(first_sentence(text))
    first = [match for match in found if match.start() < end]
    is_alone = len({same_thing(match[0]) for match in first}) == 1
    if is_alone and _BEFORE_A_NAME.fullmatch(text[: first[0].start()]):
        return first[0][0]
    for match in first:
        if _NAMES_IT.match(text, match.end()) or _NAMED.search(
            text[max(0, match.start() - NAMED_CHARS) : match.start()]
        ):
            return match[0]
    return None


@lru_cache(maxsize=8)
def _pattern(known: frozenset[str]) -> re.Pattern[str]:
    names = sorted(KNOWN | known | SAME.keys(), key=len, reverse=True)
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?:s|es)?(?![\w-])")

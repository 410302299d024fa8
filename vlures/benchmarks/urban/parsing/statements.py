"""Statements that something is there, or is not: `there are two cars`, `no bus is visible`."""

from __future__ import annotations

import re

from vlures.benchmarks.urban.parsing.names import is_head
from vlures.benchmarks.urban.subtypes import Place

_IN = r"in the (?:image|picture|photo|scene|view|street|foreground|background)"
_SEEN = rf"(?:visible|present|seen|shown|in sight|in view|{_IN})"
_STANDS = r"(?:parked|standing|driving|walking|sitting|moving|located|stopped)"
_PICTURE = r"(?:(?:the|this) (?:image|picture|photo|scene|street view|street|view)|it)"

_NONE = re.compile(rf"(?:there (?:is|are) )?none(?: (?:is|are))?(?: {_SEEN})*")
_NOT_THERE = re.compile(rf"(?:it is |it's |they are )?not (?:at all )?{_SEEN}|absent|nothing|{_NONE.pattern}")
_IS_THERE = re.compile(rf"(?:it is |it's |they are )?(?:clearly )?{_SEEN}(?: {_IN})?")
"""Statements about what was asked for, whatever that is."""

_ABSENT = (
    re.compile(
        r"(?:there (?:is|are|was|were)|there's) (?:no|zero|not (?:an?|any|a single)|absolutely no) (?P<thing>.+)"
    ),
    re.compile(r"there (?:isn't|aren't|is not|are not) (?:an?|any|a single) (?P<thing>.+)"),
    re.compile(
        r"(?:i|we|you|one) (?:do not|don't|cannot|can't|can not|could not|couldn't) "
        r"(?:see|spot|find|detect|identify) (?:an?|any|a single) (?P<thing>.+)"
    ),
    re.compile(r"(?:i|we) (?:can )?(?:see|find|detect|count) (?:no|zero) (?P<thing>.+)"),
    re.compile(
        rf"{_PICTURE} (?:does not|doesn't) (?:show|contain|have|include|feature|depict) (?:an?|any|a single) "
        r"(?P<thing>.+)"
    ),
    re.compile(rf"{_PICTURE} (?:shows|contains|has|includes|features|depicts) (?:no|zero) (?P<thing>.+)"),
    re.compile(rf"(?:the |an? |any )?(?P<thing>.+?) (?:is|are|can) ?(?:not|n't) (?:be )?{_SEEN}\b.*"),
    re.compile(rf"(?:the |an? |any )?(?P<thing>.+?) (?:cannot|can't) be {_SEEN}\b.*"),
    re.compile(r"(?:no|zero|not a single) (?P<thing>.+)"),
)
_PRESENT = (
    re.compile(r"(?:there (?:is|are)|there's) (?P<thing>.+)"),
    re.compile(
        rf"(?:i|we) (?:can )?(?:clearly )?see (?P<thing>.+)|{_PICTURE} (?:clearly )?"
        r"(?:shows|contains|has|includes|features|depicts) (?P<shown>.+)"
    ),
    re.compile(rf"(?P<thing>.+?) (?:is|are|can be)(?: clearly)? (?:{_SEEN}|{_STANDS})\b.*"),
)
_QUANTITY = re.compile(
    r"(?:at least |about |only )?(?:an?|the|one|two|three|four|five|six|seven|eight|nine|ten|several|many|some|multiple"
    r"|a few|few|a couple of|a lot of|numerous|\d{1,3}) "
)
_AND = re.compile(r" and ")

_DOUBT = re.compile(
    r"\b(?:whether|if|probably|likely|unclear|clear|tell|sure|certain|maybe|perhaps|possibl[ey]|might|may|could|would"
    r"|should|appears?|seems?|unless|though|although|however|or|unable|impossible|difficult|hard|know|signs?|way"
    r"|indication|evidence|doubt|except|besides|apart|other than)\b"
)
_NEGATIONS = re.compile(r"\b(?:not?|none|never|without|cannot|neither|nor|zero)\b|n't")
_CLAUSE = re.compile(r"[,;:] | but | - ")
_RESUMES = re.compile(r"\b(?:one|ones|it|they|them|another)\b")
_NO_NOUN = re.compile(r"(?:idea|information|answer|number|one|more|less|fewer|exact|definite|comment|\d+)\b")
_PART = re.compile(r"\b(?:foreground|background|left|right|near|nearby|close|front|distance|far|side|corner|lane)\b")
"""Of the image: what is not there may be elsewhere."""
_WHOLE = re.compile(r"\bin the (?:image|picture|photo|scene|view)\b")
LONGEST = 200
"""Characters of a statement."""


def read_statement(sentence: str, about: str, place: Place) -> bool | None:
    """Whether a sentence says that something is there. None where it leaves a doubt, or says so of something else or of
    another part of the image.

    about: what is asked for; without it, only `visible` and the like say something. place: where it is asked for.
    """
    if len(sentence) > LONGEST or _DOUBT.search(sentence):
        return None
    clause, _, rest = sentence.partition(found[0]) if (found := _CLAUSE.search(sentence)) else (sentence, "", "")
    if about and _says_more(rest, about):
        return None
    is_there = _read_clause(clause, about)
    if is_there is None or not _is_about(sentence, place, is_there):
        return None
    return is_there


def says_none(sentence: str, about: str) -> bool:
    """Whether a sentence says that there are none of what is counted. Without about, whatever it names is counted."""
    if _NONE.fullmatch(sentence):
        return True
    if about:
        return not _NOT_THERE.fullmatch(sentence) and read_statement(sentence, about, "image") is False
    if len(sentence) > LONGEST or _DOUBT.search(sentence) or _PART.search(sentence) or _CLAUSE.search(sentence):
        return False
    return len(_NEGATIONS.findall(sentence)) == 1 and any(
        (match := pattern.fullmatch(sentence)) and not _NO_NOUN.match(match["thing"]) for pattern in _ABSENT
    )


def _says_more(rest: str, about: str) -> bool:
    """Whether the rest of a sentence goes back to what is asked for."""
    words = rest.split()
    return _RESUMES.search(rest) is not None or any(is_head(" ".join(words[at:]), about) for at in range(len(words)))


def _read_clause(clause: str, about: str) -> bool | None:
    if _NOT_THERE.fullmatch(clause):
        return False
    if _IS_THERE.fullmatch(clause):
        return True
    negations = len(_NEGATIONS.findall(clause))
    if negations == 1 and any(
        (match := pattern.fullmatch(clause)) and is_head(match["thing"], about) for pattern in _ABSENT
    ):
        return False
    if negations == 0 and any(
        (match := pattern.fullmatch(clause)) and _lists(_thing_of(match), about) for pattern in _PRESENT
    ):
        return True
    return None


def _thing_of(match: re.Match[str]) -> str:
    groups = match.groupdict()
    return groups["thing"] or groups["shown"] or ""


def _lists(phrase: str, about: str) -> bool:
    """Whether one of the things in `a car and two buses` is the one that is asked for."""
    return any(is_head(_QUANTITY.sub("", part, count=1), about) for part in _AND.split(phrase))


def _is_about(sentence: str, place: Place, is_there: bool) -> bool:
    """Whether a statement about one place answers a question about another."""
    if place == "image":
        return is_there or _PART.search(sentence) is None
    other = "background" if place == "foreground" else "foreground"
    if other in sentence:
        return False
    return place in sentence or not is_there or _WHOLE.search(sentence) is None

"""Answers that choose from a closed set: Yes or No, High, Moderate or Low, Left side, Right side or Even."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from vlures.benchmarks.urban.parsing.names import names_thing
from vlures.benchmarks.urban.parsing.text import EDGES, Invalid, first_sentence

ChoiceKind = Literal["complex_simple", "level", "people_or_cars", "absent_thing"]

CLASSES: Mapping[ChoiceKind, Mapping[str, str]] = {
    "complex_simple": {"complex": "complex", "simple": "simple"},
    "level": {"high": "high", "moderate": "moderate|medium", "low": "low"},
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
_DENIED = re.compile(
    r"(?:\b(?:not?|never|neither|nor|without|than|instead of|cannot be|cannot)|n't)"
    r"(?:\s+(?:an?|the|any|be|really|very|too|so|particularly|especially|called|considered))*\s+$"
)
"""Before a word that an answer excludes: `not simple`, `rather than low`."""
_DENIAL_CHARS = 60
"""How far back a denial is looked for."""
_LEADING = re.compile(r"^[\s\"'(\[]*(?:(?:it|this|that) is |it's )?(?:an? |the |mostly |mainly )?")


def read_choice(text: str, kind: ChoiceKind) -> str | Invalid:
    """The class that a normalised text names: the only one, or the one that its first sentence begins with."""
    # What is absent is named in denials: "there is no bench".
    return _choose(text, _PATTERNS[kind], denials=kind != "absent_thing")


def _choose(text: str, patterns: Mapping[str, re.Pattern[str]], *, denials: bool = True) -> str | Invalid:
    named = _find_named(text, patterns, denials)
    if len(named) > 1:
        first = first_sentence(text)
        in_first = _find_named(first, patterns, denials)
        start = _LEADING.match(first)
        at = start.end() if start else 0
        if len(in_first) == 1 and patterns[in_first[0]].match(first, at):
            named = in_first
    if len(named) == 1:
        return named[0]
    if named:
        return Invalid(f"names several: {', '.join(named)}")
    return Invalid(f"names none of {', '.join(patterns)}")


def _find_named(text: str, patterns: Mapping[str, re.Pattern[str]], denials: bool) -> list[str]:
    return [
        name
        for name, pattern in patterns.items()
        if any(not (denials and is_denied(text, match.start())) for match in pattern.finditer(text))
    ]


def is_denied(text: str, at: int) -> bool:
    """Whether the word that begins there is excluded by the words before it."""
    return _DENIED.search(text[max(0, at - _DENIAL_CHARS) : at]) is not None


# Sides

_EVEN = re.compile(
    r"\b(?:even(?! though| if| more| when| so)|evenly|equally|balanced|both sides|both halves|both (?:the )?left and)\b"
)
_SIDE_WORDS = {"left side": re.compile(r"\bleft\b"), "right side": re.compile(r"\bright\b")}


def read_side(text: str) -> str | Invalid:
    """`left side`, `right side` or `even`. "Evenly spread left and right" is even."""
    sides = _find_named(text, _SIDE_WORDS, denials=True)
    is_even = any(not is_denied(text, match.start()) for match in _EVEN.finditer(text))
    if is_even and len(sides) != 1:
        return "even"
    if is_even:
        return Invalid(f"names several: {sides[0]}, even")
    return _choose(text, _SIDE_WORDS)


# Yes or no

_YES = re.compile(r"(?<![\w-])(?:yes|yeah|yep|yup)(?![\w-])")
_DENIED_YES = re.compile(r"(?:\bnot|n't|\bnever|\bcannot)\s+(?:\w+\s+)?$")
_NO = re.compile(
    r"(?<![\w-])(?:nope|nah|no)(?![\w-])"
    r"(?=\s*(?:[.,;:!?)\]\"'/\n-]|$)"
    r"|\s+(?:or|and|but|because|since|as|it|it's|there|there's|this|that|they|i|the|these|those|we|you)\b)"
)
"""A No that answers, not one that belongs to a noun: in "no cars are visible" it depends on the question whether that
means No."""
_LETTER = {"y": "yes", "n": "no"}
_JUDGEMENTS = {"true": "yes", "correct": "yes", "false": "no", "incorrect": "no"}


def read_yes_no(text: str, *, presence: bool, about: str) -> Literal["yes", "no"] | Invalid:
    """yes or no, by a normalised text that says exactly one of them.

    presence: the question asks whether something is there, so "there are two" and "not visible" answer it, too. about:
    the object that is asked for; a statement about another one answers nothing.
    """
    said_yes = any(
        not _DENIED_YES.search(text[max(0, match.start() - _DENIAL_CHARS) : match.start()])
        for match in _YES.finditer(text)
    )
    said_no = _NO.search(text) is not None
    if said_yes and said_no:
        return Invalid("says both yes and no")
    if said_yes or said_no:
        return "yes" if said_yes else "no"
    bare = text.strip(EDGES)
    if judged := _LETTER.get(bare) or _JUDGEMENTS.get(bare):
        return "yes" if judged == "yes" else "no"
    if presence and (stated := _read_statement(first_sentence(bare), about)) is not None:
        return stated
    return Invalid("says neither yes nor no")


_THERE = r"(?:visible|present|seen|in sight|in view|in the (?:image|picture|photo|scene|view|foreground|background))"
_NOUNS = r"(?:[\w'\"-]+ ){1,4}"
_NOT_THERE = re.compile(rf"(?:(?:it is |they are )?not (?:clearly |at all )?{_THERE}|absent|none|nothing)")
_IS_THERE = re.compile(rf"(?:it is |they are )?(?:clearly )?{_THERE}")
"""Statements about what was asked for, whatever that is."""
_ABSENT = (
    re.compile(rf"(?:the |a |an |any )?{_NOUNS}(?:is|are|can) ?(?:not|n't) (?:be )?(?:clearly )?{_THERE}\b.*"),
    re.compile(rf"(?:the |a |an |any )?{_NOUNS}(?:isn't|aren't|cannot be|can't be) (?:clearly )?{_THERE}\b.*"),
    re.compile(r"(?:there (?:is|are)|there's) (?:no|not an?|not any)\b .*"),
    re.compile(r"there (?:isn't|aren't) (?:an?|any)\b .*"),
    re.compile(rf"no {_NOUNS}(?:is|are|can be)(?: clearly)? {_THERE}\b.*"),
    re.compile(
        r"no (?!idea|clue|information|answer|comment|problem|matter|less|more|longer)(?:[\w'-]+ ?){1,3}"
        r"(?: ?(?:in|on|at) .{1,60})?"
    ),
)
_PRESENT = (
    re.compile(
        rf"(?:the |a |an |one |two |three |several |many |some )?{_NOUNS}(?:is|are|can be)(?: clearly)? {_THERE}"
        r"(?: (?:in|on|at) .{1,60})?"
    ),
    re.compile(r"(?:there (?:is|are)|there's) (?:at least )?(?:an?|one|two|three|several|many|some|\d{1,3})\b .*"),
)
_DOUBT = re.compile(
    r"\b(?:whether|if|unclear|clear|tell|sure|certain|maybe|perhaps|possibl[ey]|might|may|could|would|should|appears?"
    r"|seems?|unless|but|though|although|however|or|only|unable|impossible|difficult|hard|know|sign|signs|way|indication"
    r"|evidence|doubt)\b"
)
LONGEST_STATEMENT = 200
"""Characters."""
_NEGATIONS = re.compile(r"\b(?:not?|none|never|without|cannot|neither|nor)\b|n't")


def _read_statement(sentence: str, about: str) -> Literal["yes", "no"] | None:
    """What a statement about presence says; None where it leaves a doubt, or is about something else."""
    if _NOT_THERE.fullmatch(sentence):
        return "no"
    if _IS_THERE.fullmatch(sentence):
        return "yes"
    if len(sentence) > LONGEST_STATEMENT or _DOUBT.search(sentence) or not names_thing(sentence, about):
        return None
    if len(_NEGATIONS.findall(sentence)) <= 1 and any(pattern.fullmatch(sentence) for pattern in _ABSENT):
        return "no"
    if not _NEGATIONS.search(sentence) and any(pattern.fullmatch(sentence) for pattern in _PRESENT):
        return "yes"
    return None

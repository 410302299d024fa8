"""Answers that are Yes or No."""

from __future__ import annotations

import re
from typing import Literal

from vlures.benchmarks.urban.parsing.prose import first_sentence, is_denied
from vlures.benchmarks.urban.parsing.statements import read_statement
from vlures.benchmarks.urban.parsing.text import EDGES, Invalid
from vlures.benchmarks.urban.subtypes import Place

_YES = re.compile(r"(?<![\w-])(?:yes|yeah|yep|yup)(?![\w-])")
_NO = re.compile(
    r"(?<![\w-])(?:nope|nah|no)(?![\w-])(?!\.\s*\d)"
    r"(?=[^\w\s]|\s*$|\s*\n|\s+[^\w\s\"']"
    r"|\s+(?:or|and|but|because|since|as|it|it's|there|there's|this|that|they|i|the|these|those|we|you|if|unless"
    r"|otherwise)\b)"
)
"""A No that answers, not one that belongs to a noun: in "no cars are visible" it depends on the question whether that
means No."""
_BELONGS = re.compile(
    r"\b(?:there(?:'s| is| are| was| were)|has|have|had|shows?|contains?|(?<!go )with|sees?)"
    r"(?: absolutely| almost)?\s+$"
)
"""Before a No that belongs to a noun, whatever follows: `there is no "car"`."""
_REPEATED = re.compile(r"\bno(?:,?\s+no\b)+")
_BACK_CHARS = 40
_BARE = {"y": "yes", "n": "no", "true": "yes", "correct": "yes", "false": "no", "incorrect": "no"}


def read_yes_no(text: str, *, place: Place | None, about: str) -> Literal["yes", "no"] | Invalid:
    """yes or no, by a normalised text that says exactly one of them.

    place: where the question asks whether something is there, if it asks that, so that "there are two" and "not
    visible" answer it, too. about: the object that is asked for; a statement about another one answers nothing.
    """
    text = _REPEATED.sub("no", text)
    said_yes = any(not is_denied(text, *match.span()) for match in _YES.finditer(text))
    said_no = any(_is_answer(text, match) for match in _NO.finditer(text))
    if said_yes and said_no:
        return Invalid("says both yes and no")
    if said_yes or said_no:
        return "yes" if said_yes else "no"
    bare = text.strip(EDGES)
    if judged := _BARE.get(bare):
        return "yes" if judged == "yes" else "no"
    if place is not None and (stated := read_statement(first_sentence(bare), about, place)) is not None:
        return "yes" if stated else "no"
    return Invalid("says neither yes nor no")


def _is_answer(text: str, match: re.Match[str]) -> bool:
    before = text[max(0, match.start() - _BACK_CHARS) : match.start()]
    return _BELONGS.search(before) is None and not is_denied(text, *match.span())

"""What sentences do to the words in them: deny them, take them back, decline to answer at all."""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"[.;!?](?=\s|$)|\n")
_BREAK = re.compile(
    r"[.,;!?()\n](?!\d)|(?<!farthest)(?<!furthest):(?!\d)| - |\b(?:(?<!anything )but|because|since|so|hence|thus"
    r"|therefore|however|though|although|while|whereas|instead(?! of)|then|which)\b"
)
"""Ends what a `not` denies."""
CLAUSE_CHARS = 120
"""As far as a clause is looked at, on either side of a word."""

_DENIES = re.compile(
    r"\bnot\b(?! (?:only|just|merely)\b)|n't\b(?! (?:only|just|merely)\b)|\bno\b(?! (?:doubt|question)\b)"
    r"|\bwithout\b(?! (?:an?y? )?(?:doubt|question)\b)"
    r"|\b(?:never|neither|nor|none|nothing|instead of|cannot|unable|impossible|hardly|barely|far from|anything but"
    r"|opposed to|lacks?|lacking|less|fewer|farthest|furthest|than)\b"
)
_LESSER = re.compile(
    r"\b(?:less|fewer|farther|further|smaller|lower)\b.*\bthan\b|\boutnumbered\b|(?:not|n't) outnumber"
    r"|^ (?:is|are) (?:the )?(?:farthest|furthest|second|last)\b"
)
_TAKES_BACK = re.compile(
    r"->|=>|→|(?:^|[.,;:!?(\n-])\s*(?:and |but |well,? |oh,? )?"
    r"(?:or(?! so\b)|actually|wait|correction|maybe|perhaps|possibly|probably|sorry|no|hmm|scratch that|i mean|rather"
    r"|alternatively|on second thought|let me|could be|might be)\b"
)
_DECLINES = re.compile(
    r"(?:\b(?:cannot|can not|unable to|not able to|impossible to|not possible to|way to|do not|did not|would not)"
    r"|(?:ca|could|do|wo|would|did)n't)\s+(?:\w+ly\s+)?(?:be\s+)?"
    r"(?:determined?|tell|told|say|answer(?:ed)?|know|known|assess(?:ed)?|judged?|estimated?|provided?|help|assist"
    r"|identify|identified|analy[sz]ed?|measured?|count(?:ed)?|verify|verified|confirm(?:ed)?|give)\b"
    r"(?!\s+(?:(?:an?|the|their|its) )?(?:any|exact|exactly|precise|precisely|accurate|certain|more)\b)"
    r"|\bdepends on\b|\bit depends\b"
    r"|\bno (?:images?|pictures?|photos?|visual input)(?: (?:was|were|is|are|has been))?"
    r" (?:attached|provided|given|uploaded)\b"
)
_IS_BLIND = re.compile(
    r"(?:\b(?:cannot|can not|unable to|not able to)|\b(?:ca|do)n't)\s+(?:\w+ly\s+)?"
    r"(?:see|view|access|open|have access to) (?:(?:the|this|that|an|any|your) )?(?:images?|pictures?|photos?)\b"
    r"(?! (?:clearly|well|in detail))"
)
"""What follows is made up."""
_CONCEDES = re.compile(r"\b(?:but|however|though|although|still|yet|(?:best|my) guess|i'd|i would|that said)\b")


def first_sentence(text: str) -> str:
    end = _SENTENCE_END.search(text)
    return text[: end.start()] if end else text


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return _SENTENCE_END.split(text)


def is_denied(text: str, start: int, end: int | None = None) -> bool:
    """Whether the word that begins there is excluded by its clause: `not simple`, `rather than low`, `no cars on the
    left`. end: of the word, where what follows counts, too: `people are fewer than cars`."""
    before = text[max(0, start - CLAUSE_CHARS) : start]
    breaks = list(_BREAK.finditer(before))
    if _DENIES.search(before[breaks[-1].end() :] if breaks else before):
        return True
    if end is None:
        return False
    after = text[end : end + CLAUSE_CHARS]
    ends = _BREAK.search(after)
    return _LESSER.search(after[: ends.start()] if ends else after) is not None


def takes_back(rest: str) -> bool:
    """Whether what follows an answer corrects it, or offers another one: `3. Actually, 4`, `3 (or 4)`."""
    return _TAKES_BACK.search(rest) is not None


def declines(text: str) -> bool:
    """Whether a text says that the question cannot be answered, and gives no answer all the same.

    `I cannot tell, but about 5` answers it, and so does `Yes, but I cannot tell how many`.
    """
    if _IS_BLIND.search(text):
        return True
    for match in _DECLINES.finditer(text):
        sentence = text[: match.start()]
        begins = max(sentence.rfind(mark) for mark in (". ", "! ", "? ", "\n")) + 1
        conceded = _CONCEDES.search(sentence[begins:].lstrip(), 1)
        if conceded is None and not _CONCEDES.search(text, match.end()):
            return True
    return False

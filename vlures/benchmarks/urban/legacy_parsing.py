"""How the benchmark's original evaluation reads answers, as far as it is known: for comparison with published numbers
alone. What it cannot read becomes "no", 0 or "unknown", which is why `parsing` is what scores otherwise.

The rules are known from a description of the original code, not from the code: lists that the description only begins
are marked in UNSETTLED.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

LegacyReading = Literal["binary", "scalar", "count", "category", "layout", "object"]

UNSETTLED: Mapping[LegacyReading, str] = {
    "count": "the original's list of number words, and their order, are known in part",
    "category": "the original's list of cue words is known in part",
    "object": "the original's lists of stop words and of merged objects are known in part",
}
"""Why a reading may differ from the original's."""

LARGEST = 1000
"""Numbers beyond it become 0."""

_MARKS = re.compile(r"```\w*|[*_`]")
_YES_NO = re.compile(r"\b(yes|no)\b")
_MARKED = re.compile(r"answer:\s*([a-z]+)")
_MARKED_PHRASE = re.compile(r"answer:\s*([a-z ]+)")
_CLOSEST = re.compile(r"([a-z]+) is (?:the )?closest")
_TRUE = re.compile(r"\b(?:true|correct|present|visible|contains)\b")
_DECIMAL = re.compile(r"-?\d{1,300}\.\d{1,300}")
_WHOLE = re.compile(r"-?\d{1,300}")
_AMOUNTS = {
    **{"0 to 1": 0.5, "couple": 2, "few": 3, "several": 4, "some": 4, "many": 6, "a lot": 8, "dozen": 12},
    **{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    "ten": 10,
}
"""Found within words too: "phones" is 1."""
_CUES = {
    "high": ("extensive", "complex", "varied"),
    "moderate": ("moderate", "some"),
    "low": ("simple", "flat"),
}
_SIDES = (("left", ("left",)), ("right", ("right",)), ("even", ("even", "centre", "center", "both", "middle")))
_MERGED = {
    **dict.fromkeys(("car", "bus", "truck", "van", "train", "motorcycle", "bicycle"), "vehicle"),
    **dict.fromkeys(("tree", "trees", "grass", "plant", "plants", "vegetation"), "greenery"),
    **dict.fromkeys(("people", "pedestrian", "pedestrians", "man"), "person"),
    **dict.fromkeys(("house", "tower", "skyscraper", "office"), "building"),
}
_STOP_WORDS = frozenset(
    {"the", "and", "are", "was", "were", "this", "that", "there", "with", "from"}
    | {"image", "street", "view", "object", "closest", "camera", "light"}
)
"""`light`, because "traffic light" is known to be read as "traffic"."""


def clean(text: str) -> str:
    """Small letters, only the last turn of the assistant, without Markdown."""
    text = text.lower()
    before, mark, last = text.rpartition("### assistant:")
    return _MARKS.sub("", last if mark and "### human" in before else text).strip()


def read_binary(text: str) -> float:
    text = clean(text)
    if said := _YES_NO.findall(text):
        return float(said[-1] == "yes")
    if (marked := _MARKED.search(text)) and marked[1] in ("yes", "no", "true", "false"):
        return float(marked[1] in ("yes", "true"))
    return 1.0 if _TRUE.search(text) else 0.0  # words that mean no, and what says nothing


def read_scalar(text: str) -> float:
    return _read_digits(clean(text))


def read_count(text: str) -> float:
    text = clean(text)
    for word, amount in _AMOUNTS.items():
        if word in text:
            return float(amount)
    return _read_digits(text)


def _read_digits(text: str) -> float:
    found = _DECIMAL.search(text) or _WHOLE.search(text)
    value = float(found[0]) if found else 0.0
    return value if abs(value) <= LARGEST else 0.0


def read_category(text: str) -> str:
    text = clean(text)
    if (marked := _MARKED.search(text)) and marked[1] in _CUES:
        return marked[1]
    for name, cues in _CUES.items():
        if any(cue in text for cue in cues):
            return name
    return next((name for name in _CUES if name in text), "unknown")


def read_layout(text: str) -> str:
    text = clean(text)
    return next((side for side, words in _SIDES if any(word in text for word in words)), "other")


def read_object(text: str) -> str:
    text = clean(text)
    if marked := _MARKED_PHRASE.search(text):
        name = marked[1].strip()
    elif closest := _CLOSEST.search(text):
        name = closest[1]
    else:
        words = [word for word in re.findall(r"[a-z]+", text) if len(word) > 2 and word not in _STOP_WORDS]
        name = words[-1] if words else "unknown"
    return _MERGED.get(name, name)

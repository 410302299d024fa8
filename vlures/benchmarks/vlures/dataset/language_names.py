"""Recognises languages in a dataset's own words: in a table's column or a folder's name."""

from __future__ import annotations

import re

from vlures.benchmarks.vlures.languages import LANGUAGES, Language, find_language
from vlures.files.names import as_read

OTHER_NAMES = {
    "En": ("eng", "en"),
    "Jp": ("jpn", "ja", "日本語"),
    "Sw": ("swa", "swh", "sw", "Kiswahili"),
    "Ur": ("urd", "ur", "اردو"),
}
"""Other names of our languages in datasets: ISO 639-1, ISO 639-3 and the languages' own names."""

_BY_OTHER_NAME = {name.casefold(): LANGUAGES[code] for code, names in OTHER_NAMES.items() for name in names}


def find_spoken_language(word: str) -> Language | None:
    """The language of a table's word: a code, a name, also with a region (`en-GB`, `ja_JP`); None if it is none of
    ours."""
    word = as_read(word).strip()
    whole = find_language(word) or _BY_OTHER_NAME.get(word.casefold())
    if whole is not None:
        return whole
    region = re.fullmatch(r"([A-Za-z]{2,3})[-_][A-Za-z0-9_-]{2,}", word)
    return find_spoken_language(region[1]) if region else None


def find_folder_language(name: str) -> Language | None:
    """The one language that a folder's name names, as in `En`, `english` or `ImagesTextEn1K`; None if none or
    several."""
    whole = find_spoken_language(name)
    if whole is not None:
        return whole
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_A-Za-z]+", name)
    named = {language.code: language for word in words if (language := find_spoken_language(word))}
    return next(iter(named.values())) if len(named) == 1 else None

"""What a sheet says to its rater, in the language of its answers. Languages without words of their own get English."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from vlures.files.reading import parse_toml
from vlures.judge.packs import load_pack

Direction = Literal["ltr", "rtl"]
_FILES = {"en": "English.toml", "ja": "Japanese.toml", "sw": "Swahili.toml", "ur": "Urdu.toml"}
_RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ps", "sd", "ug", "ur", "yi"})


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of a sheet."""

    tag: str
    """Of their language, BCP 47."""
    direction: Direction
    title: str
    instructions: Sequence[str]
    scale: str
    """The heading of the anchors."""
    anchors: Mapping[int, str]
    """Score → what it means, lowest first: the judge's own words, so that both use one scale."""
    columns: Mapping[str, str]
    workbook: Mapping[str, str]
    page: Mapping[str, str]

    @property
    def rubric(self) -> str:
        """Digest of what decides a score: the instructions and the anchors."""
        text = "\n".join([*self.instructions, *(f"{score} {meaning}" for score, meaning in self.anchors.items())])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def find_wording(language: str | None) -> Wording:
    """The words for answers in a language (a BCP 47 tag; None: unknown)."""
    tag = (language or "en").partition("-")[0].lower()
    name = _FILES.get(tag, _FILES["en"])
    words = parse_toml((resources.files(__name__.rpartition(".")[0]) / "words" / name).read_bytes())
    return Wording(
        words["tag"],
        words["direction"],
        words["title"],
        tuple(words["instructions"]),
        words["scale"],
        load_pack(words["tag"]).overall.anchors(),
        words["columns"],
        words["workbook"],
        words["page"],
    )


def all_wordings() -> list[Wording]:
    return [find_wording(tag) for tag in _FILES]


def direction_of(text: str, language: str | None) -> Direction:
    """The direction in which most of a text's letters run; that of its language where it has none."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    right, left = sum(kind in ("R", "AL") for kind in kinds), kinds.count("L")
    if right != left:
        return "rtl" if right > left else "ltr"
    return _direction_of_language(language)


def is_in_its_direction(direction: Direction, language: str | None) -> bool:
    """Whether a text that runs so may be in the language."""
    return language is not None and direction == _direction_of_language(language)


def _direction_of_language(language: str | None) -> Direction:
    return "rtl" if (language or "").partition("-")[0].lower() in _RIGHT_TO_LEFT else "ltr"

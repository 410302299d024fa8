"""How a judge is instructed and what its scores mean, from one TOML pack per language.

`load_pack` reads the package's own packs, or a user's from a folder (`--rubric DIR`), with every key checked. The words
of a pack reach people as well: sheets for raters show the same anchors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal, get_args

import msgspec

from vlures.errors import VluresError
from vlures.files.reading import LARGEST_TOML_BYTES, UnusableFile, parse_toml, read_file

Criterion = Literal["faithful", "complete", "on_task", "language", "rationale"]
CRITERIA: tuple[Criterion, ...] = get_args(Criterion)
"""rationale is judged only where rationales are."""

GENERAL = "general"
"""The rubric of tasks that have none of their own."""

ENGLISH = "English"
PACKS: Mapping[str, str] = {"en": ENGLISH, "ja": "Japanese", "sw": "Swahili", "ur": "Urdu"}
"""BCP 47 tag → name of the pack."""


class Levels(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What three of the scores from 0 to 5 mean."""

    zero: str = msgspec.field(name="0")
    three: str = msgspec.field(name="3")
    five: str = msgspec.field(name="5")

    def lines(self) -> tuple[str, ...]:
        return (f"0: {self.zero}", f"3: {self.three}", f"5: {self.five}")


class CriterionText(Levels, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A criterion and its anchors."""

    what: str


class Rubric(Levels, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a task asks for, and what the scores for it mean."""

    asks: tuple[str, ...]


class Overall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The anchors of the overall score."""

    worst: str = msgspec.field(name="1")
    poor: str = msgspec.field(name="25")
    middling: str = msgspec.field(name="50")
    good: str = msgspec.field(name="75")
    best: str = msgspec.field(name="100")

    def anchors(self) -> Mapping[int, str]:
        return {1: self.worst, 25: self.poor, 50: self.middling, 75: self.good, 100: self.best}


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The headings and sentences of a judge's prompt."""

    asks: str
    levels: str
    criteria: str
    overall: str
    task: str
    article_given: str
    article_not_given: str
    answer: str
    answer_only: str
    whole: str
    closing: str


class Pairwise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How two answers are compared."""

    instructions: str
    first: str
    second: str
    closing: str


class Padding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sentences without content, which must not raise a score."""

    before: str
    after: str


class JudgePack(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language's wording."""

    language: str
    tag: str
    """BCP 47."""
    direction: Literal["ltr", "rtl"]
    instructions: str
    words: Words
    criteria: dict[Criterion, CriterionText]
    overall: Overall
    rubrics: dict[str, Rubric]
    pairwise: Pairwise
    padding: Padding

    def rubric(self, name: str) -> Rubric:
        """The rubric of a task, or the general one."""
        return self.rubrics.get(name) or self.rubrics[GENERAL]


def load_pack(tag: str, directory: Path | None = None) -> JudgePack:
    """The pack of a language, from `directory` if it is given, else the package's own.

    tag: BCP 47, one of PACKS. Raises VluresError naming the file and what is missing, unknown or of the wrong kind.
    """
    name = f"{PACKS[tag]}.toml"
    if directory is None:
        return _load_own(name)
    path = directory / name
    try:
        return read_pack(read_file(path, LARGEST_TOML_BYTES), str(path), tag)
    except UnusableFile as error:
        raise VluresError(
            f"The judge's pack {path} {error}; name a folder with --rubric that holds {name} (docs/judge.md)."
        ) from error


@cache
def _load_own(name: str) -> JudgePack:
    tag = next(tag for tag, language in PACKS.items() if f"{language}.toml" == name)
    return read_pack((resources.files(__name__) / name).read_bytes(), f"vlures/judge/packs/{name}", tag)


def read_pack(data: bytes, source: str, tag: str) -> JudgePack:
    """Parse and check the bytes of a pack. source: its name in messages. Raises VluresError."""
    try:
        pack = msgspec.convert(parse_toml(data), JudgePack)
    except (UnusableFile, msgspec.ValidationError) as error:
        reason = str(error)
        raise VluresError(f"The judge's pack {source} cannot be used: {reason[0].lower()}{reason[1:]}.") from error
    if pack.tag != tag:
        raise VluresError(f"{source}: `tag` is {pack.tag!r}, but the file is the pack of {PACKS[tag]} ({tag}).")
    if lacking := [name for name in CRITERIA if name not in pack.criteria]:
        raise VluresError(f"{source}: `criteria.{lacking[0]}` is missing; add it, as the package's own packs have it.")
    if GENERAL not in pack.rubrics:
        raise VluresError(f"{source}: `rubrics.{GENERAL}` is missing; tasks without a rubric of their own need it.")
    if empty := _find_empty(msgspec.to_builtins(pack)):
        raise VluresError(f"{source}: `{empty}` must be a text that is not empty.")
    return pack


def choose_pack(packs: Mapping[str, JudgePack], language: str | None) -> JudgePack:
    """The pack that instructs a judge about answers in a language: English where that language has none."""
    return packs.get(language or "en") or packs["en"]


def digest_pack(pack: JudgePack) -> str:
    """SHA-256 of all words of a pack, in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(pack, order="sorted")).hexdigest()


def _find_empty(value: object, above: str = "") -> str | None:
    """The first key whose text is blank."""
    if isinstance(value, dict):
        inner = [(f"{above}.{key}" if above else str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        inner = [(above, item) for item in value] or [(above, "")]
    else:
        return above if isinstance(value, str) and not value.strip() else None
    return next(filter(None, (_find_empty(item, key) for key, item in inner)), None)

"""The options of the street-view benchmark: which QA file is asked, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from vlures.benchmarks.urban.subtypes import all_groups, find_subtype
from vlures.benchmarks.urban.variant import PromptStyle, UrbanVariant
from vlures.config.options import option, read_folder, read_ids, read_texts, read_words
from vlures.config.sections import PositiveInt
from vlures.errors import UsageError
from vlures.records import Cell


def _read_groups(value: Any, place: str) -> list[str]:
    """Evaluation groups and subtypes, each once."""
    words = [word.strip() for word in read_words(value, place)]
    for word in words:
        if word not in all_groups() and find_subtype(word) is None:
            raise UsageError(f"{place}: {word!r} is neither a subtype nor one of the groups {', '.join(all_groups())}.")
    return list(dict.fromkeys(words))


@dataclass(frozen=True, kw_only=True)
class Options:
    """Which questions are asked, and how."""

    questions: str | None = option("A QA file: JSON Lines, or one JSON list.", metavar="FILE", beside=True)
    dataset: str | None = option(
        "The folder of the images; by default the QA file's own.",
        metavar="FOLDER",
        read=read_folder,
        suggest="folder",
        beside=True,
    )
    prompt_style: PromptStyle = option(
        "question asks what the QA file asks; template has one fixed wording per subtype.", "question"
    )
    cot: bool = option("Ask for reasoning, and read the answer after the last `Answer:`.", False)
    groups: tuple[str, ...] = option(
        "Take only questions of these evaluation groups or subtypes.", (), metavar="GROUPS", read=_read_groups
    )
    limit: PositiveInt | None = option("Take only the first N questions.")
    samples: tuple[str, ...] = option("Take only the questions with these IDs.", (), metavar="IDS", read=read_ids)
    follow_links: bool = option("Follow links to images that lead out of their folder.", False)

    @property
    def variant(self) -> UrbanVariant:
        return UrbanVariant(self.prompt_style, self.cot)

    def check(self, place: Callable[[str], str]) -> None:
        """Raises UsageError if no QA file is named. place: where an option was given."""
        if self.questions is None:
            raise UsageError("--benchmark urban needs a QA file: add --questions FILE (JSON Lines or one JSON list).")
        if not self.questions.strip():
            raise UsageError(f"{place('questions')} is empty; name a QA file (JSON Lines or one JSON list).")


SELECTS = ("groups",)
"""The options that read_selection takes."""


def read_selection(selection: Mapping[str, Any]) -> Callable[[Cell], bool]:
    """A test of whether a cell is one of the selected groups. Raises UsageError."""
    if unknown := selection.keys() - set(SELECTS):
        raise UsageError(f"`{min(unknown)}` selects nothing; name groups.")
    groups = read_texts(selection["groups"], "`groups`")
    return lambda cell: cell in groups

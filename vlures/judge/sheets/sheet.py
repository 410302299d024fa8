"""One rater's sheet as a workbook and a page both show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlures.judge.sheets.arranging import Item
from vlures.judge.sheets.shown import digest_shown, show
from vlures.judge.sheets.thumbnails import Thumbnail
from vlures.judge.sheets.wording import Wording


@dataclass(frozen=True, slots=True)
class Row:
    """What a rater sees of an item."""

    id: str
    image: str
    """Digest of the image: which thumbnail."""
    task: str
    article: str | None
    answer: str

    @property
    def digest(self) -> str:
        return digest_shown((self.task, self.article or "", self.answer))


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that goes into one rater's files."""

    set: str
    rater: str
    language: str | None
    """Of the answers."""
    wording: Wording
    rows: Sequence[Row]
    thumbnails: Mapping[str, Thumbnail]
    """By the image's digest."""


def make_rows(items: Sequence[Item]) -> list[Row]:
    """The rows of a sheet in order."""
    return [
        Row(
            item.id,
            item.about.image.digest,
            show(item.about.task),
            show(item.about.article) if item.about.article is not None else None,
            show(item.answer),
        )
        for item in items
    ]

"""Returned rows beside the key: which are scores of which answers, and what is wrong with the others. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlures.judge.sheets.key import Key, KeyRow, KeySheet
from vlures.judge.sheets.layout import FIRST_ROW
from vlures.judge.sheets.returned import Entry, Returned


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a returned file that is not a score."""

    path: Path
    place: str
    """`row 7`; empty for the whole file."""
    why: str

    def __str__(self) -> str:
        return f"{self.path}{', ' if self.place else ''}{self.place}: {self.why}"


@dataclass(frozen=True, slots=True)
class Rating:
    """What a rater said of a row of the key, or why it said nothing."""

    sheet: KeySheet
    row: KeyRow
    score: int | None
    missing: str | None
    """As a Verdict has it."""
    comment: str


@dataclass(frozen=True, slots=True)
class Matched:
    """The returned files beside the key."""

    ratings: Sequence[Rating]
    """Of every row of each rater of whom something came back."""
    problems: Sequence[Problem]
    unrated: Mapping[Path, Sequence[int]]
    """File → places of the rows that have no score yet."""
    absent: Sequence[str]
    """Raters of whom nothing came back."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What one file has of a row."""

    path: Path
    place: str
    entry: Entry


def match(returned: Sequence[Returned], key: Key) -> Matched:
    """Which score each row of the key has. A row whose texts or ID were changed, and one that has two different scores,
    has none."""
    problems: list[Problem] = []
    unrated: dict[Path, list[int]] = {}
    came_back: list[KeySheet] = []
    found: dict[tuple[str, str], list[_Found]] = {}
    for file in returned:
        sheet = _find_sheet(file, key, problems)
        if sheet is None:
            continue
        if sheet not in came_back:
            came_back.append(sheet)
        for one in _known_rows(file, sheet, key, problems):
            found.setdefault((sheet.rater, one.entry.id or ""), []).append(one)
            if one.entry.score is None and one.entry.problem is None:
                unrated.setdefault(file.path, []).append(one.entry.place)
    ratings = []
    for sheet in came_back:
        for row in sheet.rows:
            ratings.append(_rate(sheet, row, found.get((sheet.rater, row.id), []), problems))
    there = {sheet.rater for sheet in came_back}
    absent = [sheet.rater for sheet in key.sheets if sheet.rater not in there]
    return Matched(ratings, problems, unrated, absent)


def _find_sheet(file: Returned, key: Key, problems: list[Problem]) -> KeySheet | None:
    if file.set != key.set:
        why = f"it belongs to the set {file.set!r}, not to {key.set!r}, so none of its {len(file.rows):,} rows is taken"
        problems.append(Problem(file.path, _range(file), f"{why}; name its own key with --key"))
        return None
    sheet = next((sheet for sheet in key.sheets if sheet.rater == file.rater), None)
    if sheet is None:
        raters = ", ".join(sheet.rater for sheet in key.sheets)
        why = f"the set has no rater {file.rater!r}, only {raters}; put back what the first row says"
        problems.append(Problem(file.path, _range(file), why))
    return sheet


def _range(file: Returned) -> str:
    places = [row.place for row in file.rows]
    return f"{file.unit}s {min(places)} to {max(places)}" if len(places) > 1 else ""


def _known_rows(file: Returned, sheet: KeySheet, key: Key, problems: list[Problem]) -> Iterator[_Found]:
    """The file's rows that are rows of the sheet, unchanged."""
    rows = {row.id: row for row in sheet.rows}
    others = {row.id: other.rater for other in key.sheets if other is not sheet for row in other.rows}
    for entry in file.rows:
        place = f"{file.unit} {entry.place}"
        row = rows.get(entry.id or "")
        if why := _refuse(file, sheet, entry, row, others):
            problems.append(Problem(file.path, place, why))
            if row is None:
                continue
            yield _Found(file.path, place, replace(entry, score=None, problem=why))
            continue
        if entry.problem is not None:
            problems.append(Problem(file.path, place, f"{entry.problem}; the score is left missing"))
        yield _Found(file.path, place, entry)
    there = {entry.id for entry in file.rows}
    for number, row in enumerate(sheet.rows, start=1 if file.is_page else FIRST_ROW + 1):
        if row.id not in there:
            why = f"the row with the ID {row.id!r}, which stood here, is gone; its score is left missing"
            problems.append(Problem(file.path, f"{file.unit} {number}", why))


def _refuse(file: Returned, sheet: KeySheet, entry: Entry, row: KeyRow | None, others: Mapping[str, str]) -> str | None:
    if entry.id is None:
        return "it has no ID, so what it rates is unknown; put the ID back"
    if row is None:
        if entry.id in others:
            return f"its ID {entry.id!r} belongs to the sheet of {others[entry.id]}; it is not taken"
        return f"this set has no row with the ID {entry.id!r}; put the ID back"
    if entry.digest != (row.shown_digest if file.is_page else row.cells_digest):
        return "its task, article or answer was changed, so the score may be of another text; it is not taken"
    if not file.is_page and row.long and file.texts_digest != sheet.texts_digest:
        return "its long text was changed on the sheet of long texts, so the score may be of another; it is not taken"
    return None


def _rate(sheet: KeySheet, row: KeyRow, found: Sequence[_Found], problems: list[Problem]) -> Rating:
    """The score of a row. Where the files, or two rows of one file, say different things, it has none."""
    scored = [one for one in found if one.entry.score is not None]
    scores = {one.entry.score for one in scored}
    refused = [one.entry.problem for one in found if one.entry.problem is not None]
    comment = next((one.entry.comment for one in found if one.entry.comment), "")
    if len(scores) > 1:
        first = scored[0]
        for one in scored[1:]:
            if one.entry.score != first.entry.score:
                where = f"{first.place}{'' if first.path == one.path else f' of {first.path}'}"
                why = (
                    f"{sheet.rater} rated this answer {one.entry.score} here and {first.entry.score} in {where}; "
                    "neither is taken"
                )
                problems.append(Problem(one.path, one.place, why))
        return Rating(sheet, row, None, f"invalid: rated twice, {_list(scores)}", comment)
    if refused:
        return Rating(sheet, row, None, f"invalid: {refused[0]}", comment)
    if not scores:
        return Rating(sheet, row, None, "due", comment)
    return Rating(sheet, row, scores.pop(), None, comment)


def _list(scores: Iterable[int | None]) -> str:
    return " and ".join(str(score) for score in sorted(score for score in scores if score is not None))

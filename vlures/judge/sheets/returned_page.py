"""What the page saves, as rows: JSON that may have been edited, or be anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vlures.files.reading import UnusableFile, read_file
from vlures.judge.sheets.returned import Entry, Returned, UnusableSheet
from vlures.judge.sheets.scores import NoScore, read_number

PAGE_FORMAT = "vlures ratings, 1"
LARGEST_BYTES = 50_000_000
_NAMES = ("format", "set", "rater", "ratings")


def read_saved_page(path: Path) -> Returned:
    """Raises UnusableSheet."""
    try:
        content = json.loads(read_file(path, LARGEST_BYTES).decode("utf-8-sig"), object_pairs_hook=_once)
    except UnusableFile as error:
        raise UnusableSheet(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise UnusableSheet(f"is no readable JSON ({error}); save it again from the page") from error
    if not isinstance(content, dict) or content.get("format") != PAGE_FORMAT:
        raise UnusableSheet(f"is no file that the page saved (its `format` is not {PAGE_FORMAT!r})")
    if missing := [name for name in _NAMES if name not in content]:
        raise UnusableSheet(f"lacks {', '.join(missing)}; save it again from the page")
    ratings = content["ratings"]
    if not isinstance(ratings, list) or not all(isinstance(one, dict) for one in ratings):
        raise UnusableSheet("has ratings that are not a list of objects; save it again from the page")
    rows = [_read_entry(place, one) for place, one in enumerate(ratings, start=1)]
    return Returned(path, _text(content["set"]), _text(content["rater"]), rows, "answer", True, None)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are each there once: of two scores, neither is taken."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{doubled!r} is there twice in one object")
    return found


def _read_entry(place: int, one: dict[str, Any]) -> Entry:
    number = one.get("number")
    if isinstance(number, int) and not isinstance(number, bool):
        place = number
    score, problem = None, None
    given = one.get("score")
    try:
        score = None if given is None or given == "" else read_number(given)
    except NoScore as reason:
        problem = str(reason)
    found, digest = one.get("id"), one.get("digest")
    comment = one.get("comment")
    return Entry(
        place,
        found if isinstance(found, str) and found else None,
        digest if isinstance(digest, str) else "",
        score,
        problem,
        comment if isinstance(comment, str) else "",
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

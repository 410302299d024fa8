"""Answers that are letter by letter the same under several IDs.

Some original scripts sent up to eight images in one request and stored the one reply under all of their IDs. Such a
text is about none of them alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

LEAST_CHARACTERS = 40
"""Shorter answers (`Yes.`, a number, a place) may well be the same."""
MOST_NAMED = 5


def find_same_answers(answers: Mapping[str, str], least: int = LEAST_CHARACTERS) -> list[list[str]]:
    """The IDs that share a text of at least so many characters, the largest group first. answers: by ID."""
    by_text: dict[str, list[str]] = {}
    for sample_id, text in answers.items():
        if len(text) >= least:
            by_text.setdefault(text, []).append(sample_id)
    return sorted((ids for ids in by_text.values() if len(ids) > 1), key=len, reverse=True)


def describe_same_answers(groups: Sequence[Sequence[str]]) -> str:
    """A sentence without its full stop. groups: at least one, as find_same_answers gives them."""
    listed = ", ".join(groups[0][:MOST_NAMED])
    more = f" and {len(groups[0]) - MOST_NAMED:,} more" if len(groups[0]) > MOST_NAMED else ""
    texts = "one text is" if len(groups) == 1 else f"{len(groups):,} texts are, the most frequent"
    return (
        f"{sum(map(len, groups)):,} answers are letter by letter the same as another's: {texts} under the IDs {listed}"
        f"{more}; if one reply was stored under several IDs, it is about none of them alone"
    )

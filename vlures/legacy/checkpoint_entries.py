"""The entries of an original script's checkpoint: which are answers, which are empty, and which are neither."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from vlures.benchmarks.vlures.dataset import numeric_id
from vlures.errors import VluresError, counted

_ERROR = re.compile(r"\s*error\s*:", re.IGNORECASE)
_KEY = re.compile(r"[0-9]+|[0-9]\S*\.[A-Za-z]+|[^-\u22120-9].*", re.DOTALL)
"""A number or a name. A key that begins with a number is a name only if it has a file's suffix."""
_TEXT_FIELDS = ("text", "answer", "response")
_MOST_NAMED = 5
"""At most this many entries of a kind are named in a sentence."""


class CheckpointEntries:
    """Sorts the entries of a file into answers, empty ones and unusable ones."""

    def __init__(self) -> None:
        self.empty: set[str] = set()
        """IDs without a real text."""
        self.unusable: list[str] = []
        """Entries that cannot be answers, each with the reason."""
        self._texts: dict[str, dict[str, str]] = {}  # by ID, then by the entry's own key
        self._twice: dict[str, None] = {}
        self._count = 0

    def add(self, key: str | None, value: Any) -> None:
        """key: None for an element of a list, which holds its own ID."""
        self._count += 1
        name = f"entry {self._count}" if key is None else repr(key)
        try:
            if key is None:
                key, value = _open_element(value)
                name = f"{name}, {key!r}"
            number = _find_id(key)
            if value is None or (isinstance(value, str) and (not value.strip() or _ERROR.match(value))):
                self.empty.add(number)
                return
            _check_text(value)
        except VluresError as error:
            self.unusable.append(f"{name} ({error})")
            return
        texts = self._texts.setdefault(number, {})
        if texts.get(key, value) != value:
            self._twice[number] = None
        texts[key] = value

    def answers(self) -> dict[str, str]:
        """The answers, once all entries are added. Where several keys mean one ID and their texts differ, none is
        chosen."""
        answers = {}
        for number, texts in self._texts.items():
            if len(set(texts.values())) == 1:
                answers[number] = next(iter(texts.values()))
                continue
            self._twice.pop(number, None)
            for key in texts:
                others = _name_some([repr(other) for other in texts if other != key])
                self.unusable.append(f"{key!r} (the ID {number} has another text under {others})")
        return answers

    def problems(self) -> Iterator[str]:
        if self.unusable:
            yield f"{len(self.unusable):,} of its entries cannot be answers: {_name_some(self.unusable)}"
        if self._twice:
            ids = _name_some(list(self._twice))
            yield (
                f"{counted(len(self._twice), 'ID', 'occurs', 'occur')} more than once with different texts, of which "
                "the last was used: "
                f"{ids}"
            )


def _find_id(key: str) -> str:
    """Raises VluresError with the reason for a key that is neither a whole number nor a name with one number in it."""
    key = key.strip()
    number = numeric_id(key)
    if not _KEY.fullmatch(key):
        raise VluresError("neither a whole number nor a file's name")
    return str(number)


def _open_element(element: Any) -> tuple[str, Any]:
    """The ID and the text of an element of a list. Raises VluresError with the reason if it lacks one or has
    several."""
    if not isinstance(element, dict):
        raise VluresError(f"{_describe(element)}, not an object with an id and a text")
    fields = [name for name in _TEXT_FIELDS if name in element]
    if "id" not in element or isinstance(element["id"], bool) or not isinstance(element["id"], str | int):
        raise VluresError("it has no id")
    if len(fields) != 1:
        raise VluresError(f"it has {' and '.join(fields) or 'none of ' + ', '.join(_TEXT_FIELDS)}")
    return str(element["id"]), element[fields[0]]


def _check_text(value: Any) -> None:
    if not isinstance(value, str):
        raise VluresError(f"{_describe(value)}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise VluresError("its text holds half a character") from error


def _describe(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}
    return kinds.get(type(value), "null" if value is None else "a number")


def _name_some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED:,} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more

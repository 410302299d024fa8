"""Reads a JSON file that may be cut off or damaged, entry by entry, up to the first fault."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlures.errors import VluresError

_BLANKS = re.compile(r"[ \t\r\n]*")
_CLOSING = {"{": "}", "[": "]"}
_DECODER = json.JSONDecoder()


class TornError(Exception):
    """The text is unreadable from a position on; every entry before it was returned."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.position = position

    def describe(self, text: str, bytes_before: int) -> str:
        """bytes_before: those of the file before the text."""
        beginning = text.lstrip()[:1]
        if not beginning:
            return "it is empty"
        if beginning not in _CLOSING:
            return "it holds neither an object nor a list of answers, so nothing of it was read"
        whole = text[: self.position].encode()
        line = _line(whole, len(whole))
        return f"it is torn after byte {bytes_before + len(whole):,} (line {line}); what may have followed was not read"


class _BrokenError(Exception):
    """There is no complete value here."""


def decode_torn(path: Path, data: bytes) -> tuple[bytes, str]:
    """The byte order mark, if any, and the text as far as it goes. Raises VluresError for another encoding than
    UTF-8."""
    data = data.rstrip(b"\0")  # a power cut may leave space without content
    mark = data[: len(BOM_UTF8)] if data.startswith(BOM_UTF8) else b""
    try:
        return mark, data[len(mark) :].decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # cut inside a character
            return mark, data[len(mark) : len(mark) + error.start].decode()
        at = len(mark) + error.start
        raise VluresError(
            f"{path} is not UTF-8 (byte {at:,}, line {_line(data, at)}), and nothing of it was imported; save it as "
            "UTF-8, or move it elsewhere to have its questions asked again."
        ) from error


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def parse_torn(text: str) -> Iterator[tuple[Any, Any]]:
    """(key, value) of an object, (None, element) of a list, one by one. Raises TornError after the last complete
    one."""
    position = _skip(text, 0)
    opening = text[position : position + 1]
    if opening not in _CLOSING:
        raise TornError(position)
    closing = _CLOSING[opening]
    position = _skip(text, position + 1)
    while text[position : position + 1] != closing:
        try:
            key, value, end = _parse_entry(text, position, named=opening == "{")
        except _BrokenError:
            raise TornError(position) from None
        following = _skip(text, end)
        mark = text[following : following + 1]
        if mark not in ("", ",", closing):  # damaged inside, so the end of the value is unknown
            raise TornError(position)
        yield key, value
        if not mark:
            raise TornError(end)
        position = following if mark == closing else _skip(text, following + 1)
    if _skip(text, position + 1) < len(text):
        raise TornError(position + 1)


def _parse_entry(text: str, position: int, *, named: bool) -> tuple[Any, Any, int]:
    key = None
    if named:
        key, position = _parse_value(text, position)
        position = _skip(text, position)
        if not isinstance(key, str) or text[position : position + 1] != ":":
            raise _BrokenError
        position = _skip(text, position + 1)
    value, position = _parse_value(text, position)
    return key, value, position


def _parse_value(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):  # RecursionError: a file of nothing but opening brackets
        raise _BrokenError from None


def _skip(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position

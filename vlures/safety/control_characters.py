"""Texts from outside, made safe for a terminal or notebook: characters that a screen would obey become visible.

Otherwise an escape sequence in a provider's error, a file's name or an answer could erase a line, write another, set
the window's title, or reverse a text (https://trojansource.codes). Letters of every script stay, and so do the joiners
that Urdu needs (U+200C, U+200D).
"""

from __future__ import annotations

import re

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_INVISIBLE = r"\u00ad\u061c\u180e\u200b\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_MARKS = r"\u200e\u200f"
"""They affect only their neighbours, and articles in Urdu contain them."""
_HALVES = r"\ud800-\udfff"

_OBEYED = re.compile(f"[{_CONTROLS}{_INVISIBLE}{_HALVES}]")
_OBEYED_IN_A_LINE = re.compile(f"[{_CONTROLS}{_INVISIBLE}{_MARKS}{_HALVES}]")
_BREAKS = re.compile(r"(?<![ \t])[ \t]*(?:\r\n|[\n\r\x0b\x0c\x85\u2028\u2029])\s*|\t")


def as_text(text: object) -> str:
    """A text of several lines, with its line breaks and tabs; other characters that a screen would obey become \\x1b or
    \\u202e."""
    return _OBEYED.sub(_name, str(text).replace("\r\n", "\n"))


def as_line(text: object) -> str:
    """The same for a sentence, a name or a table's cell, which is one line: a line break becomes a blank."""
    return _OBEYED_IN_A_LINE.sub(_name, _BREAKS.sub(" ", str(text)))


def as_toml(document: str) -> str:
    """A TOML document with TOML's own escapes for characters that a screen would obey: it parses to the same values."""
    return _OBEYED.sub(_name_in_toml, document)


def _name_in_toml(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _name(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

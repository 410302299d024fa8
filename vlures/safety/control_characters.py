"""What comes from outside, made safe to show on a terminal or in a notebook: what such a screen would obey becomes visible.

An escape sequence in a provider's error, a file's name or an answer could otherwise wipe a line, write another, set the
window's title, or turn a text about (https://trojansource.codes). Letters of every script stay, and so do the joiners that
Urdu needs (U+200C, U+200D).
"""

from __future__ import annotations

import re

_CONTROLS = r"\x00-\x08\x0b-\x1f\x7f-\x9f"
_INVISIBLE = r"\u00ad\u061c\u180e\u200b\u2028\u2029\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f"
_MARKS = r"\u200e\u200f"
"""They turn nothing about but what stands beside them, and articles in Urdu have them."""
_HALVES = r"\ud800-\udfff"

_OBEYED = re.compile(f"[{_CONTROLS}{_INVISIBLE}{_HALVES}]")
_OBEYED_IN_A_LINE = re.compile(f"[{_CONTROLS}{_INVISIBLE}{_MARKS}{_HALVES}]")
_BREAKS = re.compile(r"(?<![ \t])[ \t]*(?:\r\n|[\n\r\x0b\x0c\x85\u2028\u2029])\s*|\t")


def as_text(text: object) -> str:
    """A text of several lines, with its line breaks and tabs; everything else that a screen would obey as \\x1b or \\u202e."""
    return _OBEYED.sub(_name, str(text).replace("\r\n", "\n"))


def as_line(text: object) -> str:
    """The same of a sentence, a name or a table's cell, which is one line: a break becomes a blank."""
    return _OBEYED_IN_A_LINE.sub(_name, _BREAKS.sub(" ", str(text)))


def as_toml(document: str) -> str:
    """A TOML document with the escapes of its texts in the place of what a screen would obey: when it is read it says the same."""
    return _OBEYED.sub(_name_in_toml, document)


def _name_in_toml(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _name(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

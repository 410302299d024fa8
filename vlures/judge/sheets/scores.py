"""Which entries of a returned sheet are scores. Whole numbers from 1 to 100 are; nothing is rounded, cut or guessed."""

from __future__ import annotations

import datetime
import re

from vlures.judge.verdicts import HIGHEST, LOWEST

_DIGITS = {
    ord(first) + value: str(value)
    for first in ("\N{ARABIC-INDIC DIGIT ZERO}", "\N{EXTENDED ARABIC-INDIC DIGIT ZERO}", "\N{FULLWIDTH DIGIT ZERO}")
    for value in range(10)
}
_AROUND = "\u061c\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069\ufeff"
"""Marks of direction that a keyboard or a program may put beside a number."""
_PLAIN_FORMATS = frozenset({"general", "0", "@", "#,##0", "0.00", "0.0", "#,##0.00", "standard"})
"""Number formats in which a cell shows the number that it holds."""
_LONGEST_SHOWN = 40


class NoScore(Exception):
    """An entry is not a score. The text says why, without a full stop."""


def read_number(value: object) -> int:
    """A number or text as a score. Raises NoScore."""
    if isinstance(value, bool):
        raise NoScore(f"{str(value).upper()} is a truth value, not a score")
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        raise NoScore(f"{value} is a date or time, not a score")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int):
        return _check_range(value, str(value))
    if isinstance(value, str):
        return _read_text(value)
    raise NoScore(f"{_show(value)} is not a whole number from {LOWEST} to {HIGHEST}")


def read_cell(value: object, kind: str, number_format: str) -> int | None:
    """A cell of a workbook as a score; None for an empty one. Raises NoScore.

    kind: as openpyxl names it: `f` a formula, `e` an error, `d` a date. number_format: as the file has it: a cell that
    shows 85 % holds 0.85, and one that shows 100 % holds 1.
    """
    if kind == "f":
        raise NoScore("there is a formula; enter its result as a number")
    if kind == "e":
        raise NoScore(f"there is an error ({value})")
    if value is None or (isinstance(value, str) and not value.strip(_AROUND + " \t\r\n\u00a0\u3000")):
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and number_format.lower() not in _PLAIN_FORMATS:
        raise NoScore(f"{value:g} is shown in the format {number_format!r}, as a percentage, an amount or a date")
    return read_number(value)


def _read_text(text: str) -> int:
    plain = text.strip(_AROUND + " \t\r\n\u00a0\u3000").translate(_DIGITS)
    if re.fullmatch(r"-?[0-9]{1,9}", plain, re.ASCII) and not plain.startswith("0"):
        return _check_range(int(plain), text.strip())
    raise NoScore(f"{_show(text)} is not a whole number from {LOWEST} to {HIGHEST}")


def _check_range(number: int, shown: str) -> int:
    if not LOWEST <= number <= HIGHEST:
        raise NoScore(f"{_show(shown)} is not from {LOWEST} to {HIGHEST}")
    return number


def _show(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")

"""What a screen would obey is made visible; what people read stays."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.safety.control_characters import as_line, as_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("\x9b31m\x85", "\\x9b31m "),
        ("\u202egnp.exe\u2066\u200f", "\\u202egnp.exe\\u2066\\u200f"),
        ("a\u200bb\ufeff\u00ad", "a\\u200bb\\ufeff\\xad"),
        ("one\r\nvlures: two\u2028three\tfour\n\n", "one vlures: two three four "),
        ("half \ud83d", "half \\ud83d"),
        ("a\rb\x00\x08", "a b\\x00\\x08"),
    ],
)
def test_a_line_is_one_line_that_a_screen_obeys_nowhere(text: str, shown: str) -> None:
    assert as_line(text) == shown


def test_a_text_keeps_its_lines() -> None:
    assert as_text("one\n\ttwo\r\nthree\x1b[0m\rfour\u2028") == "one\n\ttwo\nthree\\x1b[0m\\x0dfour\\u2028"


@pytest.mark.parametrize("blank", [" ", "\t", " \t", "\n", "\r"])
def test_a_line_made_to_take_long_does_not(blank: str) -> None:
    began = time.process_time()
    as_line(f"one{blank * 300_000}two")
    assert time.process_time() - began < 20, "a square of this length would take hours"


@pytest.mark.parametrize(
    "text",
    [
        "یہ ایک کتا ہے جو پارک میں کھیل رہا ہے۔ نیم‌فاصلہ",
        "犬が公園で遊んでいる。葛\U000e0100飾",
        "Mbwa anacheza.",
        "👩‍👩‍👧 ✌️",
        "naïve café – “quoted” …",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert as_line(text) == as_text(text) == text


@given(st.text(st.characters()))
def test_nothing_gets_through(text: str) -> None:
    line = as_line(text)
    assert not any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") for character in line)
    assert not any(unicodedata.category(character) in ("Zl", "Zp", "Cs") for character in as_text(text))
    assert as_line(line) == line

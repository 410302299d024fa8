"""Values out of whatever a provider sends as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends.gemini.versions import split_version
from vlures.backends.lenient_json import as_count, as_seconds, decode_object


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"text": "a\\ud83d b"}', "a\ufffd b"),
        (b'{"text": "a\xff b"}', "a\ufffd b"),
        (b'{"text": "a", "logprob": NaN}', "a"),
        ('{"text": "کافی 二 \\ud83d\\ude00"}'.encode(), "کافی 二 😀"),
    ],
)
def test_a_paid_answer_is_read_in_spite_of_what_json_does_not_allow(data: bytes, text: str) -> None:
    content = decode_object(data)
    assert content is not None
    assert content["text"] == text
    content["text"].encode()


@given(data=st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_comes_is_an_object_that_can_be_stored_or_nothing(data: bytes | str) -> None:
    content = decode_object(data)
    if content is not None:
        json.dumps(content, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("2.5s", 2.5),
        ("-3", 0.0),
        ("1790000000000", 30 * 86_400.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Wed, 21 Oct 99999999999 07:28:00 GMT", None),
    ],
)
def test_a_wait_is_a_finite_time_of_a_month_at_most(value: str, seconds: float | None) -> None:
    assert as_seconds(value) == seconds


@given(value=st.text(max_size=40))
def test_reading_a_wait_never_fails(value: str) -> None:
    seconds = as_seconds(value)
    assert seconds is None or 0 <= seconds <= 30 * 86_400


@pytest.mark.parametrize(("value", "count"), [(5, 5), ("17", 17), (True, None), ("9" * 5_000, None), (1.5, None)])
def test_a_count_is_a_whole_number(value: Any, count: int | None) -> None:
    assert as_count(value) == count


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        (None, (None, None)),
        ("https://generativelanguage.googleapis.com", ("https://generativelanguage.googleapis.com", None)),
        ("https://generativelanguage.googleapis.com/v1beta/", ("https://generativelanguage.googleapis.com", "v1beta")),
        ("http://127.0.0.1:80/gemini/v1", ("http://127.0.0.1:80/gemini", "v1")),
        ("http://127.0.0.1:80/gemini/", ("http://127.0.0.1:80/gemini", None)),
    ],
)
def test_an_address_may_name_a_version(address: str | None, parts: tuple[str | None, str | None]) -> None:
    assert split_version(address) == parts

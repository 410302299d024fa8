"""A key is blotted out in whatever form it comes back."""

from __future__ import annotations

import base64
import io
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends import secret_variables
from vlures.safety.redaction import MARK, SHORTEST_KEY, BlottedStream, blot_all, find_secrets, make_blot

KEY = "sk-proj-Ab3/d+Ef&hI7jKlMnOpQrStUvWxYz0123456789"
blot = make_blot([KEY])


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.upper(),
        KEY.lower(),
        quote(KEY),
        quote(KEY, safe=""),
        quote(quote(KEY, safe=""), safe=""),
        KEY.replace("/", "\\/"),
        KEY.replace("&", "&amp;"),
        KEY.encode().hex(),
        base64.b64encode(KEY.encode()).decode(),
        base64.urlsafe_b64encode(KEY.encode()).decode(),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.b64encode(f"u:{KEY}:x".encode()).decode(),
        base64.b64encode(f"Bearer {KEY}\n".encode()).decode(),
        KEY[:30],
        KEY[10:],
        "sk-proj-********6789",
        "sk-***6789",
        "sk-pr…6789",
        "sk-proj...6789",
    ],
)
def test_every_form_of_a_key_is_blotted(form: str) -> None:
    text = blot(f'Incorrect API key provided: {form}. Look at "{form}", please.')
    assert text.startswith("Incorrect API key provided: ")
    assert text.count(MARK) >= 2
    assert "please." in text
    for part in (KEY[:8], KEY[-8:], "6789"):
        assert part.lower() not in text.lower()
    for place in range(len(form) - 15):
        assert form[place : place + 16] not in text


@pytest.mark.parametrize(
    "text",
    ["The dog sits.", "**skating** in the park", "sk- and sk-1", "犬", "a risk-free *** offer", "https://host/v1/chat"],
)
def test_all_else_stays(text: str) -> None:
    assert blot(text) == text


@pytest.mark.parametrize("piece", ["=", "x", "sk-", "犬", KEY[:5], KEY[-11:]])
def test_a_text_made_to_take_long_does_not(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    began = time.process_time()
    assert blot(text) == text
    assert blot(f"{text}{KEY[-12:]} {text}").startswith(MARK)
    assert time.process_time() - began < 20, "a square of this length would take hours"


def test_words_that_stand_for_no_key_are_no_secrets() -> None:
    environment = {"OPENAI_API_KEY": "lm-studio", "GOOGLE_API_KEY": "none", "HF_TOKEN": ""}
    assert find_secrets(environment, secret_variables()) == []
    assert make_blot([])("none") == "none"


def test_keys_tokens_and_passwords_of_proxies_are_found() -> None:
    environment = {
        "OPENAI_API_KEY": " sk-one-12345 ",
        "GEMINI_API_KEY": "AIza-two-12345",
        "HF_TOKEN": "hf_three12345",
        "HTTPS_PROXY": "http://me:four-12345@proxy:8080",
        "HTTP_PROXY": "http://[",
        "OTHER": "sk-five-12345",
    }
    assert find_secrets(environment, secret_variables()) == [
        "sk-one-12345",
        "AIza-two-12345",
        "hf_three12345",
        "four-12345",
    ]


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=SHORTEST_KEY), st.text(), st.text())
def test_no_key_gets_through(key: str, before: str, after: str) -> None:
    blotted = make_blot([key])
    for form in (key, json.dumps(key)[1:-1], quote(key, safe="")):
        assert form not in blotted(f"{before}{form}{after}").replace(MARK, "")


def test_values_and_streams() -> None:
    assert blot_all({KEY: [KEY, 1, None, {"a": KEY}]}, blot) == {MARK: [MARK, 1, None, {"a": MARK}]}
    inner = io.StringIO()
    stream = BlottedStream(inner, blot)
    stream.write(f"a {KEY}\n")
    stream.writelines([KEY, "\n"])
    stream.flush()
    assert inner.getvalue() == f"a {MARK}\n{MARK}\n"

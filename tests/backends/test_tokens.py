"""What texts and thinking take in tokens at each provider."""

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from vlures.backends import find_provider
from vlures.backends.openai.tokens import load_encoding
from vlures.pricing import TextCounter, expect_output
from vlures.pricing.text_tokens import LONGEST_COUNTED

OPENAI, GEMINI = find_provider("openai"), find_provider("gemini")
assert OPENAI is not None
assert GEMINI is not None


@pytest.mark.parametrize("content", [None, b"", b"not an encoding"])
def test_an_encoding_that_is_not_here_is_never_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    registry = pytest.importorskip("tiktoken.registry")
    monkeypatch.setattr(registry, "ENCODINGS", {})
    name = hashlib.sha1(b"https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken").hexdigest()
    if content is not None:
        (tmp_path / name).write_bytes(content)

    def refuse(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for folder in (str(tmp_path), str(tmp_path / "missing"), ""):
        monkeypatch.setenv("TIKTOKEN_CACHE_DIR", folder)
        assert load_encoding() is None
    assert (tmp_path / name).exists() == (content is not None)


def test_an_encoding_that_is_here_counts() -> None:
    encode = load_encoding()
    if encode is None:
        pytest.skip("o200k_base is not in tiktoken's cache on this machine")
    assert encode("hello world") == 2
    counter = TextCounter(OPENAI, "gpt-6-luna-2026-09-22")
    assert counter.by == "tiktoken's o200k_base"
    assert counter.count("hello world", "en") == 2
    long = "hello world, " * 10_000
    assert counter.count(long, "en") == pytest.approx(encode(long), rel=0.01)
    assert len(long) > LONGEST_COUNTED
    assert TextCounter(GEMINI, "gemini-3.8-flash").by == "the number of characters"


@pytest.mark.parametrize(
    ("name", "model", "parameters", "thinking"),
    [
        ("openai", "gpt-6-luna", {}, 150),
        ("openai", "gpt-6-luna", {"reasoning_effort": "none"}, 0),
        ("openai", "gpt-6-luna", {"reasoning_effort": "high"}, 600),
        ("openai", "gpt-4.1", {}, 0),
        ("gemini", "gemini-3.8-flash", {}, 500),
        ("gemini", "gemini-3.5-flash-lite", {}, 0),
        ("gemini", "gemini-3.8-flash", {"thinking_level": "low"}, 150),
        ("gemini", "gemini-2.5-flash", {"thinking_budget": 0}, 0),
        ("gemini", "gemini-2.5-flash", {"thinking_budget": 100}, 100),
        ("gemini", "gemini-2.5-flash", {"thinking_budget": -1}, 500),
    ],
)
def test_thinking_counts_as_output(name: str, model: str, parameters: dict[str, Any], thinking: int) -> None:
    provider, still = {"openai": (OPENAI, "gpt-4.1"), "gemini": (GEMINI, "gemini-2.0-flash")}[name]
    quiet = expect_output(provider, still, 100, "en", {})
    thoughtful = expect_output(provider, model, 100, "en", parameters)
    assert thoughtful.expected - quiet.expected == thinking
    assert thoughtful.low == quiet.low

"""What is special about `vlures run --sdk google-generativeai`."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.conftest import Command, Sandbox, wait_until
from tests.e2e.targets import TARGETS
from tests.e2e.test_live import OUTPUT, REQUESTS, run_of

RUN = run_of(TARGETS["gemini"])
RUN_SIX = run_of(TARGETS["gemini"], "Jp", "2")
CAREFUL = (*RUN, "--concurrency", "1", "--temperature", "0.7", "--max-output-tokens", "500")


def test_the_answers_are_those_of_the_default_sdk(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--api-key", "test-key")
    vlures.use(sandbox)
    # The SDK prefers this key to the other one, and must not be left to choose.
    vlures.environment |= {"GEMINI_API_KEY": "the wrong key"}
    for name, sdk in (("retired", "google-generativeai"), ("default", "google-genai")):
        sandbox.show("safety:times=2", "max_tokens:times=2")
        result = vlures(*CAREFUL, "--name", name, "--sdk", sdk)
        assert result.code == 0, result
    assert vlures.answers("retired") == vlures.answers("default")
    assert len(vlures.answers("retired")) == REQUESTS - 4
    sent = [(entry["digest"], entry["images"]) for entry in sandbox.ledger]
    assert sent[:REQUESTS] == sent[REQUESTS:]
    retired, default = (
        [_of_the_answer(line) for line in vlures.checkpoint_lines(name)] for name in ("retired", "default")
    )
    assert retired == default


def _of_the_answer(line: dict[str, Any]) -> dict[str, Any]:
    """Without what is of the moment, what depends on the provider's cache, and the id of a response, which the SDK
    does not hand on."""
    passing = ("time", "latency_s", "response_id", "nano_usd")
    usage = {name: count for name, count in line["usage"].items() if name != "cached_tokens"}
    return {name: value for name, value in line.items() if name not in passing} | {"usage": usage}


def test_a_run_goes_on_with_another_sdk_and_says_what_is_to_be_said_once(
    vlures: Command, shared_sandbox: Sandbox
) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show("latency:seconds=0.2")
    first = vlures(*RUN, "--concurrency", "20")  # more than the ten connections that requests keeps by itself
    assert first.code == 0, first
    assert first.err.count("2025-11-30") == 1
    assert "warning" not in first.err.lower()
    assert "pool" not in first.err.lower()
    second = vlures(*RUN, "--sdk", "google-genai")
    assert second.code == 0, second
    assert "2025-11-30" not in second.err
    assert len(shared_sandbox.ledger) == REQUESTS


def test_killed_in_the_middle_it_goes_on(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show("latency:seconds=0.1")
    process = vlures.start(*RUN, "--concurrency", "2")
    wait_until(process, lambda: len(shared_sandbox.ledger) >= 6)
    process.kill()
    process.communicate()
    shared_sandbox.show()
    result = vlures(*RUN)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert sum(shared_sandbox.paid.values()) <= REQUESTS + 2


def test_a_second_ctrl_c_does_not_wait_for_calls_that_hang(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--fault", "hang@gemini")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    wait_until(process, lambda: bool(sandbox.stats["requests"].get("generateContent")))
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert any("Press Ctrl-C again" in line for line in process.stderr)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert sandbox.ledger == []


USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 20, "totalTokenCount": 33}


def _spoken(finish_reason: int | str, *texts: str) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": text} for text in texts]}
    candidate = {"content": content, "finishReason": finish_reason}
    return {
        "candidates": [candidate],
        "usageMetadata": USAGE,
        "modelVersion": "m",
        "responseId": "r",
        "isNew": {"a": 1},
    }


def test_odd_replies_are_read_as_the_default_sdk_reads_them(vlures: Command) -> None:
    """Reasons come as numbers, as the SDK asks for them; some are newer than it is."""
    replies: list[tuple[int, object]] = [
        (200, _spoken(1, "one", " two")),
        (200, _spoken(3)),
        (200, {"promptFeedback": {"blockReason": 99}}),
        (200, _spoken(2, "cut")),
        (400, {"error": "not as Google writes it"}),
        (503, ["nor this"]),
        (200, 17),
        (200, _spoken("STOP", "six")),
    ]
    with serve(replies) as address:
        vlures.environment |= {"GEMINI_API_KEY": "k", "GOOGLE_GEMINI_BASE_URL": f"{address}/some/where/v1beta/"}
        result = vlures(*RUN_SIX, "--concurrency", "1")
    assert result.code == 3, result
    lines = {line["key"].rpartition("-")[2]: line for line in vlures.checkpoint_lines(OUTPUT)}
    assert [lines[number]["status"] for number in "123456"] == ["ok", "refused", "refused", "truncated", "failed", "ok"]
    assert [lines[number].get("finish_reason") for number in "1234"] == ["STOP", "SAFETY", "99", "MAX_TOKENS"]
    assert lines["1"]["text"] == "one two"
    assert lines["1"]["usage"] == {"input_tokens": 10, "output_tokens": 23}
    assert lines["5"]["error"]["code"] == "400 Bad Request"
    assert lines["6"]["text"] == "six"
    assert lines["6"]["attempts"] == 3


def test_what_ends_a_run_is_one_sentence(vlures: Command) -> None:
    with serve([(403, {"error": "forbidden"})]) as address:
        refused = vlures(*RUN_SIX, "--base-url", address, "--concurrency", "1")
        assert refused.code == 2, refused
        assert "GOOGLE_API_KEY or GEMINI_API_KEY is not set" in refused.err
        vlures.environment |= {"GOOGLE_API_KEY": "k"}
        refused = vlures(*RUN_SIX, "--base-url", address, "--concurrency", "1")
    assert refused.code == 1, refused
    assert "Gemini refuses the key: 403" in refused.err
    unreached = vlures(*RUN_SIX, "--base-url", address, "--first-contact-s", "0.1")
    assert unreached.code == 1, unreached
    assert "Gemini cannot be reached" in unreached.err
    other_version = vlures(*RUN_SIX, "--base-url", f"{address}/v1")
    assert other_version.code == 2, other_version
    assert "leave v1 out of the base URL" in other_version.err


@contextmanager
def serve(replies: list[tuple[int, object]]) -> Iterator[str]:
    """A server on loopback that gives one reply after the other, then no more."""
    left = iter(replies)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, document = next(left)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# The environment

QUESTIONS = ("run", "--backend", "gemini", "--mode", "live", "--dataset", "data", "--languages", "En", "--tasks", "1")


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:9", "a SOCKS proxy"),
        ("https_proxy", "http://[::1", "not a proxy's address"),
        ("REQUESTS_CA_BUNDLE", "gone.pem", "does not exist"),
        ("CURL_CA_BUNDLE", "empty.pem", "is empty"),
    ],
)
def test_a_broken_variable_is_named(vlures: Command, variable: str, value: str, words: str) -> None:
    (vlures.folder / "empty.pem").touch()
    vlures.environment |= {"GOOGLE_API_KEY": "test-key", "REQUESTS_CA_BUNDLE": "", variable: value}
    vlures.environment["GOOGLE_GEMINI_BASE_URL"] = "https://models.example"
    for options in ((), ("--sandbox",)):
        vlures(*QUESTIONS, *options).assert_stopped(2, f"{variable} is ", words, "unset")


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "http://[::1"])
def test_a_server_on_this_machine_is_reached_without_a_proxy(
    vlures: Command, shared_sandbox: Sandbox, proxy: str
) -> None:
    vlures.use(shared_sandbox)
    vlures.environment |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), proxy) | {"NO_PROXY": ""}
    result = vlures(*QUESTIONS, "--name", "mine")
    assert result.code == 0, result
    assert len(vlures.answers("mine")) == 6


@pytest.mark.parametrize("variable", ["http_proxy", "ALL_PROXY"])
def test_another_server_is_reached_through_the_proxy(vlures: Command, variable: str) -> None:
    vlures.environment |= {"GOOGLE_API_KEY": "test-key", variable: "http://127.0.0.1:9", "NO_PROXY": ""}
    result = vlures(*QUESTIONS, "--base-url", "http://models.example", "--first-contact-s", "1")
    result.assert_stopped(1, "cannot be reached", "proxy")

"""What is OpenAI's own in `vlures run --backend openai --mode live`, and other servers than OpenAI's. What every
provider's live calls share is in test_live.py."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import Command, Sandbox, make_dataset, wait_until

pytestmark = pytest.mark.warm

BACKEND = ("run", "--backend", "openai", "--mode", "live", "--dataset", "data")
LUNA = (*BACKEND, "--model", "gpt-6-luna")
RUN = (*LUNA, "--languages", "Jp", "--tasks", "2,8")
RUN_SIX = (*LUNA, "--languages", "Jp", "--tasks", "2")
OUTPUT = "gpt-6-luna"
REQUESTS = 6 + 5


def test_a_stored_line_has_all_that_came_with_the_answer(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    line = vlures.last_lines(OUTPUT)["Jp-t2-1shot-rationales-1"]
    assert line["response_id"].startswith("chatcmpl-")
    assert (line["finish_reason"], line["model"], line["attempts"]) == ("stop", "gpt-6-luna", 1)
    assert line["usage"]["input_tokens"] > 0
    assert line["usage"]["output_tokens"] > 0
    assert line["latency_s"] > 0
    assert sum(line["usage"]["cached_tokens"] > 0 for line in vlures.last_lines(OUTPUT).values()) > 0


# What ends a run


def test_an_account_without_credit_ends_the_run_and_keeps_what_came(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("error@chat:after=4,status=429,code=insufficient_quota,message=You exceeded your quota.")
    vlures.use(shared_sandbox)
    vlures(*RUN, "--concurrency", "2").assert_stopped(1, "no credit left", "You exceeded your quota.")
    assert len(vlures.answers(OUTPUT)) == len(shared_sandbox.ledger) == 4
    shared_sandbox.show()
    assert vlures(*RUN).code == 0
    assert len(shared_sandbox.ledger) == REQUESTS


def test_a_server_that_hangs_up(vlures: Command, shared_sandbox: Sandbox) -> None:
    impatient = (*RUN_SIX, "--limit", "1", "--first-contact-s", "0.3", "--retry-budget-s", "1")
    shared_sandbox.show("drop_before@chat")
    vlures.use(shared_sandbox)
    vlures(*impatient).assert_stopped(3, "has answered no call of this run", "Server disconnected")


def test_a_parameter_that_every_request_is_refused_for(vlures: Command, shared_sandbox: Sandbox) -> None:
    make_dataset(vlures.folder / "data", samples=30)
    vlures.use(shared_sandbox)
    address = ("--base-url", f"{shared_sandbox.url}/openai/v1")  # no model behind an address of one's own is judged
    result = vlures(*RUN_SIX, "--temperature", "0.5", *address)
    result.assert_stopped(1, "temperature", "no answer is stored", "400 unsupported_value")
    assert shared_sandbox.ledger == []
    assert vlures.answers(OUTPUT) == {}


# The pace


def test_flex_waits_for_room(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("flex_busy@chat:times=3")
    vlures.use(shared_sandbox)
    result = vlures(*RUN, "--service-tier", "flex")
    assert result.code == 0, result
    assert len(shared_sandbox.ledger) == REQUESTS
    assert shared_sandbox.struck == [3], "it strikes requests for flex only"


def test_rpm_holds(vlures: Command, shared_sandbox: Sandbox) -> None:
    """Eight a second of a server that takes twelve, but not the 22 of this run."""
    shared_sandbox.show("limit@chat:per_second=12")
    vlures.use(shared_sandbox)
    assert vlures(*RUN, "--languages", "Sw", "--rpm", "480").code == 0
    (limit,) = shared_sandbox.stats["faults"]
    assert (limit["seen"], limit["struck"]) == (2 * REQUESTS, 0)


# The end of the process


def has_paid(sandbox: Sandbox, answers: int) -> bool:
    return len(sandbox.ledger) >= answers


def test_kills_lose_nothing_and_pay_at_most_for_what_was_in_flight(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    concurrency = 4
    make_dataset(vlures.folder / "data", samples=20)
    run = (*LUNA, "--languages", "En,Ur", "--tasks", "1", "--concurrency", str(concurrency))
    sandbox = start_sandbox("--latency", "0.1")
    vlures.use(sandbox)
    for paid in (1, 10, 23):
        process = vlures.start(*run)
        wait_until(process, partial(has_paid, sandbox, paid))
        process.kill()
        process.communicate()
    wait_until(sandbox.process, lambda: sandbox.stats["requests"]["chat"] <= len(sandbox.ledger))
    stored, paid_before = vlures.answers(OUTPUT), len(sandbox.ledger)
    kept = {key for key, line in vlures.last_lines(OUTPUT).items() if line["status"] == "ok"}
    assert stored.keys() == {"-".join((*key.split("-")[:2], key.split("-")[-1])) for key in kept} or not stored

    result = vlures(*run)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == 40
    assert len(sandbox.ledger) - paid_before == 40 - len(kept), "what is stored is not asked again"
    assert len(sandbox.ledger) <= 40 + 3 * concurrency
    ok = [line["key"] for line in vlures.checkpoint_lines(OUTPUT) if line["status"] == "ok"]
    assert len(ok) == len(set(ok)) == 40


# Who answers


def test_another_model_that_answers_is_said_once_and_recorded(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("other_model@chat:every=2,name=somebody-else")
    vlures.use(shared_sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert result.err.count("Answers come from the model somebody-else") == 1
    models = [line["model"] for line in vlures.last_lines(OUTPUT).values()]
    assert (models.count("somebody-else"), models.count("gpt-6-luna")) == (5, 6)


PLAIN = (*BACKEND, "--model", "Qwen/any-vlm", "--languages", "Jp", "--tasks", "2,8")
LACKS = ("max_completion_tokens", "reasoning_effort", "seed", "temperature", "top_p", "service_tier", "stream", "n")


def test_a_server_of_ones_own_needs_no_key_and_gets_only_what_was_set(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    lacks = [option for name in LACKS for option in ("--plain-lacks", name)]
    sandbox = start_sandbox("--plain-reasoning", "--api-key", "nobody-has-it", *lacks)
    address = ("--base-url", f"{sandbox.url}/plain/v1")
    sandbox.show("503@plain:times=2", "empty@plain:times=1", "max_tokens_empty@plain:times=1")
    result = vlures(*PLAIN, *address)
    assert result.code == 0, result
    assert f"{REQUESTS - 1} ok, 1 truncated" in result.out.splitlines()[-1]
    lines = vlures.last_lines("Qwen-any-vlm").values()
    assert {(line["model"], line["reasoning"][:9]) for line in lines} == {("Qwen/any-vlm", "[sandbox]")}
    assert all("Synthetic thoughts" not in text for text in vlures.answers("Qwen-any-vlm").values())
    assert {entry["provider"] for entry in sandbox.ledger} == {"plain"}

    refused = vlures(*PLAIN, *address, "--seed", "5", "--name", "seeded")
    refused.assert_stopped(1, "'seed' is not known to this server", "400 BadRequestError")
    lost = vlures(*PLAIN, "--base-url", f"{sandbox.url}/plain/v2", "--name", "lost")
    lost.assert_stopped(1, "Check --base-url")


Scripted = tuple[int, dict[str, str], str]
"""A reply: status, headers, body."""


@contextmanager
def scripted_server(*replies: Scripted) -> Iterator[str]:
    """A server that gives these replies one after the other, and then answers."""
    left = list(replies)
    choice = {"message": {"role": "assistant", "content": "Finally."}, "finish_reason": "stop"}
    answer: Scripted = (200, {}, json.dumps({"id": "x", "model": "Qwen/any-vlm", "choices": [choice]}))

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = left.pop(0) if left else answer
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body.encode()))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_a_gateways_odd_replies(vlures: Command) -> None:
    """A list where an object should be, an error under status 200, errors as texts and as details."""
    run = (*BACKEND, "--model", "Qwen/any-vlm", "--languages", "Jp", "--tasks", "2")
    replies: tuple[Scripted, ...] = (
        (503, {"Retry-After": "0"}, '[{"error": {"code": 503}}]'),
        (429, {"retry-after-ms": "20"}, '{"error": "Too many."}'),
        (200, {}, '{"error": {"message": "Upstream is busy.", "code": 502}, "user_id": null}'),
        (200, {}, '{"choices": null}'),
        (200, {}, "[]"),
    )
    with scripted_server(*replies) as address:
        result = vlures(*run, "--base-url", address)
    assert result.code == 0, result
    lines = vlures.checkpoint_lines("Qwen-any-vlm")
    assert {line["text"] for line in lines} == {"Finally."}
    assert sum(line["attempts"] - 1 for line in lines) == len(replies)

    failing: Scripted = (200, {}, '{"error": {"message": "The picture is too large.", "code": 400}}')
    with scripted_server(failing) as address:
        result = vlures(*run, "--limit", "1", "--base-url", address, "--name", "failing")
    result.assert_stopped(1, "The picture is too large.")
    assert vlures.answers("failing") == {}


@contextmanager
def server_without(*refused: str) -> Iterator[tuple[str, list[str]]]:
    """A server that refuses these names of the token limit as Azure does. Gives its address, and the names that it was
    sent."""
    sent: list[str] = []
    choice = {"message": {"role": "assistant", "content": "Finally."}, "finish_reason": "stop"}
    names = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}

    class Server(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = next(name for name in names if name in body)
            sent.append(name)
            said = f"Unsupported parameter: '{name}' is not supported with this model. Use '{names[name]}' instead."
            error = {"message": said, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"}
            reply = {"error": error} if name in refused else {"id": "x", "model": "mine", "choices": [choice]}
            data = json.dumps(reply).encode()
            self.send_response(400 if name in refused else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1", sent
        server.shutdown()


@pytest.mark.parametrize(
    ("model", "refused", "other"),
    [
        ("prod-gpt5-vision", "max_tokens", "max_completion_tokens"),  # a deployment has a name of its own
        ("gpt-6-luna", "max_completion_tokens", "max_tokens"),
    ],
)
def test_a_server_that_refuses_the_token_limits_name_is_sent_the_other_one(
    vlures: Command, model: str, refused: str, other: str
) -> None:
    run = (*BACKEND, "--languages", "En", "--tasks", "1", "--model", model, "--max-output-tokens", "500")
    with server_without(refused) as (address, sent):
        result = vlures(*run, "--base-url", address, "--concurrency", "1", "--name", "mine")
    assert result.code == 0, result
    assert sent == [refused] + [other] * 6
    assert len(vlures.answers("mine")) == 6


def test_a_server_that_refuses_both_names_of_the_token_limit_is_asked_no_third_time(vlures: Command) -> None:
    run = (*BACKEND, "--languages", "En", "--tasks", "1", "--limit", "1", "--model", "mine", "--max-output-tokens", "5")
    with server_without("max_tokens", "max_completion_tokens") as (address, sent):
        result = vlures(*run, "--base-url", address, "--name", "mine")
    result.assert_stopped(1, "is not supported with this model")
    assert sent == ["max_tokens", "max_completion_tokens"]

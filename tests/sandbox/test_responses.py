"""The sandbox's responses, uploaded pictures, limits and plain server, as OpenAI's own SDK meets them over loopback."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai
import pytest
from google.genai import errors as genai_errors

from tests.sandbox.conftest import Sandbox, launch, running, stop
from tests.sandbox.questions import (
    ANIMATED,
    BROKEN,
    JPEG,
    MARKS,
    SYSTEMS,
    ask_gemini,
    batch_line,
    chat_body,
    data_url,
    draw_image,
    jsonl,
    read_lines,
    upload,
    wait_for,
)
from tests.sandbox.specs import SpecChecker
from vlures.sandbox import parse_fault
from vlures.sandbox.answers.prompt_cache import RECENT_REQUESTS, PromptCache
from vlures.sandbox.faults.active_faults import ActiveFaults
from vlures.sandbox.openai.errors import format_duration

PNG = draw_image("PNG", (90, 60))
JPEG_DIGEST = hashlib.sha256(JPEG).hexdigest()


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """A sandbox that checks requests against the published specifications; at the end it has found no violation."""
    with running(checked=True) as sandbox:
        yield sandbox
        assert sandbox.get("/sandbox/stats")["spec_violations"] == []


# ---------------------------------------------------------------- requests


def image_part(data: bytes = JPEG, **named: str) -> dict[str, Any]:
    """A picture in the request itself, or one that is named by `file_id` or `image_url`."""
    return {"type": "input_image", "detail": "auto", **(named or {"image_url": data_url(data)})}


def body_of(question: str = "What is this?", part: dict[str, Any] | None = None, /, **extra: Any) -> dict[str, Any]:
    content = [{"type": "input_text", "text": question}, part or image_part()]
    return {
        "model": "gpt-6-luna",
        "instructions": SYSTEMS["English"],
        "input": [{"role": "user", "content": content}],
        **extra,
    }


def ask(sandbox: Sandbox, *arguments: Any, **extra: Any) -> Any:
    return sandbox.openai.responses.create(**body_of(*arguments, **extra))


def response_line(custom_id: str, part: dict[str, Any] | None = None, **extra: Any) -> dict[str, Any]:
    body = body_of(f"Question {custom_id}", part, **extra)
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/responses", "body": body}


def run_lines(sandbox: Sandbox, *lines: dict[str, Any]) -> Any:
    file_id = upload(sandbox, jsonl(list(lines)))
    batch = sandbox.openai.batches.create(
        input_file_id=file_id, endpoint="/v1/responses", completion_window="24h", metadata={"run": "r1"}
    )
    return wait_for(sandbox, batch.id)


def upload_picture(sandbox: Sandbox, data: bytes = JPEG, **extra: Any) -> Any:
    return sandbox.openai.files.create(file=("picture", data), purpose="vision", **extra)


def line_errors(sandbox: Sandbox, batch: Any) -> dict[str, dict[str, Any]]:
    lines = read_lines(sandbox, batch.error_file_id)
    return {line["custom_id"]: line["response"]["body"]["error"] for line in lines}


# ---------------------------------------------------------------- responses, live


def test_a_response_is_worded_as_the_published_document_says(sandbox: Sandbox, checker: SpecChecker) -> None:
    raw = sandbox.openai.responses.with_raw_response.create(
        **body_of(
            max_output_tokens=2000,
            top_p=0.9,
            reasoning={"effort": "low", "summary": "auto"},
            text={"verbosity": "low"},
            service_tier="flex",
            store=False,
            metadata={"run": "r1"},
            prompt_cache_key="k",
        )
    )
    document = json.loads(raw.content)
    assert checker.violation("response", document) is None
    assert raw.headers["x-request-id"].startswith("req_")
    reply = raw.parse()
    assert (reply.object, reply.status, reply.model) == ("response", "completed", "gpt-6-luna")
    assert reply.id.startswith("resp_")
    assert reply.incomplete_details is None
    assert [item.type for item in reply.output] == ["reasoning", "message"]
    assert [part.type for part in reply.output[0].summary] == ["summary_text"]
    assert reply.output_text.startswith(MARKS["English"])
    assert "120" in reply.output_text
    usage = reply.usage
    assert usage.output_tokens_details.reasoning_tokens == 64
    assert usage.output_tokens > 64
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert (reply.service_tier, reply.metadata, reply.max_output_tokens) == ("flex", {"run": "r1"}, 2000)
    assert (reply.top_p, reply.store, reply.text.verbosity, reply.reasoning.effort) == (0.9, False, "low", "low")


def test_a_bare_response_has_only_its_message(sandbox: Sandbox, checker: SpecChecker) -> None:
    reply = ask(sandbox)
    assert [item.type for item in reply.output] == ["message"]
    assert checker.violation("response", json.loads(reply.model_dump_json(exclude_unset=True))) is None
    assert reply.usage.output_tokens_details.reasoning_tokens == 0
    assert reply.service_tier == "default"
    summarised = ask(sandbox, reasoning={"summary": "detailed"})
    assert summarised.output[0].summary[0].text.startswith("[sandbox]")
    assert summarised.usage.output_tokens_details.reasoning_tokens > 0
    text = sandbox.openai.responses.create(model="gpt-6-luna", input="Hello").output_text
    assert "No picture came with the request." in text


def test_the_same_question_is_the_same_at_both_endpoints(sandbox: Sandbox) -> None:
    ask(sandbox, "Twice the same?")
    sandbox.openai.chat.completions.create(**chat_body("Twice the same?"))
    messages = [
        {"type": "message", "role": "developer", "content": SYSTEMS["English"]},
        *body_of("Twice the same?")["input"],
    ]
    sandbox.openai.responses.create(model="gpt-6-luna", input=messages)
    response, chat, spelled_out = sandbox.ledger()[-3:]
    assert response["digest"] == chat["digest"] == spelled_out["digest"]
    assert (response["mode"], response["provider"], response["id"]) == ("live", "openai", None)
    assert response["images"] == [JPEG_DIGEST]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"bogus": 1}, "unknown_parameter", "Unknown parameter: 'bogus'."),
        ({"max_completion_tokens": 100}, "unknown_parameter", "Unknown parameter: 'max_completion_tokens'."),
        ({"messages": []}, "unknown_parameter", "Unknown parameter: 'messages'."),
        ({"text": {"verbose": 1}}, "unknown_parameter", "Unknown parameter: 'text.verbose'."),
        ({"reasoning": {"effrt": "low"}}, "unknown_parameter", "Unknown parameter: 'reasoning.effrt'."),
        ({"temperature": 0.2}, None, "'temperature' is not supported with this model"),
        ({"model": "gpt-4o", "reasoning": {"effort": "low"}}, "unsupported_parameter", "'reasoning.effort'"),
        ({"stream": True}, "unsupported_value", "does not stream"),
        ({"background": True}, "unsupported_value", "background"),
    ],
)
def test_a_response_is_refused_as_openai_does(
    sandbox: Sandbox, change: dict[str, Any], code: str | None, message: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=re.escape(message)) as caught:
        sandbox.openai.post("/responses", body=body_of(**change), cast_to=object)
    assert (caught.value.code, caught.value.type) == (code, "invalid_request_error")


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"max_output_tokens": 3}, "integer_below_min_value", "Expected a value >= 16, but got 3"),
        ({"reasoning": {"effort": "huge"}}, "invalid_value", "Supported values are"),
        ({"reasoning": {"summary": "long"}}, "invalid_value", "'auto', 'concise', 'detailed'"),
        ({"service_tier": "cheap"}, "invalid_value", "'flex'"),
        ({"text": {"verbosity": "loud"}}, "invalid_value", "'low', 'medium', 'high'"),
        ({"input": None}, "missing_required_parameter", "'input'"),
        ({"input": [{"role": "boss", "content": "x"}]}, "invalid_value", "'boss'"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, "invalid_value", "'input_text'"),
        ({"instructions": 5}, "invalid_type", "'instructions'"),
    ],
)
def test_what_the_document_does_not_allow_is_refused_without_it_too(
    lenient: Sandbox, change: dict[str, Any], code: str, message: str
) -> None:
    with pytest.raises(openai.BadRequestError, match=re.escape(message)) as caught:
        lenient.openai.post("/responses", body=body_of(**change), cast_to=object)
    assert caught.value.code == code


@pytest.fixture(scope="module")
def lenient() -> Iterator[Sandbox]:
    """A sandbox that checks as the provider does, without the published specifications."""
    with running() as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"image_url": "data:image/jpeg;base64,@@@"}, "invalid_base64_image"),
        ({"image_url": data_url(JPEG, "image/png")}, "invalid_image_format"),
        ({"image_url": data_url(BROKEN)}, "image_parse_error"),
        ({"image_url": data_url(ANIMATED, "image/gif")}, "invalid_image_format"),
        ({"image_url": "https://example.org/a.jpg"}, "invalid_image_url"),
        ({"image_url": data_url(JPEG), "file_id": "file-x"}, "mutually_exclusive_parameters"),
        ({"image_url": None}, "missing_required_parameter"),
        ({"file_id": "file-nowhere"}, "file_not_found"),
    ],
)
def test_a_bad_picture_is_refused(sandbox: Sandbox, part: dict[str, Any], code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sandbox, "What?", image_part(**part))
    assert caught.value.code == code
    assert str(caught.value.param).startswith("input[0].content[1]")


def test_a_token_limit_counts_the_thoughts_too(sandbox: Sandbox) -> None:
    reply = ask(sandbox, max_output_tokens=70, reasoning={"effort": "low"})
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert reply.usage.output_tokens == 70
    assert 0 < len(reply.output_text.encode()) <= 24
    empty = ask(sandbox, max_output_tokens=20, reasoning={"effort": "high"})
    assert (empty.status, empty.output, empty.output_text) == ("incomplete", [], "")
    assert empty.usage.output_tokens == empty.usage.output_tokens_details.reasoning_tokens == 20


def test_withheld_and_cut_responses(sandbox: Sandbox, checker: SpecChecker) -> None:
    kinds = ("safety", "refusal", "empty", "max_tokens", "max_tokens_empty")
    sandbox.faults(*(f"{kind}@responses:times=1" for kind in kinds), "blocked_prompt@responses:times=1")
    found = []
    for _ in kinds:
        reply = ask(sandbox)
        assert checker.violation("response", json.loads(reply.model_dump_json(exclude_unset=True))) is None
        refusals = [part for item in reply.output for part in item.content if part.type == "refusal"]
        reason = reply.incomplete_details.reason if reply.incomplete_details else None
        found.append((reply.status, reason, bool(reply.output_text), bool(refusals)))
    assert found == [
        ("incomplete", "content_filter", False, False),
        ("completed", None, False, True),
        ("completed", None, False, False),
        ("incomplete", "max_output_tokens", True, False),
        ("incomplete", "max_output_tokens", False, False),
    ]
    before = sandbox.get("/sandbox/stats")["answered"]
    with pytest.raises(openai.BadRequestError) as caught:
        ask(sandbox)
    assert caught.value.code == "invalid_prompt"
    assert sandbox.get("/sandbox/stats")["answered"] == before


def test_faults_of_requests_find_the_responses(sandbox: Sandbox) -> None:
    sandbox.faults("429@responses:times=1,retry_after=3", "503@responses:times=1", "drop_after@responses:times=1")
    sandbox.openai.chat.completions.create(**chat_body())
    with pytest.raises(openai.RateLimitError) as caught:
        ask(sandbox)
    assert caught.value.response.headers["retry-after"] == "3"
    with pytest.raises(openai.InternalServerError):
        ask(sandbox)
    before = len(sandbox.ledger())
    with pytest.raises(openai.APIConnectionError):
        ask(sandbox)
    assert len(sandbox.ledger()) == before + 1


# ---------------------------------------------------------------- responses, in a batch


def test_a_batch_of_responses(sandbox: Sandbox, checker: SpecChecker) -> None:
    file = upload_picture(sandbox)
    batch = run_lines(
        sandbox,
        response_line("a", reasoning={"effort": "minimal", "summary": "concise"}),
        response_line("b", image_part(file_id=file.id)),
        response_line("c", bogus=1),
        response_line("d", image_part(file_id="file-nowhere")),
    )
    assert (batch.status, batch.endpoint, batch.model) == ("completed", "/v1/responses", "gpt-6-luna")
    assert batch.request_counts.model_dump() == {"total": 4, "completed": 2, "failed": 2}
    output = read_lines(sandbox, batch.output_file_id)
    assert [line["custom_id"] for line in output] == ["a", "b"]
    bodies = [line["response"]["body"] for line in output]
    assert [checker.violation("response", body) for body in bodies] == [None, None]
    assert [item["type"] for item in bodies[0]["output"]] == ["reasoning", "message"]
    usages = [body["usage"] for body in bodies]
    assert batch.usage.input_tokens == sum(usage["input_tokens"] for usage in usages)
    assert batch.usage.output_tokens == sum(usage["output_tokens"] for usage in usages)
    assert batch.usage.output_tokens_details.reasoning_tokens == 16
    assert [usage["input_tokens_details"]["cached_tokens"] > 0 for usage in usages] == [False, True]
    assert batch.usage.input_tokens_details.cached_tokens == usages[1]["input_tokens_details"]["cached_tokens"]
    errors = line_errors(sandbox, batch)
    assert errors["c"]["message"] == "Unknown parameter: 'bogus'."
    assert "file-nowhere" in errors["d"]["message"]
    assert errors["d"]["type"] == "invalid_request_error"
    booked = [entry for entry in sandbox.ledger() if entry["batch"] == batch.id]
    assert [(entry["id"], entry["images"]) for entry in booked] == [("a", [JPEG_DIGEST]), ("b", [JPEG_DIGEST])]


def test_the_lines_of_a_batch_go_to_its_endpoint(sandbox: Sandbox) -> None:
    batch = run_lines(sandbox, response_line("a"), batch_line("b"))
    assert (batch.status, batch.errors.data[0].code, batch.errors.data[0].line) == ("failed", "url_mismatch", 2)


def test_withheld_responses_in_a_batch(sandbox: Sandbox) -> None:
    sandbox.faults("refusal@line:times=1", "max_tokens@line:times=1", "blocked_prompt@line:times=1")
    batch = run_lines(sandbox, *(response_line(f"k{n}") for n in range(4)))
    bodies = [line["response"]["body"] for line in read_lines(sandbox, batch.output_file_id)]
    assert [(body["status"], body["output"][0]["content"][0]["type"]) for body in bodies] == [
        ("completed", "refusal"),
        ("incomplete", "output_text"),
        ("completed", "output_text"),
    ]
    assert line_errors(sandbox, batch)["k2"]["code"] == "invalid_prompt"


def test_the_queue_limit_counts_responses_too() -> None:
    with running("--queue-tokens", "60", "--batch-seconds", "1") as sandbox:
        batch = run_lines(sandbox, *(response_line(f"k{n}") for n in range(3)))
        assert (batch.status, batch.errors.data[0].code) == ("failed", "token_limit_exceeded")


# ---------------------------------------------------------------- uploaded pictures


def test_a_picture_is_uploaded_once_and_named_often() -> None:
    with running(checked=True) as sandbox:
        file = upload_picture(sandbox, PNG, expires_after={"anchor": "created_at", "seconds": 3600})
        assert (file.purpose, file.bytes, file.expires_at) == ("vision", len(PNG), file.created_at + 3600)
        assert upload_picture(sandbox).expires_at is None
        lines = [response_line(f"k{n}", image_part(file_id=file.id)) for n in range(3)]
        batch = run_lines(sandbox, *lines)
        assert batch.request_counts.completed == 3
        reply = ask(sandbox, "And live?", image_part(file_id=file.id))
        assert "90" in reply.output_text
        digest = hashlib.sha256(PNG).hexdigest()
        assert [entry["images"] for entry in sandbox.ledger()] == [[digest]] * 4
        stats = sandbox.get("/sandbox/stats")
        assert stats["vision_uploads"] == 2
        assert stats["bytes_uploaded"] == len(PNG) + len(JPEG) + len(jsonl(lines))
        assert (stats["images_seen"], stats["images_decoded"]) == (4, 2)
        assert stats["spec_violations"] == []


@pytest.mark.parametrize(
    ("data", "extra", "code"),
    [
        (b"no picture at all", {}, "invalid_image_format"),
        (BROKEN, {}, "image_parse_error"),
        (ANIMATED, {}, "invalid_image_format"),
        (JPEG, {"expires_after": {"anchor": "created_at", "seconds": 3599}}, "invalid_value"),
        (JPEG, {"expires_after": {"anchor": "created_at", "seconds": 2_592_001}}, "invalid_value"),
    ],
)
def test_a_bad_upload_is_refused(sandbox: Sandbox, data: bytes, extra: dict[str, Any], code: str) -> None:
    before = sandbox.get("/sandbox/stats")
    with pytest.raises(openai.BadRequestError) as caught:
        upload_picture(sandbox, data, **extra)
    assert caught.value.code == code
    after = sandbox.get("/sandbox/stats")
    assert (after["vision_uploads"], after["bytes_uploaded"]) == (before["vision_uploads"], before["bytes_uploaded"])


def test_a_deleted_file_and_one_that_is_not_an_image_are_refused(sandbox: Sandbox) -> None:
    file = upload_picture(sandbox)
    sandbox.openai.files.delete(file.id)
    with pytest.raises(openai.BadRequestError, match=file.id) as caught:
        ask(sandbox, "What?", image_part(file_id=file.id))
    assert (caught.value.type, caught.value.param) == ("invalid_request_error", "input[0].content[1].file_id")
    shard = upload(sandbox, jsonl([batch_line("a")]))
    with pytest.raises(openai.BadRequestError, match="is not an image"):
        ask(sandbox, "What?", image_part(file_id=shard))


def test_an_expired_file_is_gone(tmp_path: Path) -> None:
    sandbox = launch("--state", str(tmp_path))
    file = upload_picture(sandbox, expires_after={"anchor": "created_at", "seconds": 3600})
    stop(sandbox)
    record = tmp_path / "files" / f"{file.id}.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "expires_at": file.created_at - 1}))
    with running("--state", str(tmp_path)) as sandbox:
        with pytest.raises(openai.BadRequestError, match=file.id):
            ask(sandbox, "What?", image_part(file_id=file.id))
        with pytest.raises(openai.NotFoundError):
            sandbox.openai.files.retrieve(file.id)
        assert sandbox.openai.files.list().data == []
        batch = run_lines(sandbox, response_line("a", image_part(file_id=file.id)))
        assert file.id in line_errors(sandbox, batch)["a"]["message"]


def test_a_batch_that_takes_no_file_ids(sandbox: Sandbox) -> None:
    sandbox.faults("no_file_ids")
    file = upload_picture(sandbox)
    assert ask(sandbox, "Live?", image_part(file_id=file.id)).output_text
    batch = run_lines(sandbox, response_line("a"), response_line("b", image_part(file_id=file.id)))
    assert (batch.status, batch.request_counts.completed) == ("completed", 1)
    error = line_errors(sandbox, batch)["b"]
    assert file.id in error["message"]
    assert "not supported for images in batch requests" in error["message"]
    sandbox.faults("no_file_ids_batch")
    named = response_line("b", image_part(file_id=file.id))
    failed = run_lines(sandbox, response_line("a"), named)
    assert (failed.status, failed.errors.data[0].line, failed.output_file_id) == ("failed", 2, None)
    assert file.id in failed.errors.data[0].message
    assert run_lines(sandbox, response_line("a")).status == "completed"
    sandbox.faults()
    assert run_lines(sandbox, named).request_counts.completed == 1


def test_a_file_that_goes_away(sandbox: Sandbox) -> None:
    sandbox.faults("file_gone@responses:times=1", "file_gone@line:times=1,after=1")
    first, second, third = (upload_picture(sandbox).id for _ in range(3))
    with pytest.raises(openai.BadRequestError, match=first):
        ask(sandbox, "What?", image_part(file_id=first))
    with pytest.raises(openai.NotFoundError):
        sandbox.openai.files.retrieve(first)
    assert ask(sandbox, "What?", image_part(file_id=second)).output_text
    lines = (("a", second), ("b", third), ("c", third), ("d", second))
    batch = run_lines(sandbox, *(response_line(name, image_part(file_id=file_id)) for name, file_id in lines))
    errors = line_errors(sandbox, batch)
    assert sorted(errors) == ["b", "c"]
    assert third in errors["c"]["message"]


# ---------------------------------------------------------------- pictures by URL


class Pictures(BaseHTTPRequestHandler):
    """A server of pictures on loopback, with a redirection that leads outside."""

    def do_GET(self) -> None:
        found = self.path in ("/a%20b.jpg", "/x.jpg?size=1")
        body = {"/text": b"words", "/torn.jpg": BROKEN}.get(self.path, JPEG if found else b"")
        self.send_response(302 if self.path == "/away" else 200 if body else 404)
        self.send_header("Location", "http://example.org/")
        self.send_header("Content-Length", str(len(body) + (self.path == "/text") * 5))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def image_server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_picture_by_url_is_fetched_from_this_machine(sandbox: Sandbox) -> None:
    with image_server() as base:
        reply = ask(sandbox, "What?", image_part(image_url=f"{base}/a%20b.jpg"))
        assert "120" in reply.output_text
        body = chat_body(url=f"{base}/x.jpg?size=1".replace("127.0.0.1", "localhost"))
        assert "120" in (sandbox.openai.chat.completions.create(**body).choices[0].message.content or "")
        batch = run_lines(sandbox, response_line("a", image_part(image_url=f"{base}/a%20b.jpg")))
        assert batch.request_counts.completed == 1
        assert [entry["images"] for entry in sandbox.ledger()[-3:]] == [[JPEG_DIGEST]] * 3
        for path, code in (
            ("/none", "invalid_image_url"),
            ("/away", "invalid_image_url"),
            ("/text", "invalid_image_url"),  # closed before its end
            ("/torn.jpg", "image_parse_error"),
        ):
            with pytest.raises(openai.BadRequestError) as caught:
                ask(sandbox, "What?", image_part(image_url=base + path))
            assert caught.value.code == code, path
    with pytest.raises(openai.BadRequestError, match="Error while downloading"):
        ask(sandbox, "What?", image_part(image_url=f"{base}/a%20b.jpg"))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/a.jpg",
        "http://127.0.0.1.example.org/a.jpg",
        "http://127.0.0.1@example.org/a.jpg",
        "http://192.168.0.1/a.jpg",
        "http://[::1]/a.jpg",
        "ftp://localhost/a.jpg",
        "http://127.0.0.1:99999999/a.jpg",
    ],
)
def test_the_sandbox_never_goes_outside(sandbox: Sandbox, url: str) -> None:
    for refuse in (
        lambda: ask(sandbox, "What?", image_part(image_url=url)),
        lambda: sandbox.openai.chat.completions.create(**chat_body(url=url)),
    ):
        with pytest.raises(openai.BadRequestError, match="the sandbox's limit") as caught:
            refuse()
        assert caught.value.code == "invalid_image_url"


def test_a_picture_may_come_from_the_sandbox_itself(sandbox: Sandbox) -> None:
    with pytest.raises(openai.BadRequestError, match="the server answered 401"):
        ask(sandbox, "What?", image_part(image_url=f"{sandbox.base}/openai/v1/files/file-x/content"))


# ---------------------------------------------------------------- tiers, effort, cache, model


def test_tiers_and_efforts_of_chat_completions(sandbox: Sandbox, checker: SpecChecker) -> None:
    for asked, served in (("flex", "flex"), ("priority", "priority"), ("default", "default"), ("auto", "default")):
        reply = sandbox.openai.chat.completions.create(**chat_body(service_tier=asked))
        assert reply.service_tier == served
        assert ask(sandbox, service_tier=asked).service_tier == served
    tokens = []
    for effort in ("none", "minimal", "low", "medium", "high", "xhigh"):
        reply = sandbox.openai.chat.completions.create(**chat_body(reasoning_effort=effort))
        assert checker.violation("completion", json.loads(reply.model_dump_json(exclude_unset=True))) is None
        tokens.append(reply.usage.completion_tokens_details.reasoning_tokens)
        assert tokens[-1] < reply.usage.completion_tokens
    assert tokens == sorted(set(tokens))
    assert tokens[0] == 0


def test_a_picture_seen_a_little_while_ago_is_cached(sandbox: Sandbox) -> None:
    data = draw_image("PNG", (640, 480))
    cached = [ask(sandbox, f"Question {n}", image_part(image_url=data_url(data, "image/png"))).usage for n in range(2)]
    assert [usage.input_tokens_details.cached_tokens for usage in cached] == [0, 360]
    body = chat_body("Question 3", data_url(data, "image/png"))
    usage = sandbox.openai.chat.completions.create(**body).usage
    assert usage
    assert usage.prompt_tokens_details
    assert usage.prompt_tokens_details.cached_tokens == 360
    other = sandbox.openai.chat.completions.create(**{**body, "model": "gpt-6-astra"}).usage
    assert other
    assert other.prompt_tokens_details
    assert other.prompt_tokens_details.cached_tokens == 0


def test_the_cache_forgets() -> None:
    cache = PromptCache()
    assert cache.cached_tokens("m", ("a", "b"), (10, 20)) == 0
    assert cache.cached_tokens("m", ("b", "c"), (20, 30)) == 20
    assert [cache.cached_tokens("m", ("d",), (5,)) for _ in range(RECENT_REQUESTS)] == [0] + [5] * (RECENT_REQUESTS - 1)
    assert cache.cached_tokens("m", ("c",), (30,)) == 0


def test_another_model_answers_than_the_one_asked(sandbox: Sandbox) -> None:
    sandbox.faults("other_model:name=gpt-6-luna-2026-09-01")
    assert ask(sandbox).model == "gpt-6-luna-2026-09-01"
    reply = sandbox.openai.chat.completions.create(**chat_body())
    assert (reply.model, reply.choices[0].finish_reason) == ("gpt-6-luna-2026-09-01", "stop")
    assert ask_gemini(sandbox.gemini).model_version == "gpt-6-luna-2026-09-01"
    batch = run_lines(sandbox, response_line("a"))
    (line,) = read_lines(sandbox, batch.output_file_id)
    assert line["response"]["body"]["model"] == "gpt-6-luna-2026-09-01"
    sandbox.faults("other_model@responses:times=1")
    assert [ask(sandbox).model for _ in range(2)] == ["gpt-6-luna-other", "gpt-6-luna"]


def test_flex_has_no_room(sandbox: Sandbox) -> None:
    sandbox.faults("flex_busy@chat:times=1", "flex_busy@responses:times=1")
    before = sandbox.get("/sandbox/stats")["answered"]
    assert ask(sandbox).output_text
    assert sandbox.openai.chat.completions.create(**chat_body(service_tier="default")).choices
    for refuse in (
        lambda: ask(sandbox, service_tier="flex"),
        lambda: sandbox.openai.chat.completions.create(**chat_body(service_tier="flex")),
    ):
        with pytest.raises(openai.RateLimitError, match="Resource Unavailable") as caught:
            refuse()
        assert caught.value.code == "resource_unavailable"
        assert refuse()
    assert sandbox.get("/sandbox/stats")["answered"] == before + 4


# ---------------------------------------------------------------- limits on the pace


def test_a_limit_is_told_in_openais_headers(sandbox: Sandbox) -> None:
    sandbox.faults("limit@responses:per_minute=2,retry_after=7")
    raw = [sandbox.openai.responses.with_raw_response.create(**body_of()).headers for _ in range(2)]
    assert [headers["x-ratelimit-remaining-requests"] for headers in raw] == ["1", "0"]
    before = sandbox.get("/sandbox/stats")["answered"]
    with pytest.raises(
        openai.RateLimitError, match=r"requests per min \(RPM\): Limit 2, Used 2, Requested 1\."
    ) as caught:
        ask(sandbox)
    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert (headers["retry-after"], headers["x-ratelimit-limit-requests"]) == ("7", "2")
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert re.fullmatch(r"(1m|59(\.\d+)?|5\d\.\d+|1m0)s", headers["x-ratelimit-reset-requests"])
    assert re.search(r"Please try again in [\d.]+s\.", str(caught.value))
    assert sandbox.openai.chat.completions.create(**chat_body())  # the limit stands elsewhere
    assert sandbox.get("/sandbox/stats")["answered"] == before + 1
    (listed,) = sandbox.get("/sandbox/faults")
    assert (listed["seen"], listed["struck"]) == (3, 1)


def test_a_limit_of_gemini_and_one_that_nobody_tells(sandbox: Sandbox) -> None:
    sandbox.faults("limit@gemini:per_minute=1,retry_after=9")
    assert ask_gemini(sandbox.gemini).text
    with pytest.raises(genai_errors.ClientError) as quota:
        ask_gemini(sandbox.gemini)
    details = quota.value.details["error"]["details"]
    violation = details[0]["violations"][0]
    assert ("PerMinute" in violation["quotaId"], violation["quotaValue"]) == (True, "1")
    assert details[-1]["retryDelay"] == "9s"
    sandbox.faults("limit@chat:per_minute=1,silent=1", "limit@gemini:per_minute=1,silent=1")
    assert "x-ratelimit-limit-requests" not in dict(
        sandbox.openai.chat.completions.with_raw_response.create(**chat_body()).headers
    )
    with pytest.raises(openai.RateLimitError) as silent:
        sandbox.openai.chat.completions.create(**chat_body())
    assert "try again" not in str(silent.value)
    assert not [name for name in silent.value.response.headers if name.startswith(("x-ratelimit", "retry"))]
    ask_gemini(sandbox.gemini)
    with pytest.raises(genai_errors.ClientError) as bare:
        ask_gemini(sandbox.gemini)
    assert "details" not in bare.value.details["error"]


def test_no_window_lets_more_through_than_the_limit() -> None:
    book = ActiveFaults((parse_fault("limit@chat:per_minute=3"), parse_fault("limit@chat:per_second=2")), 0)
    moments = [0.0, 0.1, 0.2, 1.05, 1.2, 59.9, 60.01, 60.1, 60.2, 61.0, 61.1]
    said = [(moment, book.admit("chat", moment)) for moment in moments]
    assert [moment for moment, allowance in said if allowance and allowance.admitted] == [
        0.0,
        0.1,
        1.05,
        60.01,
        60.1,
        61.1,
    ]
    refused = {moment: allowance.wait_s for moment, allowance in said if allowance and not allowance.admitted}
    assert refused == pytest.approx({0.2: 0.8, 1.2: 58.8, 59.9: 0.1, 60.2: 0.85, 61.0: 0.05})
    assert book.admit("responses", 0.0) is None


def moments_let_through(fault: str, moments: list[float]) -> list[float]:
    book = ActiveFaults((parse_fault(fault),), 0)
    said = [(moment, book.admit("chat", moment)) for moment in moments]
    return [moment for moment, allowance in said if allowance and allowance.admitted]


def test_a_limit_is_counted_over_any_window_or_each_by_the_clock_and_with_its_refusals_or_without() -> None:
    moments = [8.0, 9.0, 9.5, 10.5, 11.0, 18.5, 19.5]
    assert moments_let_through("limit@chat:per_minute=12,window=10", moments) == [8.0, 9.0, 18.5, 19.5]
    assert moments_let_through("limit@chat:per_minute=12,window=10,fixed=1", moments) == [8.0, 9.0, 10.5, 11.0]
    assert moments_let_through("limit@chat:per_minute=12,window=10,strict=1", moments) == [8.0, 9.0]
    assert moments_let_through("limit@chat:per_second=1,window=2", moments) == [8.0, 9.0, 10.5, 11.0, 18.5, 19.5]


def test_a_limit_by_the_clock_says_when_the_next_window_opens() -> None:
    book = ActiveFaults((parse_fault("limit@chat:per_minute=6,window=10,fixed=1"),), 0)
    assert book.admit("chat", 8.0)
    allowance = book.admit("chat", 8.5)
    assert allowance is not None
    assert (allowance.admitted, allowance.wait_s, allowance.reset_s) == (False, 1.5, 1.5)


def test_durations_are_written_as_openai_does() -> None:
    written = [format_duration(seconds) for seconds in (0, 0.1199, 1, 7.66, 59.9999, 90, 360)]
    assert written == ["0ms", "120ms", "1s", "7.66s", "1m0s", "1m30s", "6m0s"]


# ---------------------------------------------------------------- a server of one's own


def plain_client(sandbox: Sandbox, key: str = "") -> openai.OpenAI:
    return openai.OpenAI(api_key=key or "none", base_url=sandbox.base + "/plain/v1", max_retries=0, timeout=5)


def plain_body(**extra: Any) -> dict[str, Any]:
    return {**chat_body("Which colours?", data_url(PNG, "image/png")), "model": "Qwen/any-vlm", **extra}


def test_a_plain_server_takes_any_model_and_no_key() -> None:
    with running("--api-key", "right-key", "--model", "gpt-6-luna") as sandbox:
        client = plain_client(sandbox)
        assert [model.id for model in client.models.list()]
        reply = client.chat.completions.create(
            **plain_body(max_tokens=500, temperature=0.3), extra_body={"top_k": 20, "repetition_penalty": 1.05}
        )
        assert reply.model == "Qwen/any-vlm"
        assert "90" in (reply.choices[0].message.content or "")
        assert not hasattr(reply.choices[0].message, "reasoning_content")
        assert reply.usage
        assert (reply.usage.prompt_tokens_details, reply.usage.completion_tokens_details) == (None, None)
        status, body, _ = sandbox.send("POST", "/plain/v1/chat/completions", json.dumps(plain_body()).encode())
        assert (status, json.loads(body)["object"]) == (200, "chat.completion")
        assert sandbox.send("GET", "/plain/v1/files")[0] == 404
        first, second = sandbox.ledger()
        assert (first["provider"], first["mode"], first["model"]) == ("plain", "live", "Qwen/any-vlm")
        assert first["images"] == second["images"] == [hashlib.sha256(PNG).hexdigest()]


def test_a_plain_server_lacks_what_it_was_told_to_lack() -> None:
    options = ("--plain-lacks", "max_completion_tokens", "--plain-lacks", "reasoning_effort", "--plain-reasoning")
    with running(*options) as sandbox:
        client = plain_client(sandbox)
        for name, value in (("max_completion_tokens", 100), ("reasoning_effort", "low")):
            with pytest.raises(openai.BadRequestError, match=f"unknown field: '{name}'") as caught:
                client.chat.completions.create(**plain_body(**{name: value}))
            assert (caught.value.type, caught.value.param) == ("BadRequestError", name)
        message = client.chat.completions.create(**plain_body(max_tokens=100)).choices[0].message
        assert message.model_extra
        assert message.model_extra["reasoning_content"].startswith("[sandbox]")
        assert sandbox.get("/sandbox/stats")["answered"] == 1


def test_faults_and_bad_pictures_of_a_plain_server(sandbox: Sandbox) -> None:
    sandbox.faults("503@plain:times=1", "max_tokens_empty@plain:times=1", "limit@plain:per_minute=3")
    client = plain_client(sandbox)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**plain_body())
    choice = client.chat.completions.create(**plain_body()).choices[0]
    assert (choice.finish_reason, choice.message.content) == ("length", "")
    with pytest.raises(openai.BadRequestError, match="valid image") as caught:
        client.chat.completions.create(**{**plain_body(), **chat_body(url=data_url(BROKEN))})
    assert caught.value.body == {
        "message": caught.value.body["message"],  # type: ignore[index]
        "type": "BadRequestError",
        "param": "messages[1].content[1].image_url.url",
        "code": 400,
    }
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(**plain_body())

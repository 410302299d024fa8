"""The sandbox as its users meet it: a process of its own, spoken to by the providers' own SDKs over loopback."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from tests.sandbox.conftest import BATCH_S, Sandbox, gemini_client, launch, openai_client, running, stop
from tests.sandbox.questions import (
    ANIMATED,
    BROKEN,
    JPEG,
    MARKS,
    SYSTEMS,
    ask_gemini,
    batch_line,
    chat_body,
    create,
    data_url,
    draw_image,
    jsonl,
    read_lines,
    run_batch,
    upload,
    wait_for,
)
from vlures.errors import UsageError
from vlures.sandbox import FAULT_KINDS, SandboxSettings, parse_fault, serve
from vlures.sandbox.answers.questions import language_of, split_article
from vlures.sandbox.answers.sentences import repeated_words
from vlures.sandbox.faults.active_faults import ActiveFaults
from vlures.sandbox.images.tokens import gemini_image_tokens, openai_image_tokens, patches

# ---------------------------------------------------------------- OpenAI: files


def test_a_file_is_uploaded_shown_listed_read_and_deleted(sandbox: Sandbox) -> None:
    data = jsonl([batch_line("Ünïcode ‹۱›")])
    client = sandbox.openai
    file = client.files.create(
        file=("a b.jsonl", data), purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    assert (file.bytes, file.filename, file.purpose, file.status) == (len(data), "a b.jsonl", "batch", "processed")
    assert file.expires_at == file.created_at + 7200
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == data
    assert file.id in [one.id for one in client.files.list(purpose="batch", limit=2)]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError, match="No such File object"):
        client.files.retrieve(file.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


@pytest.mark.parametrize(
    ("file", "extra", "message"),
    [
        (("a.json", b"{}\n"), {}, "Invalid file format for Batch API. Must be .jsonl"),
        (("a.jsonl", b"{}\n"), {"purpose": "fun"}, "Invalid value: 'fun'"),
        (("a.jsonl", b"{}\n"), {"expires_after": {"anchor": "created_at", "seconds": 5}}, "expires_after"),
        (("a.jsonl", b""), {}, "File is empty"),
    ],
)
def test_an_upload_is_refused_as_openai_does(sandbox: Sandbox, file: Any, extra: dict[str, Any], message: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        sandbox.openai.files.create(**{"file": file, "purpose": "batch", **extra})


def test_an_upload_above_200_million_bytes_is_too_large(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    with path.open("wb") as file:
        file.truncate(200_000_001)
    with path.open("rb") as file, pytest.raises(openai.BadRequestError, match=r"File is too large\."):
        openai_client(sandbox.base, timeout_s=60).files.create(file=file, purpose="batch")


def test_a_body_that_is_no_form_is_refused(sandbox: Sandbox) -> None:
    status, body, _ = sandbox.send("POST", "/openai/v1/files", b"x", Authorization="Bearer k")
    assert status == 400
    assert "multipart" in json.loads(body)["error"]["message"]


def test_a_form_is_read_as_it_arrives(sandbox: Sandbox) -> None:
    content = b"line --xy\r\n--xy\r\n" * 200_000
    purpose = b'--xyz\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    file = b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + content

    def send(body: bytes) -> dict[str, Any]:
        names = {"Authorization": "Bearer k", "Content_Type": 'multipart/form-data; boundary="xyz"'}
        return dict(json.loads(sandbox.send("POST", "/openai/v1/files", body, **names)[1]))

    for body in (purpose + file + b"\r\n--xyz--\r\n", file + b"\r\n" + purpose + b"--xyz--"):
        uploaded = send(body)
        assert (uploaded["bytes"], uploaded["purpose"]) == (len(content), "batch")
        assert sandbox.openai.files.content(uploaded["id"]).read() == content
    assert send(file + b"\r\n--xyz--\r\n")["error"]["message"] == "Missing required parameter: 'purpose'."
    for body in (purpose + file, purpose, purpose + b"--xyz--", b"--xyz\r\n: \r\n\r\n", b"--xyz", b"no form", b""):
        assert send(body)["error"]["message"] == "Missing required parameter: 'file'."


# ---------------------------------------------------------------- OpenAI: batches


def test_a_batch_runs_from_validating_to_completed(sandbox: Sandbox) -> None:
    data = jsonl([batch_line("a"), batch_line("b"), batch_line("c", body=chat_body(bogus=1))])
    life = {"anchor": "created_at", "seconds": 3600}
    batch = create(sandbox, data, metadata={"run": "r1", "part": "3"}, output_expires_after=life)
    assert (batch.object, batch.status, batch.metadata) == ("batch", "validating", {"run": "r1", "part": "3"})
    assert batch.output_file_id is batch.error_file_id is batch.errors is None
    seen = []
    while batch.status not in ("completed", "failed"):
        seen.append(batch.status)
        time.sleep(0.01)
        batch = sandbox.openai.batches.retrieve(batch.id)
    order = ["validating", "in_progress", "finalizing"]
    assert "in_progress" in seen
    assert seen == sorted(seen, key=order.index)
    assert (batch.status, batch.model, batch.completion_window) == ("completed", "gpt-6-luna", "24h")
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    assert batch.expires_at == batch.created_at + 24 * 3600
    assert batch.request_counts.model_dump() == {"total": 3, "completed": 2, "failed": 1}
    output = read_lines(sandbox, batch.output_file_id)
    assert [line["custom_id"] for line in output] == ["a", "b"]
    file = sandbox.openai.files.retrieve(batch.output_file_id)
    assert (file.purpose, file.expires_at) == ("batch_output", file.created_at + 3600)
    bodies = [line["response"]["body"] for line in output]
    assert all(line["error"] is None and line["response"]["status_code"] == 200 for line in output)
    assert batch.usage.input_tokens == sum(body["usage"]["prompt_tokens"] for body in bodies)
    assert batch.usage.output_tokens == sum(body["usage"]["completion_tokens"] for body in bodies)
    (error,) = read_lines(sandbox, batch.error_file_id)
    assert (error["custom_id"], error["error"], error["response"]["status_code"]) == ("c", None, 400)
    assert error["response"]["body"]["error"]["message"] == "Unknown parameter: 'bogus'."


def test_all_lines_failing_gives_no_output_file(sandbox: Sandbox) -> None:
    batch = wait_for(sandbox, create(sandbox, jsonl([batch_line("a", body=chat_body(max_tokens=3))])).id)
    assert (batch.status, batch.output_file_id) == ("completed", None)
    (error,) = read_lines(sandbox, batch.error_file_id)
    assert error["response"]["body"]["error"]["code"] == "unsupported_parameter"


GOOD = jsonl([batch_line("a")])


@pytest.mark.parametrize(
    ("data", "code", "line"),
    [
        (GOOD + b'{"custom_id": "b"', "invalid_json_line", 2),
        (GOOD + b"\n" + jsonl([batch_line("b")]), "invalid_json_line", 2),
        (GOOD + GOOD, "duplicate_custom_id", 2),
        (jsonl([batch_line("")]), "missing_required_parameter", 1),
        (jsonl([{k: v for k, v in batch_line("a").items() if k != "custom_id"}]), "missing_required_parameter", 1),
        (jsonl([batch_line("a", url="/v1/responses")]), "url_mismatch", 1),
        (jsonl([batch_line("a", method="GET")]), "invalid_method", 1),
        (GOOD + jsonl([batch_line("b", body={**chat_body(), "model": "gpt-6-astra"})]), "model_mismatch", 2),
        (b"".join(b'{"custom_id": "%d"}\n' % n for n in range(50_001)), "missing_required_parameter", 1),
        (
            b"".join(
                b'{"custom_id":"%d","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}\n' % n
                for n in range(50_001)
            ),
            "too_many_tasks",
            None,
        ),
    ],
)
def test_a_bad_input_file_fails_the_batch_and_nothing_is_answered(
    sandbox: Sandbox, data: bytes, code: str, line: int | None
) -> None:
    before = len(sandbox.ledger())
    batch = wait_for(sandbox, create(sandbox, data).id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    assert batch.failed_at
    assert (batch.errors.data[0].code, batch.errors.data[0].line) == (code, line)
    assert batch.errors.data[0].message
    assert len(sandbox.ledger()) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_file_id": "file-none"}, "No such File object"),
        ({"endpoint": "/v1/fun"}, "Invalid value: '/v1/fun'"),
        ({"completion_window": "1h"}, "Invalid value: '1h'"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "at most 16 properties"),
        ({"metadata": {"k" * 65: "v"}}, "key is too long"),
        ({"metadata": {"k": "v" * 513}}, "value is too long"),
        ({"extra_body": {"bogus": 1}}, "Unknown parameter: 'bogus'"),
    ],
)
def test_a_create_is_refused_as_openai_does(sandbox: Sandbox, change: dict[str, Any], message: str) -> None:
    before = sandbox.get("/sandbox/stats")["batches_created"]
    arguments = {"input_file_id": upload(sandbox, GOOD), "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError, match=message):
        sandbox.openai.batches.create(**{**arguments, **change})
    assert sandbox.get("/sandbox/stats")["batches_created"] == before


def test_batches_are_listed_newest_first_and_page_by_page(sandbox: Sandbox) -> None:
    created = [create(sandbox, GOOD).id for _ in range(3)]
    first = sandbox.openai.batches.list(limit=2)
    assert [batch.id for batch in first.data] == created[:0:-1]
    assert first.has_more
    assert created[0] in [batch.id for batch in sandbox.openai.batches.list(limit=2, after=created[1]).data]
    assert [batch.id for batch in sandbox.openai.batches.list(limit=1)][:3] == created[::-1]
    with pytest.raises(openai.BadRequestError, match="limit"):
        sandbox.openai.batches.list(limit=101)


def test_a_cancelled_batch_keeps_what_it_has_answered() -> None:
    with running("--batch-seconds", "3") as sandbox:
        batch = create(sandbox, jsonl([batch_line(f"k{n}") for n in range(100)]))
        while sandbox.openai.batches.retrieve(batch.id).request_counts.completed < 5:
            time.sleep(0.05)
        assert sandbox.openai.batches.cancel(batch.id).status == "cancelling"
        batch = wait_for(sandbox, batch.id)
        assert batch.status == "cancelled"
        assert batch.cancelling_at <= batch.cancelled_at
        answered = read_lines(sandbox, batch.output_file_id)
        assert 5 <= len(answered) == batch.request_counts.completed < 100
        assert len(sandbox.ledger()) == len(answered)
        with pytest.raises(openai.ConflictError, match="Cannot cancel"):
            sandbox.openai.batches.cancel(batch.id)
        early = create(sandbox, GOOD)
        sandbox.openai.batches.cancel(early.id)
        early = wait_for(sandbox, early.id)
        assert (early.status, early.output_file_id) == ("cancelled", None)


def test_only_so_many_batches_run_at_a_time() -> None:
    with running("--parallel-batches", "1", "--batch-seconds", "1") as sandbox:
        first, second = create(sandbox, GOOD), create(sandbox, GOOD)
        wait_for(sandbox, first.id, "in_progress")
        assert sandbox.openai.batches.retrieve(second.id).status == "validating"
        assert wait_for(sandbox, second.id).status == "completed"


def test_the_queue_limit_fails_a_batch_by_itself() -> None:
    with running("--queue-tokens", "200", "--batch-seconds", "1") as sandbox:
        data = jsonl([batch_line(f"k{n}") for n in range(5)])
        first = create(sandbox, data)
        wait_for(sandbox, first.id, "in_progress")
        second = wait_for(sandbox, create(sandbox, data).id)
        assert (second.status, second.errors.data[0].code) == ("failed", "token_limit_exceeded")
        assert "Enqueued token limit reached for gpt-6-luna" in second.errors.data[0].message
        assert wait_for(sandbox, first.id).status == "completed"
        assert wait_for(sandbox, create(sandbox, data).id).status == "completed"


# ---------------------------------------------------------------- OpenAI: chat completions


@pytest.mark.parametrize("language", list(SYSTEMS))
def test_the_answer_is_about_the_picture_in_the_language_asked(sandbox: Sandbox, language: str) -> None:
    body = chat_body("Look.\nName all colours", system=SYSTEMS[language])
    reply = sandbox.openai.chat.completions.create(**body)
    text = reply.choices[0].message.content
    assert text
    assert text.startswith(MARKS[language])
    assert "120" in text
    assert "80" in text
    colour, lightest, darkest = {
        "English": ("blue", "top left", "bottom right"),
        "Japanese": ("青", "左上", "右下"),
        "Swahili": ("rangi ya buluu", "juu kushoto", "chini kulia"),
        "Urdu": ("نیلا", "اوپر بائیں", "نیچے دائیں"),
    }[language]
    assert colour in text
    assert text.index(lightest) < text.index(darkest)
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    assert reply.system_fingerprint == "fp_sandbox"
    again = sandbox.openai.chat.completions.create(**body)
    assert again.choices[0].message.content == text


def test_the_answer_is_about_the_article() -> None:
    article = "Eileen Collins flew Discovery. Later Collins flew Discovery again, and Collins landed."
    example = "<article>\nAn example about tea, tea, tea.\n</article>"
    with running("--seed", "1") as one, running("--seed", "2") as two:
        texts = []
        for sandbox in (one, two):
            body = chat_body(f"{example}\nTask\n<article>\n{article}\n</article>\nAnswer in English now, please")
            reply = sandbox.openai.chat.completions.create(**body)
            texts.append(reply.choices[0].message.content or "")
        for text in texts:
            assert "12 words" in text
            assert "“Eileen Collins flew Discovery. Later Collins flew…”" in text
            assert "“Collins”, “flew” and “Discovery”" in text
            assert "“Answer in English now, please”" in text
        assert texts[0] != texts[1]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"bogus": 1}, "unknown_parameter", "Unknown parameter: 'bogus'."),
        ({"max_tokens": 5}, "unsupported_parameter", "Use 'max_completion_tokens' instead."),
        ({"temperature": 0.16}, "unsupported_value", "'temperature' does not support 0.16"),
        ({"reasoning_effort": "huge"}, "invalid_value", "Supported values are"),
        ({"messages": []}, "empty_array", "Invalid 'messages'"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "invalid_value", "'boss'"),
        ({"messages": [{"role": "user", "content": [{"type": "fun"}]}]}, "invalid_value", "'fun'"),
        ({"max_completion_tokens": 0}, "integer_below_min_value", "max_completion_tokens"),
    ],
)
def test_a_chat_request_is_refused_as_openai_does(
    sandbox: Sandbox, change: dict[str, Any], code: str, message: str
) -> None:
    body = {**chat_body(), **change}
    status, reply, _ = sandbox.send(
        "POST",
        "/openai/v1/chat/completions",
        json.dumps(body).encode(),
        Authorization="Bearer k",
        Content_Type="application/json",
    )
    error = json.loads(reply)["error"]
    assert (status, error["code"], error["type"]) == (400, code, "invalid_request_error")
    assert message in error["message"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("data:image/jpeg;base64,@@@", "invalid_base64_image"),
        ("data:image/jpeg;base64,AAA", "invalid_base64_image"),
        (data_url(JPEG, "image/png"), "invalid_image_format"),
        (data_url(BROKEN), "image_parse_error"),
        (data_url(b"no picture at all"), "invalid_image_format"),
        (data_url(draw_image("BMP"), "image/bmp"), "invalid_image_format"),
        (data_url(ANIMATED, "image/gif"), "invalid_image_format"),
        ("https://example.org/a.jpg", "invalid_image_url"),
    ],
)
def test_a_bad_picture_is_refused_by_openai(sandbox: Sandbox, url: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sandbox.openai.chat.completions.create(**chat_body(url=url))
    assert caught.value.code == code


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "JPEG"])
def test_every_good_format_is_taken(sandbox: Sandbox, kind: str) -> None:
    data = draw_image(kind)
    assert sandbox.openai.chat.completions.create(**chat_body(url=data_url(data, f"image/{kind.lower()}"))).choices
    if kind != "GIF":
        assert ask_gemini(sandbox.gemini, data, f"image/{kind.lower()}").text


def test_a_token_limit_cuts_the_text(sandbox: Sandbox) -> None:
    reply = sandbox.openai.chat.completions.create(**chat_body(max_completion_tokens=10))
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage
    assert reply.usage.completion_tokens == 10
    answer = ask_gemini(sandbox.gemini, max_output_tokens=10)
    assert answer.candidates[0].finish_reason == "MAX_TOKENS"
    assert answer.text.startswith("[sandbox]")


def test_models_are_listed(sandbox: Sandbox) -> None:
    assert [model.id for model in sandbox.openai.models.list()]
    assert all((model.name or "").startswith("models/gemini") for model in sandbox.gemini.models.list())


# ---------------------------------------------------------------- Gemini


def test_gemini_answers_in_its_own_shape(sandbox: Sandbox) -> None:
    answer = ask_gemini(sandbox.gemini, max_output_tokens=1000, temperature=0.5, seed=3)
    assert answer.text.startswith(MARKS["English"])
    assert answer.candidates[0].finish_reason == "STOP"
    assert answer.model_version == "gemini-3.8-flash"
    assert answer.response_id
    usage = answer.usage_metadata
    assert usage.total_token_count == usage.prompt_token_count + usage.candidates_token_count
    by_modality = {detail.modality.value: detail.token_count for detail in usage.prompt_tokens_details}
    assert by_modality["IMAGE"] == 1120
    assert sum(by_modality.values()) == usage.prompt_token_count


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_gemini_answers_the_async_client_at_both_versions(sandbox: Sandbox, version: str) -> None:
    async def ask() -> str:
        options = types.HttpOptions(base_url=sandbox.base + "/gemini", api_version=version)
        client = genai.Client(vertexai=False, api_key="any", http_options=options)
        async with client.aio as asynchronous:
            reply = await asynchronous.models.generate_content(model="gemini-3.8-flash", contents="Hello")
        return reply.text or ""

    assert "No picture came with the request." in asyncio.run(ask())


def gemini_error(sandbox: Sandbox, body: object, path: str = "v1/models/gemini-3.8-flash") -> dict[str, Any]:
    status, reply, _ = sandbox.send(
        "POST", f"/gemini/{path}:generateContent", json.dumps(body).encode(), x_goog_api_key="k"
    )
    error: dict[str, Any] = json.loads(reply)["error"]
    assert error["code"] == status
    return error


def test_gemini_refuses_unknown_fields_with_their_path(sandbox: Sandbox) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "x", "fun": 1}]}], "bogus": 2}
    error = gemini_error(sandbox, body)
    assert error["status"] == "INVALID_ARGUMENT"
    assert 'Invalid JSON payload received. Unknown name "bogus": Cannot find field.' in error["message"]
    assert "Unknown name \"fun\" at 'contents[0].parts[0]': Cannot find field." in error["message"]
    assert error["details"][0]["fieldViolations"][0]["field"] == "contents[0].parts[0]"


def test_gemini_reads_both_spellings(sandbox: Sandbox) -> None:
    data = base64.urlsafe_b64encode(JPEG).decode()
    body = {
        "contents": [{"parts": [{"inline_data": {"mime_type": "image/jpeg", "data": data}}]}],
        "system_instruction": {"parts": [{"text": SYSTEMS["Urdu"]}]},
        "generation_config": {"max_output_tokens": 500, "thinking_config": {"thinking_level": "LOW"}},
    }
    status, reply, _ = sandbox.send(
        "POST",
        "/gemini/v1/models/gemini-3.8-flash:generateContent",
        json.dumps(body).encode(),
        x_goog_api_key="k",
    )
    assert status == 200
    text = json.loads(reply)["candidates"][0]["content"]["parts"][0]["text"]
    assert text.startswith(MARKS["Urdu"])


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"inlineData": {"mimeType": "image/png", "data": base64.b64encode(JPEG).decode()}}, "Unable to process"),
        ({"inlineData": {"mimeType": "image/jpeg", "data": base64.b64encode(BROKEN).decode()}}, "Unable to process"),
        ({"inlineData": {"mimeType": "image/jpeg", "data": "@@@"}}, "Base64 decoding failed"),
        ({"inlineData": {"mimeType": "image/gif", "data": "AAAA"}}, "Unsupported MIME type: image/gif"),
        ({}, "required oneof field 'data'"),
    ],
)
def test_gemini_refuses_bad_parts(sandbox: Sandbox, part: dict[str, Any], message: str) -> None:
    error = gemini_error(sandbox, {"contents": [{"parts": [part]}]})
    assert error["status"] == "INVALID_ARGUMENT"
    assert message in error["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "contents is not specified"),
        ({"contents": []}, "contents is not specified"),
        ({"contents": [{"parts": []}]}, "must not be empty"),
        ({"contents": [{"role": "boss", "parts": [{"text": "x"}]}]}, "valid role"),
        ({"contents": [{"parts": [{"text": "x"}]}], "generationConfig": {"temperature": 4}}, "temperature"),
        ([], "Invalid JSON payload"),
    ],
)
def test_gemini_refuses_bad_bodies(sandbox: Sandbox, body: object, message: str) -> None:
    assert message in gemini_error(sandbox, body)["message"]


# ---------------------------------------------------------------- keys, models, paths


def test_keys_and_models_are_checked_in_each_providers_words() -> None:
    models = ("--model", "gpt-6-astra", "--model", "gemini-9")
    with running("--api-key", "right-key-0123", *models) as sandbox:
        with pytest.raises(openai.AuthenticationError) as caught:
            sandbox.openai.chat.completions.create(**chat_body())
        assert caught.value.code == "invalid_api_key"
        with pytest.raises(openai.NotFoundError) as missing:
            openai_client(sandbox.base, "right-key-0123").chat.completions.create(**chat_body())
        assert missing.value.code == "model_not_found"
        with pytest.raises(genai_errors.ClientError) as wrong:
            ask_gemini(sandbox.gemini)
        assert (wrong.value.code, wrong.value.status) == (400, "INVALID_ARGUMENT")
        assert wrong.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"
        with pytest.raises(genai_errors.ClientError) as unknown:
            ask_gemini(gemini_client(sandbox.base, "right-key-0123"))
        assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
        assert "models/gemini-3.8-flash is not found for API version v1, " in str(unknown.value.message)
        good = Sandbox(sandbox.base, sandbox.process, openai_client(sandbox.base, "right-key-0123"), sandbox.gemini)
        batch = wait_for(good, create(good, GOOD).id)
        assert (batch.status, batch.errors.data[0].code) == ("failed", "model_not_found")


def test_a_missing_key_is_refused(sandbox: Sandbox) -> None:
    assert sandbox.send("GET", "/openai/v1/batches")[0] == 401
    status, body, _ = sandbox.send("GET", "/gemini/v1/models")
    assert (status, json.loads(body)["error"]["status"]) == (403, "PERMISSION_DENIED")


def test_unknown_paths_and_ids_are_refused_in_each_providers_shape(sandbox: Sandbox) -> None:
    status, body, _ = sandbox.send("GET", "/openai/v1/fun")
    assert (status, json.loads(body)["error"]["type"]) == (404, "invalid_request_error")
    status, body, _ = sandbox.send("GET", "/gemini/v1/fun")
    assert (status, json.loads(body)["error"]["status"]) == (404, "NOT_FOUND")
    assert sandbox.send("GET", "/fun")[0] == 404
    for method, path in (
        ("PUT", "/openai/v1/files"),
        ("POST", "/openai/v1/files/file-1"),
        ("HEAD", "/openai/v1/models"),
    ):
        assert sandbox.send(method, path)[0] == 404
    for path in (
        "models/x:fun",
        "models/:generateContent",
        "models/a/b:generateContent",
        "files/a:upload",
        "batches/a:b",
    ):
        status, body, _ = sandbox.send("POST", f"/gemini/v1beta/{path}", b"{}", x_goog_api_key="k")
        assert (status, json.loads(body)["error"]["message"]) == (
            404,
            f"Requested entity was not found: POST /v1beta/{path}",
        )
    status, body, _ = sandbox.send("DELETE", "/plain/v1/models")
    assert (status, json.loads(body)) == (404, {"detail": "Not Found"})
    with pytest.raises(openai.NotFoundError, match="No batch found"):
        sandbox.openai.batches.retrieve("batch_none")


# ---------------------------------------------------------------- ledger, statistics, persistence


def test_the_ledger_has_each_charged_answer_once() -> None:
    with running() as sandbox:
        answer = sandbox.openai.chat.completions.create(**chat_body("Question k0"))
        ask_gemini(sandbox.gemini)
        with pytest.raises(openai.BadRequestError):
            sandbox.openai.chat.completions.create(**chat_body(temperature=0.5))
        batch = run_batch(sandbox, 2)
        chat, generate, first, second = sandbox.ledger()
        assert (chat["mode"], chat["provider"], chat["id"], chat["batch"]) == ("live", "openai", None, None)
        assert (generate["provider"], generate["model"]) == ("gemini", "gemini-3.8-flash")
        assert (first["mode"], first["id"], first["batch"]) == ("batch", "k0", batch.id)
        assert chat["said"] == hashlib.sha256((answer.choices[0].message.content or "").encode()).hexdigest()
        assert answer.usage is not None
        usage = (answer.usage.prompt_tokens, answer.usage.completion_tokens)
        assert (chat["input_tokens"], chat["output_tokens"]) == usage
        assert first["digest"] == chat["digest"]  # the same question, asked live and in a batch
        assert len({chat["digest"], generate["digest"], second["digest"]}) == 3
        run_batch(sandbox, 2)
        stats = sandbox.get("/sandbox/stats")
        assert (stats["answered"], stats["batches_created"], stats["batches_by_status"]) == (6, 2, {"completed": 2})
        assert (stats["doubled_ids"], stats["doubled_digests"]) == (2, 2)
        assert (stats["images_seen"], stats["images_decoded"]) == (6, 2)
        assert stats["requests"]["chat"] == 2
        assert stats["bytes_received"] > 3000
        assert stats["spec_violations"] == []


def test_everything_survives_a_kill_of_the_sandbox(tmp_path: Path) -> None:
    options = ("--state", str(tmp_path / "state"), "--batch-seconds", "1")
    sandbox = launch(*options)
    done = run_batch(sandbox, 3)
    running_one = create(sandbox, jsonl([batch_line(f"r{n}") for n in range(5)]), metadata={"tag": "t"})
    wait_for(sandbox, running_one.id, "in_progress")
    young = create(sandbox, GOOD)
    sandbox.process.kill()
    sandbox.process.wait()
    ledger = tmp_path / "state" / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes() + b'{"mode": "li')  # a line that the kill tore
    with running(*options) as sandbox:
        assert sandbox.openai.batches.retrieve(done.id).model_dump() == done.model_dump()
        assert len(read_lines(sandbox, done.output_file_id)) == 3
        assert [batch.id for batch in sandbox.openai.batches.list()] == [young.id, running_one.id, done.id]
        finished = wait_for(sandbox, running_one.id)
        assert (finished.status, finished.metadata, finished.created_at) == (
            "completed",
            {"tag": "t"},
            running_one.created_at,
        )
        assert len(read_lines(sandbox, finished.output_file_id)) == 5
        assert wait_for(sandbox, young.id).status == "completed"
        assert sorted(entry["id"] for entry in sandbox.ledger()) == sorted(
            ["a", *(f"k{n}" for n in range(3)), *(f"r{n}" for n in range(5))]
        )
        assert sandbox.get("/sandbox/stats")["doubled_ids"] == 0


def test_a_second_sandbox_waits_for_the_state_folder(tmp_path: Path) -> None:
    first = launch("--state", str(tmp_path))
    threading.Timer(0.5, stop, (first,)).start()
    with running("--state", str(tmp_path)) as second:
        assert second.get("/sandbox/stats")["answered"] == 0
    assert first.process.returncode == 0


def test_latency_is_the_whole_time_of_a_live_answer() -> None:
    with running("--latency", "1") as sandbox:

        async def ask() -> float:
            client = openai.AsyncOpenAI(api_key="k", base_url=sandbox.base + "/openai/v1", max_retries=0)
            await client.models.list()
            begin = time.monotonic()
            await asyncio.gather(*(client.chat.completions.create(**chat_body(str(n))) for n in range(10)))
            return time.monotonic() - begin

        assert 1 <= asyncio.run(ask()) < 5  # one by one they would take 10 s
        assert sandbox.get("/sandbox/stats")["live_peak"] == 10


# ---------------------------------------------------------------- faults: requests


def test_429_comes_with_and_without_a_time_to_wait(sandbox: Sandbox) -> None:
    sandbox.faults("429@chat:times=1,retry_after=7", "429@chat:times=1", "429@gemini:times=1,retry_after=9")
    with pytest.raises(openai.RateLimitError) as hinted:
        sandbox.openai.chat.completions.create(**chat_body())
    assert hinted.value.response.headers["retry-after"] == "7"
    assert hinted.value.code == "rate_limit_exceeded"
    with pytest.raises(openai.RateLimitError) as bare:
        sandbox.openai.chat.completions.create(**chat_body())
    assert "retry-after" not in bare.value.response.headers
    assert sandbox.openai.chat.completions.create(**chat_body())
    with pytest.raises(genai_errors.ClientError) as quota:
        ask_gemini(sandbox.gemini)
    details = quota.value.details["error"]["details"]
    assert details[-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "9s"}
    assert "PerMinute" in details[0]["violations"][0]["quotaId"]
    assert "Please retry in 9s." in str(quota.value.message)
    sandbox.faults("429@gemini:times=1", "429@gemini:per_day=1,times=1")
    with pytest.raises(genai_errors.ClientError) as plain:
        ask_gemini(sandbox.gemini)
    assert "details" not in plain.value.details["error"]
    with pytest.raises(genai_errors.ClientError) as daily:
        ask_gemini(sandbox.gemini)
    assert "PerDay" in daily.value.details["error"]["details"][0]["violations"][0]["quotaId"]


@pytest.mark.parametrize(("kind", "status", "google"), [("500", 500, "INTERNAL"), ("503", 503, "UNAVAILABLE")])
def test_server_errors(sandbox: Sandbox, kind: str, status: int, google: str) -> None:
    sandbox.faults(kind)
    with pytest.raises(openai.InternalServerError) as caught:
        sandbox.openai.chat.completions.create(**chat_body())
    assert caught.value.status_code == status
    with pytest.raises(genai_errors.ServerError) as other:
        ask_gemini(sandbox.gemini)
    assert (other.value.code, other.value.status) == (status, google)
    with pytest.raises(openai.InternalServerError):
        sandbox.openai.batches.list()


def test_any_error_html_and_not_found(sandbox: Sandbox) -> None:
    sandbox.faults("error@chat:status=403,code=no_way,message=Not here, not now.,times=1", "html@chat")
    with pytest.raises(openai.PermissionDeniedError) as caught:
        sandbox.openai.chat.completions.create(**chat_body())
    assert caught.value.code == "no_way"
    assert "Not here, not now." in str(caught.value)
    with pytest.raises(openai.InternalServerError) as proxy:
        sandbox.openai.chat.completions.create(**chat_body())
    assert "<h1>502 Bad Gateway</h1>" in proxy.value.response.text
    sandbox.faults("html@gemini:times=1", "error@gemini:status=400,code=FAILED_PRECONDITION,times=1", "not_found")
    with pytest.raises(genai_errors.ServerError) as page:
        ask_gemini(sandbox.gemini)
    assert page.value.code == 502
    with pytest.raises(genai_errors.ClientError) as region:
        ask_gemini(sandbox.gemini)
    assert region.value.status == "FAILED_PRECONDITION"
    with pytest.raises(genai_errors.ClientError) as model:
        ask_gemini(sandbox.gemini)
    assert model.value.code == 404
    for ask in (lambda: sandbox.openai.batches.retrieve("batch_x"), lambda: sandbox.openai.files.content("file-x")):
        with pytest.raises(openai.NotFoundError):
            ask()


def test_a_cut_before_the_server_acts_charges_nothing(sandbox: Sandbox) -> None:
    before = sandbox.get("/sandbox/stats")
    sandbox.faults("drop_before")
    with pytest.raises(openai.APIConnectionError):
        sandbox.openai.chat.completions.create(**chat_body())
    with pytest.raises(httpx2.TransportError):
        ask_gemini(sandbox.gemini)
    with pytest.raises(openai.APIConnectionError):
        upload(sandbox, GOOD)
    assert sandbox.get("/sandbox/stats")["answered"] == before["answered"]


def test_a_cut_after_the_server_has_acted_keeps_what_it_did(sandbox: Sandbox) -> None:
    before = sandbox.get("/sandbox/stats")
    file_id = upload(sandbox, GOOD)
    sandbox.faults("drop_after")
    with pytest.raises(openai.APIConnectionError):
        sandbox.openai.chat.completions.create(**chat_body())
    with pytest.raises(httpx2.TransportError):
        ask_gemini(sandbox.gemini)
    with pytest.raises(openai.APIConnectionError):
        sandbox.openai.batches.create(
            input_file_id=file_id, endpoint="/v1/chat/completions", completion_window="24h", metadata={"tag": "lost"}
        )
    files = len(sandbox.openai.files.list().data)
    with pytest.raises(openai.APIConnectionError):
        upload(sandbox, GOOD)
    assert len(sandbox.openai.files.list().data) == files + 1
    sandbox.faults()
    stats = sandbox.get("/sandbox/stats")
    assert stats["answered"] == before["answered"] + 2
    assert stats["batches_created"] == before["batches_created"] + 1
    (lost,) = sandbox.openai.batches.list(limit=1).data
    assert lost.metadata == {"tag": "lost"}
    assert wait_for(sandbox, lost.id).status == "completed"


def test_hang_holds_the_connection_and_does_nothing(sandbox: Sandbox) -> None:
    before = sandbox.get("/sandbox/stats")["answered"]
    sandbox.faults("hang@chat:times=1", "hang@chat:seconds=0.1,times=1")
    with pytest.raises(openai.APITimeoutError):
        sandbox.openai.with_options(timeout=0.3).chat.completions.create(**chat_body())
    with pytest.raises(openai.APIConnectionError):
        sandbox.openai.chat.completions.create(**chat_body())
    assert sandbox.get("/sandbox/stats")["answered"] == before


def test_truncated_and_unreadable_bodies(sandbox: Sandbox) -> None:
    batch = run_batch(sandbox)
    before = sandbox.get("/sandbox/stats")["answered"]
    sandbox.faults("truncate@chat", "truncate@content", "bad_json@gemini", "bad_json@status")
    with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
        sandbox.openai.chat.completions.create(**chat_body())
    with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
        sandbox.openai.files.content(batch.output_file_id).read()
    with pytest.raises(json.JSONDecodeError):
        ask_gemini(sandbox.gemini)
    with pytest.raises(json.JSONDecodeError):
        sandbox.openai.batches.retrieve(batch.id)
    assert sandbox.get("/sandbox/stats")["answered"] == before + 2


def test_latency_as_a_fault(sandbox: Sandbox) -> None:
    sandbox.faults("latency@list:seconds=0.3,times=1")
    begin = time.monotonic()
    sandbox.openai.batches.list(limit=1)
    assert time.monotonic() - begin >= 0.3


# ---------------------------------------------------------------- faults: answers


def test_withheld_and_cut_answers_of_gemini(sandbox: Sandbox) -> None:
    before = sandbox.get("/sandbox/stats")["answered"]
    kinds = ("blocked_prompt", "safety", "empty", "max_tokens", "max_tokens_empty")
    sandbox.faults(*(f"{kind}@gemini:times=1" for kind in kinds))
    blocked = ask_gemini(sandbox.gemini)
    assert blocked.candidates is None
    assert blocked.prompt_feedback.block_reason == "PROHIBITED_CONTENT"
    found = []
    for _ in kinds[1:]:
        answer = ask_gemini(sandbox.gemini)
        found.append((answer.candidates[0].finish_reason.value, bool(answer.text)))
    assert found == [("SAFETY", False), ("STOP", False), ("MAX_TOKENS", True), ("MAX_TOKENS", False)]
    assert answer.usage_metadata.thoughts_token_count
    assert sandbox.get("/sandbox/stats")["answered"] == before + 4  # a blocked prompt is not charged
    assert ask_gemini(sandbox.gemini).text


def test_withheld_and_cut_answers_of_openai(sandbox: Sandbox) -> None:
    kinds = ("safety", "refusal", "empty", "max_tokens", "max_tokens_empty")
    sandbox.faults(*(f"{kind}@chat:times=1" for kind in kinds), "blocked_prompt@chat:times=1")
    found = []
    for _ in kinds:
        choice = sandbox.openai.chat.completions.create(**chat_body()).choices[0]
        found.append((choice.finish_reason, bool(choice.message.content), bool(choice.message.refusal)))
    assert found == [
        ("content_filter", False, False),
        ("stop", False, True),
        ("stop", False, False),
        ("length", True, False),
        ("length", False, False),
    ]
    with pytest.raises(openai.BadRequestError) as caught:
        sandbox.openai.chat.completions.create(**chat_body())
    assert caught.value.code == "invalid_prompt"


def test_withheld_answers_in_a_batch(sandbox: Sandbox) -> None:
    sandbox.faults("refusal@line:times=1", "max_tokens@line:times=1", "blocked_prompt@line:times=1")
    batch = run_batch(sandbox, 4)
    choices = [line["response"]["body"]["choices"][0] for line in read_lines(sandbox, batch.output_file_id)]
    assert [(choice["finish_reason"], bool(choice["message"]["refusal"])) for choice in choices] == [
        ("stop", True),
        ("length", False),
        ("stop", False),
    ]
    (blocked,) = read_lines(sandbox, batch.error_file_id)
    assert (blocked["custom_id"], blocked["response"]["body"]["error"]["code"]) == ("k2", "invalid_prompt")


# ---------------------------------------------------------------- faults: batch lines and batches


def output_ids(sandbox: Sandbox, batch: Any) -> list[str | None]:
    return [line["custom_id"] for line in read_lines(sandbox, batch.output_file_id)]


def test_line_errors_in_both_shapes(sandbox: Sandbox) -> None:
    sandbox.faults("line_error:times=1,status=504,code=timeout", "line_error_b:times=1", "line_status0:times=1")
    batch = run_batch(sandbox)
    first, second = read_lines(sandbox, batch.error_file_id)
    assert (first["custom_id"], first["response"]["status_code"]) == ("k0", 504)
    assert first["response"]["body"]["error"]["code"] == "timeout"
    assert (second["custom_id"], second["response"], second["error"]["code"]) == ("k1", None, "batch_expired")
    third, fourth = read_lines(sandbox, batch.output_file_id)
    assert (third["custom_id"], third["response"]["status_code"]) == ("k2", 0)
    assert fourth["custom_id"] == "k3"
    assert batch.request_counts.failed == 2
    charged = [entry for entry in sandbox.ledger() if entry["batch"] == batch.id]
    assert [entry["id"] for entry in charged] == ["k3"]


def test_missing_and_doubled_lines(sandbox: Sandbox) -> None:
    sandbox.faults("missing:every=3", "doubled:times=1,after=1")
    batch = run_batch(sandbox, 6)
    assert output_ids(sandbox, batch) == ["k0", "k1", "k1", "k3", "k4"]
    assert batch.error_file_id is None
    assert len([entry for entry in sandbox.ledger() if entry["batch"] == batch.id]) == 4


def test_failed_lines_before_the_answers(sandbox: Sandbox) -> None:
    sandbox.faults("failed_first")
    batch = run_batch(sandbox, 2)
    assert output_ids(sandbox, batch) == ["k0", "k1", "k0", "k1"]
    counts = batch.request_counts
    assert counts is not None
    assert (counts.completed, counts.failed) == (2, 0)


def test_strange_lines_and_another_order(sandbox: Sandbox) -> None:
    sandbox.faults("unknown_id:times=1", "null_id:times=1")
    ids = output_ids(sandbox, run_batch(sandbox, 3))
    assert ids[:3] == ["k0", "k1", "k2"]
    assert str(ids[3]).startswith("nobody-sent-this")
    assert ids[4] is None
    sandbox.faults("garbage_line:times=1")
    content = sandbox.openai.files.content(run_batch(sandbox, 3).output_file_id).read()
    with pytest.raises(json.JSONDecodeError):
        json.loads(content.split(b"\n")[3])
    sandbox.faults("shuffle:times=1")
    shuffled = output_ids(sandbox, run_batch(sandbox, 30))
    assert shuffled != [f"k{n}" for n in range(30)]
    assert sorted(map(str, shuffled)) == sorted(f"k{n}" for n in range(30))


def test_an_expired_batch_has_part_of_its_output(sandbox: Sandbox) -> None:
    sandbox.faults("expire:keep=0.75,times=1")
    batch = run_batch(sandbox)
    assert batch.status == "expired"
    assert batch.expired_at
    assert output_ids(sandbox, batch) == ["k0", "k1", "k2"]
    (rest,) = read_lines(sandbox, batch.error_file_id)
    assert (rest["custom_id"], rest["response"], rest["error"]["code"]) == ("k3", None, "batch_expired")
    assert len([entry for entry in sandbox.ledger() if entry["batch"] == batch.id]) == 3
    sandbox.faults("expire:keep=0")
    assert run_batch(sandbox).output_file_id is None


def test_a_batch_cancelled_by_the_provider(sandbox: Sandbox) -> None:
    sandbox.faults("cancelled:keep=0.5")
    batch = run_batch(sandbox)
    assert (batch.status, batch.error_file_id) == ("cancelled", None)
    assert output_ids(sandbox, batch) == ["k0", "k1"]


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("token_limit", "token_limit_exceeded", "Enqueued token limit reached"),
        ("cannot_find_file", "invalid_request", "Cannot find file file-"),
        ("fail_batch:code=odd,message=Something, odd.", "odd", "Something, odd."),
    ],
)
def test_a_batch_that_fails(sandbox: Sandbox, fault: str, code: str, message: str) -> None:
    sandbox.faults(fault)
    batch = run_batch(sandbox)
    assert (batch.status, batch.errors.data[0].code, batch.output_file_id) == ("failed", code, None)
    assert message in batch.errors.data[0].message
    assert [entry for entry in sandbox.ledger() if entry["batch"] == batch.id] == []


def test_empty_texts_for_files_that_are_not_there(sandbox: Sandbox) -> None:
    sandbox.faults("empty_ids")
    batch = run_batch(sandbox)
    assert batch.output_file_id
    assert batch.error_file_id == ""


def test_a_stuck_batch_can_only_be_cancelled(sandbox: Sandbox) -> None:
    sandbox.faults("stuck:times=1")
    batch = create(sandbox, GOOD)
    wait_for(sandbox, batch.id, "in_progress")
    time.sleep(2 * BATCH_S)
    assert sandbox.openai.batches.retrieve(batch.id).status == "in_progress"
    sandbox.openai.batches.cancel(batch.id)
    assert wait_for(sandbox, batch.id).status == "cancelled"


def test_a_fault_given_to_a_batch_outlives_the_sandbox(tmp_path: Path) -> None:
    sandbox = launch("--state", str(tmp_path), "--fault", "expire:keep=0.5")
    batch = create(sandbox, jsonl([batch_line("a"), batch_line("b")]))
    sandbox.process.kill()
    sandbox.process.wait()
    with running("--state", str(tmp_path)) as sandbox:
        assert wait_for(sandbox, batch.id).status == "expired"


# ---------------------------------------------------------------- faults: their text and their counting


def test_each_kind_of_fault_has_one_line_of_help_and_can_be_read() -> None:
    for kind, text in FAULT_KINDS.items():
        assert text
        assert "\n" not in text
        assert parse_fault(f"{kind}:times=1,every=2,after=3,rate=0.5").kind == kind


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("429@chta", "did you mean 'chat'?"),
        ("missng:every=2", "did you mean 'missing'?"),
        ("429:retry_aftr=2", "did you mean 'retry_after'?"),
        ("429:times=two", "needs a number for 'times'"),
        ("429:times", "write it as key=value"),
        ("expire:keep=2", "outside 0 to 1"),
        ("refusal@gemini", "cannot strike at 'gemini'"),
        ("", "there is no fault ''"),
    ],
)
def test_a_bad_fault_is_refused_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault(text)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def struck(text: str, occasions: int, seed: int = 0) -> list[int]:
    book = ActiveFaults((parse_fault(text),), seed)
    return [n for n in range(1, occasions + 1) if book.strikes("http", "chat")]


def test_faults_count_their_occasions() -> None:
    assert struck("429@chat:times=2", 5) == [1, 2]
    assert struck("429@chat:every=3,after=1", 8) == [4, 7]
    assert struck("429@gemini", 3) == []
    assert struck("429:rate=0.3", 1000) == struck("429:rate=0.3", 1000)
    assert struck("429:rate=0.3", 1000) != struck("429:rate=0.3", 1000, seed=1)
    assert 240 < len(struck("429:rate=0.3", 1000)) < 360


def test_faults_at_run_time(sandbox: Sandbox) -> None:
    sandbox.faults("500@list:times=1")
    with pytest.raises(openai.InternalServerError):
        sandbox.openai.batches.list()
    sandbox.openai.batches.list()
    assert sandbox.get("/sandbox/faults") == [{"fault": "500@list:times=1", "seen": 2, "struck": 1}]
    status, body, _ = sandbox.send("POST", "/sandbox/faults", b'["nonsense"]')
    assert status == 400
    assert "there is no fault" in json.loads(body)["error"]


# ---------------------------------------------------------------- the published specifications


def test_requests_are_checked_against_the_published_documents() -> None:
    with running(checked=True) as sandbox:
        sandbox.openai.chat.completions.create(**chat_body(max_completion_tokens=300, reasoning_effort="low"))
        ask_gemini(sandbox.gemini, max_output_tokens=300, thinking_config=types.ThinkingConfig(thinking_level="LOW"))
        assert run_batch(sandbox).request_counts.completed == 4
        assert sandbox.get("/sandbox/stats")["spec_violations"] == []
        with pytest.raises(openai.BadRequestError, match="spec violation: "):
            sandbox.openai.chat.completions.create(**chat_body(reasoning_effort=7))
        with pytest.raises(openai.BadRequestError, match="spec violation: "):
            create(sandbox, GOOD, metadata={"n": 5})
        error = gemini_error(sandbox, {"contents": [{"parts": [{"text": "x"}]}], "bogus": 1})
        assert "spec violation: " in error["message"]
        batch = wait_for(sandbox, create(sandbox, jsonl([batch_line("a", body=chat_body(seed="x"))])).id)
        (line,) = read_lines(sandbox, batch.error_file_id)
        assert "spec violation: " in line["response"]["body"]["error"]["message"]
        assert [violation["request"] for violation in sandbox.get("/sandbox/stats")["spec_violations"]] == [
            "chat completion",
            "batch create",
            "generateContent",
            "batch line a",
        ]


# ---------------------------------------------------------------- the process


def test_only_loopback_is_served() -> None:
    for host in ("0.0.0.0", "example.org", "10.0.0.1"):
        with pytest.raises(UsageError, match="loopback"):
            asyncio.run(serve(SandboxSettings(host=host), print))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "127.9.8.7:80", "localhost", "LocalHost:8080", "[::1]", "[::1]:99"]
)
def test_a_caller_by_a_name_of_loopback_is_served(sandbox: Sandbox, host: str) -> None:
    assert sandbox.send("GET", "/sandbox/stats", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", " "),
        *("127.0.0.1@evil.example", "0.0.0.0", "[::2]", "[::ffff:10.0.0.1]", "169.254.169.254", "127.0.0.1:80:80"),
    ],
)
@pytest.mark.parametrize("path", ["/sandbox/stats", "/openai/v1/models", "/gemini/v1beta/models", "/plain/v1/models"])
def test_a_caller_by_another_name_is_refused(sandbox: Sandbox, host: str, path: str) -> None:
    status, body, _ = sandbox.send("GET", path, Host=host)
    assert status == 421
    assert "this machine only" in json.loads(body)["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sandbox/ledger"),
        ("POST", "/sandbox/faults"),
        ("DELETE", "/sandbox/faults"),
        ("OPTIONS", "/sandbox/faults"),
        ("POST", "/plain/v1/chat/completions"),
        ("POST", "/openai/v1/batches"),
        ("DELETE", "/openai/v1/files/file-1"),
        ("POST", "/gemini/v1beta/models/gemini-3.8-flash:batchGenerateContent"),
    ],
)
def test_a_web_page_of_another_site_is_refused(
    sandbox: Sandbox, method: str, path: str, headers: dict[str, str]
) -> None:
    status, body, replied = sandbox.send(method, path, b'["429@chat"]' if method == "POST" else b"", **headers)
    assert status == 403
    assert "another site" in json.loads(body)["error"]
    assert not any(name.startswith("access-control") for name in replied)
    assert sandbox.get("/sandbox/faults") == []


def test_an_address_that_a_person_typed_is_served(sandbox: Sandbox) -> None:
    own = {"Origin": sandbox.base, "Sec_Fetch_Site": "same-origin"}
    assert sandbox.send("POST", "/sandbox/faults", b"[]", **own)[0] == 200
    assert sandbox.send("GET", "/sandbox/stats", Sec_Fetch_Site="none")[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET /sandbox/stats HTTP/1.0\r\n\r\n",
        "GET /sandbox/stats HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/sandbox/stats HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ],
)
def test_every_name_of_the_host_counts(sandbox: Sandbox, head: str) -> None:
    host, port = sandbox.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as client:
        client.sendall(head.encode())
        assert client.recv(4096).split()[1] in (b"400", b"421")


def test_serve_ends_when_cancelled_and_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    async def briefly() -> str:
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(SandboxSettings(), ready.set_result))
        base = await ready
        assert list(tmp_path.iterdir())
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        return base

    assert asyncio.run(briefly()).startswith("http://127.0.0.1:")
    assert list(tmp_path.iterdir()) == []


def test_the_process_ends_quietly() -> None:
    sandbox = launch()
    assert stop(sandbox) == 0
    for number in (signal.SIGTERM, signal.SIGINT):
        process = subprocess.Popen(
            [sys.executable, "-m", "vlures.sandbox"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        os.kill(process.pid, number)
        assert process.wait(timeout=5) == 0
        assert (process.stdout.read(), process.stderr.read()) == ("", "")


def test_the_process_says_what_is_wrong_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for options in (["--fault", "429@chta"], ["--port", port]):
            done = subprocess.run(
                [sys.executable, "-m", "vlures.sandbox", *options], capture_output=True, text=True, timeout=20
            )
            assert done.returncode == 2
            assert len(done.stderr.splitlines()) == 1, done.stderr


def test_the_faults_are_listed() -> None:
    done = subprocess.run([sys.executable, "-m", "vlures.sandbox", "--list-faults"], capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == len(FAULT_KINDS)


def test_a_client_that_is_killed_leaves_no_trace(sandbox: Sandbox) -> None:
    host, port = sandbox.base.removeprefix("http://").split(":")
    head = b"POST /openai/v1/files HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer k\r\nContent-Length: 99999\r\n"
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n" + b"a" * 5000)
    assert upload(sandbox, GOOD)


# ---------------------------------------------------------------- small pure pieces


def test_the_language_is_found_in_the_system_text() -> None:
    for language, text in SYSTEMS.items():
        assert language_of(text) == language
    assert language_of("Name the river (川) and answer in English, not in اردو.") == "English"
    assert language_of("") == "English"
    assert language_of("Je, kuna duara ngapi kwenye picha hii?") == "Swahili"
    assert language_of("How many circles does this picture have, and what is beside each?") == "English"


def test_the_article_is_the_last_one() -> None:
    article, around = split_article("a\n<article>\none\n</article>\nb\n<article>\ntwo\nlines\n</article>\nc")
    assert article == "two\nlines"
    assert around == ["a", "<article>", "one", "</article>", "b", "c"]
    assert split_article("no article\nhere") == ("", ["no article", "here"])


def test_repeated_words() -> None:
    assert repeated_words("Nagasaki port, Nagasaki ships; the ships.", frozenset(("port",)), japanese=False) == (
        "Nagasaki",
        "ships",
    )
    assert repeated_words("長崎の船は長崎の港へ。スペース", frozenset(), japanese=True) == ("長崎",)


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        ("gpt-6-astra", (640, 480), "auto", 360),
        ("gpt-6-astra", (1920, 1080), "original", 2448),
        ("gpt-6-astra", (4000, 3000), "original", 14100),
        ("gpt-6-astra", (4000, 3000), "high", 2941),
        ("gpt-5.4-mini", (1920, 1080), "auto", 1810),
        ("gpt-5-mini", (1800, 2400), "auto", 1742),
        ("gpt-4o", (1024, 1024), "auto", 765),
        ("gpt-4o-mini", (640, 480), "high", 14167),
    ],
)
def test_image_tokens_are_those_of_the_guide(model: str, size: tuple[int, int], detail: str, tokens: int) -> None:
    assert openai_image_tokens(model, *size, detail) == tokens


def test_image_tokens_of_gemini_and_the_patch_limit() -> None:
    assert gemini_image_tokens("gemini-2.5-flash", 960, 540) == 1548
    assert gemini_image_tokens("gemini-2.5-flash", 300, 384) == 258
    assert gemini_image_tokens("gemini-3.8-flash", 960, 540) == 1120
    assert patches("gpt-6-astra", 6000, 6000, "original") == 35344

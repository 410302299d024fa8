"""Gemini's files and batches in the sandbox, spoken to by google-genai over both of its HTTP clients."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types

from tests.sandbox.conftest import Sandbox, gemini_client, launch, running
from tests.sandbox.questions import (
    JPEG,
    MARKS,
    SYSTEMS,
    ask_gemini,
    draw_image,
    jsonl,
)
from tests.sandbox.specs import SpecChecker

MODEL = "gemini-3.8-flash"
ENDED = ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
Line = dict[str, Any]


# ---------------------------------------------------------------- requests


def request_line(key: str | None, **request: Any) -> Line:
    inline = {"inlineData": {"mimeType": "image/jpeg", "data": base64.b64encode(JPEG).decode()}}
    body = {
        "contents": [{"role": "user", "parts": [{"text": f"Question {key}"}, inline]}],
        "systemInstruction": {"parts": [{"text": SYSTEMS["English"]}]},
    }
    return {**({} if key is None else {"key": key}), "request": {**body, **request}}


def upload(sandbox: Sandbox, data: bytes, **config: Any) -> types.File:
    settings = types.UploadFileConfig(mime_type="application/jsonl", **config)
    return sandbox.gemini.files.upload(file=io.BytesIO(data), config=settings)


def create(sandbox: Sandbox, lines: bytes | int, **config: Any) -> types.BatchJob:
    data = jsonl([request_line(f"k{n}") for n in range(lines)]) if isinstance(lines, int) else lines
    name = upload(sandbox, data).name or ""
    settings = types.CreateBatchJobConfig(**{"display_name": "tag", **config})
    return sandbox.gemini.batches.create(model=MODEL, src=name, config=settings)


def wait_for(sandbox: Sandbox, batch: types.BatchJob, *states: str) -> types.BatchJob:
    wanted = [f"JOB_STATE_{state}" for state in states or ENDED]
    until = time.monotonic() + 10
    while time.monotonic() < until:
        batch = sandbox.gemini.batches.get(name=batch.name or "")
        if batch.state in wanted:
            return batch
        time.sleep(0.02)
    raise AssertionError(batch)


def run_batch(sandbox: Sandbox, lines: bytes | int = 4) -> types.BatchJob:
    return wait_for(sandbox, create(sandbox, lines))


def call(sandbox: Sandbox, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    """A bare request to Gemini's side, for what google-genai does not show or send."""
    data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    status, reply, _ = sandbox.send(method, f"/gemini/{path}", data, x_goog_api_key="k", **headers)
    return status, json.loads(reply) if reply.startswith((b"{", b"[")) else reply


def operation(sandbox: Sandbox, batch: types.BatchJob) -> Line:
    status, document = call(sandbox, "GET", f"v1/{batch.name}")
    assert status == 200
    return dict(document)


def read_lines(sandbox: Sandbox, batch: types.BatchJob) -> list[Line]:
    if not batch.dest or not batch.dest.file_name:
        return []
    data = sandbox.gemini.files.download(file=batch.dest.file_name)
    return [json.loads(line) for line in data.split(b"\n") if line]


def as_answer(line: Line) -> types.GenerateContentResponse:
    """A line's response as google-genai would give it; `model_validate` refuses fields that it does not know."""
    return types.GenerateContentResponse._from_response(response=line["response"], kwargs={})


def keys(lines: list[Line]) -> list[str | None]:
    return [line.get("key") for line in lines]


def charged(sandbox: Sandbox, batch: types.BatchJob) -> list[str | None]:
    return [entry["id"] for entry in sandbox.ledger() if f"batches/{entry['batch']}" == batch.name]


# ---------------------------------------------------------------- files


def test_a_file_goes_up_in_pieces_and_is_shown_listed_and_deleted(sandbox: Sandbox, checker: SpecChecker) -> None:
    data = bytes(range(256)) * (17 << 12)  # 17 MiB: three pieces of google-genai's
    before = sandbox.get("/sandbox/stats")
    file = upload(sandbox, data, display_name="Shard ‹1›")
    after = sandbox.get("/sandbox/stats")
    assert after["requests"]["gemini.upload"] - before["requests"].get("gemini.upload", 0) == 4
    assert after["bytes_uploaded"] - before["bytes_uploaded"] == len(data)
    assert (file.display_name, file.mime_type, file.size_bytes) == ("Shard ‹1›", "application/jsonl", len(data))
    assert (file.state, file.source, file.download_uri) == ("ACTIVE", "UPLOADED", None)
    assert base64.b64decode(file.sha256_hash or "") == hashlib.sha256(data).digest()
    assert file.expiration_time
    assert file.create_time
    assert file.expiration_time - file.create_time == timedelta(hours=48)
    assert file.name
    assert (file.uri or "").endswith(f"/gemini/v1/{file.name}")
    assert sandbox.gemini.files.get(name=file.name) == file
    assert checker.violation("gemini file", call(sandbox, "GET", f"v1beta/{file.name}")[1]) is None
    others = [upload(sandbox, b"{}\n").name for _ in range(2)]
    assert [one.name for one in sandbox.gemini.files.list(config={"page_size": 1})][:3] == [*others[::-1], file.name]
    with pytest.raises(genai_errors.ClientError, match="only generated files can be downloaded"):
        sandbox.gemini.files.download(file=file.name)
    sandbox.gemini.files.delete(name=file.name)
    with pytest.raises(genai_errors.ClientError, match="do not have permission to access the File") as gone:
        sandbox.gemini.files.get(name=file.name)
    assert gone.value.code == 403


def test_a_file_may_be_named_once(sandbox: Sandbox) -> None:
    assert upload(sandbox, b"{}\n", name="shard-1").name == "files/shard-1"
    with pytest.raises(genai_errors.ClientError) as taken:
        upload(sandbox, b"{}\n", name="shard-1")
    assert (taken.value.code, taken.value.status) == (409, "ALREADY_EXISTS")
    with pytest.raises(genai_errors.ClientError, match="is not a valid file name"):
        upload(sandbox, b"{}\n", name="Shard_1")


def start_upload(sandbox: Sandbox, size: int, **headers: str) -> str:
    names = {"X_Goog_Upload_Protocol": "resumable", "X_Goog_Upload_Command": "start"}
    names["X_Goog_Upload_Header_Content_Length"] = str(size)
    body = json.dumps({"file": {"displayName": "by hand"}}).encode()
    status, reply, got = sandbox.send(
        "POST", "/gemini/upload/v1beta/files", body, x_goog_api_key="k", **{**names, **headers}
    )
    assert (status, reply, got["x-goog-upload-status"]) == (200, b"", "active")
    assert got["x-goog-upload-url"].startswith(f"{sandbox.base}/gemini/upload/v1beta/files?upload_id=")
    return got["x-goog-upload-url"].removeprefix(sandbox.base)


def send_piece(
    sandbox: Sandbox, url: str, command: str, data: bytes = b"", offset: int = 0
) -> tuple[int, bytes, dict[str, str]]:
    return sandbox.send(
        "POST", url, data, X_Goog_Upload_Command=command, X_Goog_Upload_Offset=str(offset), Content_Type="x/y"
    )


def test_an_upload_can_be_resumed_and_given_up(sandbox: Sandbox) -> None:
    url = start_upload(sandbox, 10)
    assert send_piece(sandbox, url, "upload", b"01234")[2]["x-goog-upload-status"] == "active"
    status, reply, _ = send_piece(sandbox, url, "upload", b"34567", offset=3)
    assert (status, "has 5 bytes" in json.loads(reply)["error"]["message"]) == (400, True)
    assert send_piece(sandbox, url, "query")[2]["x-goog-upload-size-received"] == "5"
    status, reply, _ = send_piece(sandbox, url, "finalize")
    assert (status, "announced with 10 bytes" in json.loads(reply)["error"]["message"]) == (400, True)
    status, reply, got = send_piece(sandbox, url, "upload, finalize", b"56789", offset=5)
    assert (status, got["x-goog-upload-status"]) == (200, "final")
    file = json.loads(reply)["file"]
    assert (file["sizeBytes"], file["displayName"]) == ("10", "by hand")
    assert (
        send_piece(sandbox, url, "upload, finalize", b"56789", offset=5)[1] == reply
    )  # sent again by a client in doubt
    assert send_piece(sandbox, url, "query")[2]["x-goog-upload-status"] == "final"
    url = start_upload(sandbox, 10)
    assert send_piece(sandbox, url, "cancel")[2]["x-goog-upload-status"] == "cancelled"
    assert send_piece(sandbox, url, "upload", b"01234")[0] in (403, 404)


def test_a_piece_that_is_cut_leaves_no_trace(sandbox: Sandbox) -> None:
    url = start_upload(sandbox, 10)
    host, port = sandbox.base.removeprefix("http://").split(":")
    head = f"POST {url} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\nX-Goog-Upload-Offset: 0\r\n"
    with socket.create_connection((host, int(port))) as client:
        client.sendall(head.encode() + b"X-Goog-Upload-Command: upload, finalize\r\n\r\n01234")
    assert send_piece(sandbox, url, "query")[2]["x-goog-upload-size-received"] == "0"
    assert send_piece(sandbox, url, "upload, finalize", b"0123456789")[0] == 200


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X_Goog_Upload_Protocol": "raw"}, "X-Goog-Upload-Protocol: resumable"),
        ({"X_Goog_Upload_Header_Content_Length": str((2 << 30) + 1)}, "too large"),
    ],
)
def test_an_upload_is_refused(sandbox: Sandbox, headers: dict[str, str], message: str) -> None:
    names = {"X_Goog_Upload_Protocol": "resumable", "X_Goog_Upload_Command": "start", **headers}
    status, reply = call(sandbox, "POST", "upload/v1/files", {"file": {}}, **names)
    assert (status, message in reply["error"]["message"]) == (400, True)


def test_a_large_piece_is_never_whole_in_memory(sandbox: Sandbox) -> None:
    def peak_kb() -> int:
        status = Path(f"/proc/{sandbox.process.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+)", status)[0])

    before, size = peak_kb(), 96 << 20
    url = start_upload(sandbox, size)
    assert send_piece(sandbox, url, "upload, finalize", bytes(size))[0] == 200
    assert peak_kb() - before < 32 << 10


# ---------------------------------------------------------------- batches


@pytest.fixture
def slow_sandbox() -> Iterator[Sandbox]:
    """Its batches run for so long that a busy machine sees them run, too."""
    with running("--batch-seconds", "2") as sandbox:
        yield sandbox


def test_a_batch_runs_from_pending_to_succeeded(slow_sandbox: Sandbox, checker: SpecChecker) -> None:
    sandbox = slow_sandbox
    lines = [request_line("a"), request_line("b"), request_line("c", generationConfig={"temperature": 3})]
    body = {"batch": {"displayName": "tag", "inputConfig": {"fileName": upload(sandbox, jsonl(lines)).name}}}
    _, young = call(sandbox, "POST", f"v1/models/{MODEL}:batchGenerateContent", body)
    assert re.fullmatch(r"batches/[a-z0-9]{36}", young["name"])
    assert (young.keys(), young["metadata"]["state"]) == ({"name", "metadata"}, "BATCH_STATE_PENDING")
    assert young["metadata"]["batchStats"] == {"requestCount": "3", "pendingRequestCount": "3"}
    batch = sandbox.gemini.batches.get(name=young["name"])
    assert (batch.name, batch.display_name, batch.model) == (young["name"], "tag", f"models/{MODEL}")
    assert (batch.dest, batch.end_time) == (None, None)
    seen = []
    while not batch.done:
        seen.append(batch.state)
        time.sleep(0.01)
        batch = sandbox.gemini.batches.get(name=batch.name or "")
    order = ["JOB_STATE_PENDING", "JOB_STATE_RUNNING"]
    assert "JOB_STATE_RUNNING" in seen
    assert seen == sorted(seen, key=lambda state: order.index(str(state and state.value)))
    assert batch.state == "JOB_STATE_SUCCEEDED"
    assert batch.end_time
    assert batch.create_time
    assert batch.end_time > batch.create_time
    document = operation(sandbox, batch)
    metadata = document["metadata"]
    assert (document["done"], metadata["state"]) == (True, "BATCH_STATE_SUCCEEDED")
    assert metadata["batchStats"] == {"requestCount": "3", "successfulRequestCount": "2", "failedRequestCount": "1"}
    name = batch.dest.file_name if batch.dest else None
    assert metadata["output"]["responsesFile"] == document["response"]["responsesFile"] == name
    assert document["response"]["@type"].endswith("v1main.GenerateContentBatchOutput")
    assert metadata.pop("@type").endswith("v1main.GenerateContentBatch")
    assert checker.violation("gemini batch", metadata) is None
    first, second, third = read_lines(sandbox, batch)
    assert (first["key"], second["key"]) == ("a", "b")
    for line in (first, second):
        assert checker.violation("generated", line["response"]) is None
        answer = as_answer(line)
        assert (answer.text or "").startswith(MARKS["English"])
        assert answer.model_version == MODEL
    assert (third["key"], third["error"]["code"]) == ("c", 3)
    assert "temperature" in third["error"]["message"]
    assert charged(sandbox, batch) == ["a", "b"]


def test_the_result_file_can_be_downloaded_and_nothing_else(sandbox: Sandbox, tmp_path: Path) -> None:
    """Its id is too long for Google's own rules: https://github.com/googleapis/python-genai/issues/1759."""
    batch = run_batch(sandbox)
    assert batch.dest
    assert batch.dest.file_name
    assert batch.dest.file_name == (batch.name or "").replace("batches/", "files/batch-")
    for refused in (sandbox.gemini.files.get, sandbox.gemini.files.delete):
        with pytest.raises(genai_errors.ClientError, match="cannot be more than 40 characters"):
            refused(name=batch.dest.file_name)
    path = tmp_path / "results.jsonl"
    sandbox.gemini.files.download(file=batch.dest.file_name, destination=path)
    status, data, headers = sandbox.send(
        "GET", f"/gemini/download/v1beta/{batch.dest.file_name}:download?alt=media", x_goog_api_key="k"
    )
    assert (status, headers["content-length"]) == (200, str(path.stat().st_size))
    assert data == path.read_bytes()
    assert call(sandbox, "GET", f"v1/{batch.dest.file_name}:download")[0] == 400
    assert call(sandbox, "GET", "v1/files/none:download?alt=media")[0] == 403


@pytest.mark.parametrize("stack", ["httpx2", "aiohttp"])
def test_the_async_client_does_all_of_it(sandbox: Sandbox, stack: str) -> None:
    data = jsonl([request_line("a"), request_line("b")])

    async def run() -> list[str]:
        options = types.HttpOptions(base_url=sandbox.base + "/gemini", timeout=5000)
        if stack == "httpx2":
            options.httpx_async_client = httpx2.AsyncClient()
        client = genai.Client(vertexai=False, api_key="any", http_options=options)
        async with client.aio as opened:
            aio: Any = opened
            file = await aio.files.upload(file=io.BytesIO(data), config={"mime_type": "application/jsonl"})
            batch = await aio.batches.create(model=MODEL, src=file.name, config={"display_name": f"by {stack}"})
            found = [one.name async for one in await aio.batches.list(config={"page_size": 1})]
            assert found[0] == batch.name
            while not batch.done:
                await asyncio.sleep(0.02)
                batch = await aio.batches.get(name=batch.name)
            content = await aio.files.download(file=batch.dest.file_name)
            await aio.batches.delete(name=batch.name)
            with pytest.raises(genai_errors.ClientError, match="not found"):
                await aio.batches.cancel(name=batch.name)
            await aio.files.delete(name=file.name)
        if options.httpx_async_client:
            await options.httpx_async_client.aclose()
        return [json.loads(line)["key"] for line in content.splitlines()]

    assert asyncio.run(run()) == ["a", "b"]


GOOD = jsonl([request_line("a")])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD + b'{"key": "b"', "Error on line 2: invalid JSON"),
        (GOOD + b"\n" + GOOD, "Error on line 2: invalid JSON"),
        (jsonl([{"key": "a"}]), "Error on line 1: no 'request'"),
        (jsonl([{**request_line("a"), "key": 5}]), "Error on line 1: invalid value for 'key'"),
        (jsonl([request_line("a", thinking_config={})]), "no such field: .*thinking_config"),
        (jsonl([request_line("a"), request_line("b", fun=1), 7]), r"line 2: .*fun(.|\n)*line 3: invalid JSON"),
        (b"", "The input file is empty"),
    ],
)
def test_a_file_with_a_bad_line_makes_no_batch(sandbox: Sandbox, data: bytes, message: str) -> None:
    before = sandbox.get("/sandbox/stats")["batches_created"]
    with pytest.raises(genai_errors.ClientError, match=message) as caught:
        create(sandbox, data)
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    assert sandbox.get("/sandbox/stats")["batches_created"] == before


@pytest.mark.parametrize(
    ("batch", "status", "message"),
    [
        ({"inputConfig": {"fileName": "files/none"}}, 403, "access the File none"),
        ({"inputConfig": {"requests": {"requests": []}}}, 400, "batches of an input file only"),
        ({"displayName": "x"}, 400, "input is not specified"),
        ({"bogus": 1}, 400, "Unknown name \"bogus\" at 'batch'"),
        ({"priority": "high"}, 400, "batch.priority"),
        (None, 400, "batch is not specified"),
    ],
)
def test_a_creation_is_refused(sandbox: Sandbox, batch: Line | None, status: int, message: str) -> None:
    path = f"v1/models/{MODEL}:batchGenerateContent"
    got, reply = call(sandbox, "POST", path, {"batch": batch} if batch is not None else {})
    assert (got, message in reply["error"]["message"]) == (status, True), reply


def test_both_spellings_and_a_priority_are_read(sandbox: Sandbox) -> None:
    name = upload(sandbox, GOOD).name
    body = {"batch": {"display_name": "snake", "input_config": {"file_name": name}, "priority": -2}}
    status, document = call(sandbox, "POST", f"v1beta/models/{MODEL}:batchGenerateContent", body)
    metadata = document["metadata"]
    assert (status, metadata["displayName"], metadata["priority"]) == (200, "snake", "-2")
    assert metadata["inputConfig"] == {"fileName": name}


def test_the_same_creation_twice_makes_two_batches(sandbox: Sandbox) -> None:
    name = upload(sandbox, GOOD).name or ""
    first, second = (sandbox.gemini.batches.create(model=MODEL, src=name) for _ in range(2))
    assert first.name != second.name
    assert charged(sandbox, wait_for(sandbox, first)) == charged(sandbox, wait_for(sandbox, second)) == ["a"]


def test_keys_may_be_missing_and_doubled(sandbox: Sandbox) -> None:
    lines = [request_line("a"), request_line(None), request_line("a"), request_line(None)]
    batch = run_batch(sandbox, jsonl(lines))
    assert keys(read_lines(sandbox, batch)) == ["a", None, "a", None]
    assert charged(sandbox, batch) == ["a", None, "a", None]


def test_batches_are_listed_newest_first_and_page_by_page(sandbox: Sandbox) -> None:
    created = [create(sandbox, GOOD, display_name=f"tag-{n}").name or "" for n in range(4)]
    first = sandbox.gemini.batches.list(config={"page_size": 2})
    assert [batch.name for batch in first.page] == created[:1:-1]
    assert [batch.name for batch in sandbox.gemini.batches.list(config={"page_size": 3})][:4] == created[::-1]
    named = {batch.name: batch.display_name for batch in sandbox.gemini.batches.list()}
    assert [named[name] for name in created] == [f"tag-{n}" for n in range(4)]
    sandbox.gemini.batches.delete(name=created[3])
    assert created[3] not in [batch.name for batch in sandbox.gemini.batches.list()]
    with pytest.raises(genai_errors.ClientError) as gone:
        sandbox.gemini.batches.get(name=created[3])
    assert (gone.value.code, gone.value.status) == (404, "NOT_FOUND")
    assert call(sandbox, "GET", "v1/batches?pageToken=x")[0] == 400
    assert call(sandbox, "GET", "v1/batches?pageSize=many")[0] == 400


def test_the_two_providers_do_not_see_each_others_batches(sandbox: Sandbox) -> None:
    batch = run_batch(sandbox, 1)
    number = (batch.name or "").removeprefix("batches/")
    assert number not in [one.id for one in sandbox.openai.batches.list()]
    assert sandbox.send("GET", f"/openai/v1/batches/{number}", Authorization="Bearer k")[0] == 404
    assert not [file for file in sandbox.openai.files.list() if number in file.id]


def test_a_batch_cancelled_before_it_began_ends_cancelled_without_results() -> None:
    with running("--batch-seconds", "20") as sandbox:
        batch = create(sandbox, 5)
        sandbox.gemini.batches.cancel(name=batch.name or "")
        batch = wait_for(sandbox, batch)
        assert (batch.state, batch.dest) == ("JOB_STATE_CANCELLED", None)
        assert operation(sandbox, batch)["error"]["code"] == 13
        assert charged(sandbox, batch) == []
        with pytest.raises(genai_errors.ClientError) as late:
            sandbox.gemini.batches.cancel(name=batch.name or "")
        assert late.value.status == "FAILED_PRECONDITION"


def test_a_batch_cancelled_in_its_course_has_an_error_for_each_line_left() -> None:
    with running("--batch-seconds", "3") as sandbox:
        batch = create(sandbox, 100)
        while int(operation(sandbox, batch)["metadata"]["batchStats"].get("successfulRequestCount", 0)) < 5:
            time.sleep(0.05)
        sandbox.gemini.batches.cancel(name=batch.name or "")
        assert sandbox.gemini.batches.get(name=batch.name or "").state == "JOB_STATE_CANCELLING"
        batch = wait_for(sandbox, batch)
        lines = read_lines(sandbox, batch)
        answered = [line for line in lines if "response" in line]
        assert (batch.state, len(lines)) == ("JOB_STATE_SUCCEEDED", 100)
        assert 5 <= len(answered) < 100
        assert [line["error"] for line in lines[len(answered) :]] == [{"code": 1}] * (100 - len(answered))
        assert charged(sandbox, batch) == keys(answered)


def test_only_so_many_tokens_and_batches_may_be_enqueued() -> None:
    with running("--queue-tokens", "6000", "--batch-seconds", "2") as sandbox:
        first = create(sandbox, 4)
        with pytest.raises(genai_errors.ClientError) as full:
            create(sandbox, 4)
        assert (full.value.code, full.value.status) == (429, "RESOURCE_EXHAUSTED")
        details = full.value.details["error"]["details"]
        assert [detail["@type"] for detail in details] == ["type.googleapis.com/google.rpc.Help"]
        assert wait_for(sandbox, first).state == "JOB_STATE_SUCCEEDED"
        assert run_batch(sandbox, 4).state == "JOB_STATE_SUCCEEDED"
    with running("--batch-seconds", "60") as sandbox:
        name = upload(sandbox, GOOD).name or ""
        for _ in range(100):
            sandbox.gemini.batches.create(model=MODEL, src=name)
        with pytest.raises(genai_errors.ClientError, match="or too many batches"):
            sandbox.gemini.batches.create(model=MODEL, src=name)


def test_everything_survives_a_kill_of_the_sandbox(tmp_path: Path) -> None:
    options = ("--state", str(tmp_path), "--batch-seconds", "1", "--fault", "partial:keep=0.5,times=1,after=1")
    sandbox = launch(*options)
    done = run_batch(sandbox, 3)
    under_way = wait_for(sandbox, create(sandbox, 4), "RUNNING")
    young = create(sandbox, 2, display_name="young")
    sandbox.process.kill()
    sandbox.process.wait()
    with running(*options) as sandbox:
        assert sandbox.gemini.batches.get(name=done.name or "") == done
        assert len(read_lines(sandbox, done)) == 3
        listed = [batch.name for batch in sandbox.gemini.batches.list()]
        assert listed == [young.name, under_way.name, done.name]
        under_way = wait_for(sandbox, under_way)
        assert under_way.state == "JOB_STATE_PARTIALLY_SUCCEEDED"
        assert ["response" in line for line in read_lines(sandbox, under_way)] == [True, True, False, False]
        young = wait_for(sandbox, young)
        assert (young.state, young.display_name) == ("JOB_STATE_SUCCEEDED", "young")
        assert [charged(sandbox, batch) for batch in (done, under_way, young)] == [
            ["k0", "k1", "k2"],
            ["k0", "k1"],
            ["k0", "k1"],
        ]


def test_batches_are_checked_against_the_published_document() -> None:
    with running(checked=True) as sandbox:
        config = {"thinkingConfig": {"thinkingLevel": "LOW"}, "mediaResolution": "MEDIA_RESOLUTION_LOW"}
        batch = run_batch(sandbox, jsonl([request_line("a", generationConfig=config)]))
        assert batch.state == "JOB_STATE_SUCCEEDED"
        assert sandbox.get("/sandbox/stats")["spec_violations"] == []
        with pytest.raises(genai_errors.ClientError, match="line 1: spec violation: "):
            create(sandbox, jsonl([request_line("b", generationConfig={"seed": "x"})]))
        status, _ = call(sandbox, "POST", f"v1/models/{MODEL}:batchGenerateContent", {"batch": {"state": "FIVE"}})
        assert status == 400
        with pytest.raises(genai_errors.ClientError, match="spec violation: "):
            ask_gemini(sandbox.gemini, http_options={"extra_body": {"serviceTier": "fast"}})
        found = [violation["request"] for violation in sandbox.get("/sandbox/stats")["spec_violations"]]
        assert found == ["batch line b", "batchGenerateContent", "generateContent"]


# ---------------------------------------------------------------- faults of lines and answers


def test_line_errors_in_both_shapes(sandbox: Sandbox) -> None:
    sandbox.faults(
        "line_error:times=1", "line_error:times=1,status=429,message=Too many", "line_error_b:times=1,code=4",
        "line_status0:times=1",
    )  # fmt: skip
    batch = run_batch(sandbox, 5)
    first, second, third, fourth, fifth = read_lines(sandbox, batch)
    assert (first["key"], first["error"]["code"], sorted(first)) == ("k0", 13, ["error", "key"])
    assert second["error"] == {"code": 8, "message": "Too many"}
    assert (third["key"], third["status"]["code"], sorted(third)) == ("k2", 4, ["key", "status"])
    assert fourth == {"key": "k3"}
    assert fifth["response"]
    assert charged(sandbox, batch) == ["k4"]
    assert operation(sandbox, batch)["metadata"]["batchStats"]["failedRequestCount"] == "3"


def test_missing_and_doubled_lines(sandbox: Sandbox) -> None:
    sandbox.faults("missing:every=3", "doubled:times=1,after=1")
    batch = run_batch(sandbox, 6)
    assert keys(read_lines(sandbox, batch)) == ["k0", "k1", "k1", "k3", "k4"]
    assert charged(sandbox, batch) == ["k0", "k1", "k3", "k4"]


def test_failed_lines_before_the_answers(sandbox: Sandbox) -> None:
    sandbox.faults("failed_first")
    batch = run_batch(sandbox, 2)
    lines = read_lines(sandbox, batch)
    assert keys(lines) == ["k0", "k1", "k0", "k1"]
    assert ["error" in line for line in lines] == [True, True, False, False]
    assert operation(sandbox, batch)["metadata"]["batchStats"].get("failedRequestCount", "0") == "0"


def test_strange_lines_and_another_order(sandbox: Sandbox) -> None:
    sandbox.faults("unknown_id:times=1", "null_id:times=1")
    found = keys(read_lines(sandbox, run_batch(sandbox, 3)))
    assert found[:3] == ["k0", "k1", "k2"]
    assert str(found[3]).startswith("nobody-sent-this")
    assert found[4] is None
    sandbox.faults("garbage_line:times=1")
    batch = run_batch(sandbox, 2)
    with pytest.raises(json.JSONDecodeError):
        read_lines(sandbox, batch)
    sandbox.faults("shuffle:times=1")
    shuffled = keys(read_lines(sandbox, run_batch(sandbox, 30)))
    assert shuffled != [f"k{n}" for n in range(30)]
    assert sorted(map(str, shuffled)) == sorted(f"k{n}" for n in range(30))


def test_withheld_answers_in_a_batch(sandbox: Sandbox) -> None:
    kinds = ("safety", "refusal", "empty", "max_tokens", "max_tokens_empty", "blocked_prompt")
    sandbox.faults(*(f"{kind}@line:times=1" for kind in kinds))
    batch = run_batch(sandbox, 7)
    answers = [as_answer(line) for line in read_lines(sandbox, batch)]
    found = [(one.candidates[0].finish_reason, bool(one.text)) if one.candidates else None for one in answers]
    assert found == [
        ("SAFETY", False),
        ("PROHIBITED_CONTENT", False),
        ("STOP", False),
        ("MAX_TOKENS", True),
        ("MAX_TOKENS", False),
        None,
        ("STOP", True),
    ]
    feedback = answers[5].prompt_feedback
    assert feedback
    assert feedback.block_reason == "PROHIBITED_CONTENT"
    assert charged(sandbox, batch) == ["k0", "k1", "k2", "k3", "k4", "k6"]


# ---------------------------------------------------------------- faults of batches


def test_an_expired_batch_has_no_results_and_costs_nothing(sandbox: Sandbox) -> None:
    sandbox.faults("expire:keep=0.75")
    batch = run_batch(sandbox)
    assert (batch.state, batch.dest, batch.done) == ("JOB_STATE_EXPIRED", None, True)
    document = operation(sandbox, batch)
    assert (document["done"], document["error"]["code"], "response" in document) == (True, 4, False)
    assert charged(sandbox, batch) == []


def test_a_batch_cancelled_by_the_provider_keeps_what_it_has_answered(sandbox: Sandbox) -> None:
    sandbox.faults("cancelled:keep=0.5")
    batch = run_batch(sandbox)
    assert (batch.state, batch.done) == ("JOB_STATE_CANCELLED", True)
    assert keys(read_lines(sandbox, batch)) == charged(sandbox, batch) == ["k0", "k1"]
    sandbox.faults("cancelled:keep=0")
    assert run_batch(sandbox).dest is None


def test_a_partial_success_is_no_end_for_google_genai(sandbox: Sandbox) -> None:
    sandbox.faults("partial:keep=0.75")
    batch = run_batch(sandbox)
    assert (batch.state, batch.done) == ("JOB_STATE_PARTIALLY_SUCCEEDED", False)
    *answered, rest = read_lines(sandbox, batch)
    assert keys(answered) == charged(sandbox, batch) == ["k0", "k1", "k2"]
    assert (rest["key"], rest["error"]["code"]) == ("k3", 13)


@pytest.mark.parametrize(
    ("fault", "code", "message"),
    [
        ("cannot_find_file", 5, "was not found"),
        ("fail_batch:code=RESOURCE_EXHAUSTED,message=Too much, sorry.", 8, "Too much, sorry."),
        ("fail_batch", 13, "asked to fail"),
    ],
)
def test_a_batch_that_fails(sandbox: Sandbox, fault: str, code: int, message: str) -> None:
    sandbox.faults(fault)
    batch = run_batch(sandbox)
    assert (batch.state, batch.dest, batch.error) == ("JOB_STATE_FAILED", None, None)  # why, google-genai does not show
    error = operation(sandbox, batch)["error"]
    assert (error["code"], message in error["message"]) == (code, True)
    assert charged(sandbox, batch) == []


def test_a_file_that_is_gone_fails_the_batch(sandbox: Sandbox) -> None:
    sandbox.faults("queued:seconds=1")
    name = upload(sandbox, GOOD).name or ""
    batch = sandbox.gemini.batches.create(model=MODEL, src=name)
    sandbox.gemini.files.delete(name=name)
    assert wait_for(sandbox, batch).state == "JOB_STATE_FAILED"


def test_the_token_limit_refuses_the_creation(sandbox: Sandbox) -> None:
    sandbox.faults("token_limit:times=1")
    before = sandbox.get("/sandbox/stats")["batches_created"]
    with pytest.raises(genai_errors.ClientError) as full:
        create(sandbox, 1)
    assert (full.value.code, full.value.status) == (429, "RESOURCE_EXHAUSTED")
    assert sandbox.get("/sandbox/stats")["batches_created"] == before
    assert run_batch(sandbox, 1).state == "JOB_STATE_SUCCEEDED"


def test_a_batch_can_be_queued_and_paused() -> None:
    with running("--fault", "queued:seconds=0.5", "--fault", "paused:seconds=0.5", "--batch-seconds", "1") as sandbox:
        batch = create(sandbox, 4)
        seen = [batch.state]
        while not batch.done:
            batch = sandbox.gemini.batches.get(name=batch.name or "")
            if batch.state != seen[-1]:
                seen.append(batch.state)
            time.sleep(0.005)
        states = [str(state and state.value).removeprefix("JOB_STATE_") for state in seen]
        assert states[0] == "QUEUED"
        assert states[-4:] == ["RUNNING", "PAUSED", "RUNNING", "SUCCEEDED"]
        assert keys(read_lines(sandbox, batch)) == ["k0", "k1", "k2", "k3"]


def test_a_stuck_batch_can_only_be_cancelled(sandbox: Sandbox) -> None:
    sandbox.faults("stuck@gemini_create:times=1")
    batch = wait_for(sandbox, create(sandbox, 1), "RUNNING")
    assert run_batch(sandbox, 1).state == "JOB_STATE_SUCCEEDED"
    assert sandbox.gemini.batches.get(name=batch.name or "").state == "JOB_STATE_RUNNING"
    sandbox.gemini.batches.cancel(name=batch.name or "")
    assert wait_for(sandbox, batch).done


def test_a_fault_of_batches_can_be_meant_for_one_provider(sandbox: Sandbox) -> None:
    sandbox.faults("fail_batch@create")
    assert run_batch(sandbox, 1).state == "JOB_STATE_SUCCEEDED"


# ---------------------------------------------------------------- faults of requests


def test_every_place_has_its_faults(sandbox: Sandbox) -> None:
    batch = run_batch(sandbox, 1)
    name, result = batch.name or "", (batch.dest.file_name if batch.dest else "") or ""
    calls = {
        "gemini_upload": lambda: upload(sandbox, GOOD),
        "gemini_create": lambda: create(sandbox, 1),
        "gemini_status": lambda: sandbox.gemini.batches.get(name=name),
        "gemini_list": lambda: sandbox.gemini.batches.list(),
        "gemini_content": lambda: sandbox.gemini.files.download(file=result),
        "gemini_cancel": lambda: sandbox.gemini.batches.cancel(name=name),
    }
    for place, make in calls.items():
        sandbox.faults(f"503@{place}:times=1", f"429@{place}:times=1,retry_after=3")
        with pytest.raises(genai_errors.ServerError) as busy:
            make()
        assert (busy.value.code, busy.value.status) == (503, "UNAVAILABLE")
        with pytest.raises(genai_errors.ClientError) as quota:
            make()
        assert quota.value.details["error"]["details"][-1]["retryDelay"] == "3s"
        sandbox.faults(f"drop_before@{place}:times=1")
        with pytest.raises(httpx2.TransportError):
            make()
    sandbox.faults("not_found@gemini_status:times=1", "not_found@gemini_create:times=1")
    with pytest.raises(genai_errors.ClientError, match="entity was not found") as gone:
        sandbox.gemini.batches.get(name=name)
    assert gone.value.code == 404
    with pytest.raises(genai_errors.ClientError, match=f"models/{MODEL} is not found"):
        create(sandbox, 1)


def test_a_creation_whose_reply_is_lost_has_been_made(sandbox: Sandbox) -> None:
    sandbox.faults("drop_after@gemini_create:times=1")
    with pytest.raises(httpx2.TransportError):
        create(sandbox, 1, display_name="lost")
    newest = next(iter(sandbox.gemini.batches.list(config={"page_size": 1})))
    assert newest.display_name == "lost"
    assert charged(sandbox, wait_for(sandbox, newest)) == ["k0"]


def test_a_result_file_can_come_torn(sandbox: Sandbox) -> None:
    batch = run_batch(sandbox)
    sandbox.faults("truncate@gemini_content:times=1")
    with pytest.raises(httpx2.TransportError):
        read_lines(sandbox, batch)
    assert len(read_lines(sandbox, batch)) == 4


# ---------------------------------------------------------------- generateContent: tiers, thoughts, resolution, cache


def ask(sandbox: Sandbox, model: str = MODEL, data: bytes = JPEG, **config: Any) -> types.GenerateContentResponse:
    parts = [types.Part(text="What is this?"), types.Part.from_bytes(data=data, mime_type="image/jpeg")]
    return sandbox.gemini.models.generate_content(
        model=model, contents=[types.Content(role="user", parts=parts)], config=types.GenerateContentConfig(**config)
    )


def usage_of(answer: types.GenerateContentResponse) -> types.GenerateContentResponseUsageMetadata:
    assert answer.usage_metadata
    return answer.usage_metadata


def test_the_service_tier_is_told_in_a_header(sandbox: Sandbox) -> None:
    for asked, served in ((None, "standard"), ("flex", "flex"), ("priority", "priority")):
        answer = ask(sandbox, service_tier=asked)
        assert answer.sdk_http_response
        assert answer.sdk_http_response.headers
        assert answer.sdk_http_response.headers["x-gemini-service-tier"] == served
    body = {**request_line("a")["request"], "serviceTier": "fast"}
    status, reply = call(sandbox, "POST", f"v1/models/{MODEL}:generateContent", body)
    assert (status, "service_tier" in reply["error"]["message"]) == (400, True)


@pytest.mark.parametrize(
    ("model", "thinking", "tokens"),
    [
        (MODEL, {"thinking_level": "LOW"}, 64),
        (MODEL, {"thinking_level": "HIGH", "include_thoughts": True}, 512),
        (MODEL, {"include_thoughts": True}, 128),
        ("gemini-3.5-flash-lite", {"thinking_level": "MINIMAL", "include_thoughts": True}, None),
        ("gemini-2.5-flash", {"thinking_budget": 300, "include_thoughts": True}, 300),
        ("gemini-2.5-flash", {"thinking_budget": -1}, 128),
        ("gemini-2.5-flash", {"thinking_budget": 0}, None),
    ],
)
def test_thoughts_are_counted_and_shown_where_asked(
    sandbox: Sandbox, model: str, thinking: dict[str, Any], tokens: int | None
) -> None:
    answer = ask(sandbox, model, thinking_config=types.ThinkingConfig(**thinking))
    usage = usage_of(answer)
    assert usage.thoughts_token_count == tokens
    counts = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    assert usage.total_token_count == sum(count or 0 for count in counts)
    thoughts = [part.text for part in answer.parts or [] if part.thought]
    assert len(thoughts) == (1 if tokens and thinking.get("include_thoughts") else 0)
    assert (answer.text or "").startswith(MARKS["English"])


def test_thoughts_eat_the_token_limit(sandbox: Sandbox) -> None:
    answer = ask(sandbox, max_output_tokens=400, thinking_config=types.ThinkingConfig(thinking_level="HIGH"))
    assert answer.candidates
    assert answer.candidates[0].finish_reason == "MAX_TOKENS"
    assert (answer.text, usage_of(answer).thoughts_token_count) == (None, 400)
    cut = ask(sandbox, max_output_tokens=70, thinking_config=types.ThinkingConfig(thinking_level="LOW"))
    assert cut.text
    assert usage_of(cut).candidates_token_count == 6


@pytest.mark.parametrize(
    ("model", "thinking", "message"),
    [
        (MODEL, {"thinkingBudget": 100}, "budget is not supported"),
        (MODEL, {"thinkingLevel": "MINIMAL"}, "MINIMAL is not supported"),
        (MODEL, {"thinkingLevel": "DEEP"}, "thinking_level"),
        (MODEL, {"thinkingLevel": "LOW", "thinkingBudget": 100}, "Only one of"),
        ("gemini-2.5-flash", {"thinkingLevel": "LOW"}, "level is not supported"),
        ("gemini-2.5-flash", {"thinkingBudget": 30_000}, "budget 30000 is invalid"),
        ("gemini-2.5-flash", {"thinkingBudget": 0, "includeThoughts": True}, "only when thinking is enabled"),
        ("gemini-2.5-pro", {"thinkingBudget": 0}, "Budget 0 is invalid"),
        ("gemini-2.5-pro", {"thinkingBudget": 64}, "budget 64 is invalid"),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 64}, "budget 64 is invalid"),
    ],
)
def test_wrong_thinking_is_refused(sandbox: Sandbox, model: str, thinking: Line, message: str) -> None:
    body = {**request_line("a")["request"], "generationConfig": {"thinkingConfig": thinking}}
    status, reply = call(sandbox, "POST", f"v1/models/{model}:generateContent", body)
    assert (status, message in reply["error"]["message"]) == (400, True), reply


def image_tokens(answer: types.GenerateContentResponse) -> int | None:
    details = usage_of(answer).prompt_tokens_details or []
    return next((detail.token_count for detail in details if detail.modality == "IMAGE"), None)


@pytest.mark.parametrize(
    ("model", "tokens"), [(MODEL, (280, 560, 1120, 1120)), ("gemini-2.5-flash", (64, 256, 258, 258))]
)
def test_the_media_resolution_decides_the_image_tokens(sandbox: Sandbox, model: str, tokens: tuple[int, ...]) -> None:
    names = ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH", None)
    assert tuple(image_tokens(ask(sandbox, model, media_resolution=name)) for name in names) == tokens


def test_a_part_may_have_a_resolution_of_its_own(sandbox: Sandbox) -> None:
    body = request_line("a")["request"]
    body["contents"][0]["parts"][1]["mediaResolution"] = {"level": "MEDIA_RESOLUTION_ULTRA_HIGH"}
    body["generationConfig"] = {"mediaResolution": "MEDIA_RESOLUTION_LOW"}
    _, reply = call(sandbox, "POST", f"v1/models/{MODEL}:generateContent", body)
    assert image_tokens(as_answer({"response": reply})) == 2240
    body["generationConfig"] = {"mediaResolution": "MEDIA_RESOLUTION_ULTRA_HIGH"}
    status, reply = call(sandbox, "POST", f"v1/models/{MODEL}:generateContent", body)
    assert (status, "media_resolution" in reply["error"]["message"]) == (400, True)


def test_a_picture_seen_a_moment_ago_is_cached() -> None:
    with running() as sandbox:
        other = draw_image(size=(60, 60))
        found = [usage_of(ask(sandbox, data=data)).cached_content_token_count for data in (JPEG, other, JPEG)]
        assert found == [None, None, 1120]
        assert usage_of(ask(sandbox, "gemini-2.5-flash")).cached_content_token_count is None  # another model's cache


def test_pictures_by_file_are_refused_and_not_left_out(sandbox: Sandbox) -> None:
    body = {"contents": [{"parts": [{"fileData": {"mimeType": "image/jpeg", "fileUri": "files/x"}}]}]}
    status, reply = call(sandbox, "POST", f"v1/models/{MODEL}:generateContent", body)
    assert (status, "inline only" in reply["error"]["message"]) == (400, True)


def test_pieces_of_an_upload_need_no_key_and_all_else_does() -> None:
    with running("--api-key", "right-key-0123") as sandbox:
        client = gemini_client(sandbox.base, "right-key-0123")
        file = client.files.upload(file=io.BytesIO(GOOD), config={"mime_type": "application/jsonl"})
        assert file.size_bytes == len(GOOD)
        with pytest.raises(genai_errors.ClientError, match="API key not valid"):
            sandbox.gemini.batches.list()
        assert sandbox.send("POST", "/gemini/upload/v1/files?upload_id=guessed")[0] == 403

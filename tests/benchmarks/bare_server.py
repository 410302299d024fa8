"""A server that does next to nothing, in a process of its own: `python bare_server.py LATENCY_S LIFETIME_S`.

It speaks just enough of OpenAI's files and batches and of Gemini's generateContent for a run to end. Uploads go nowhere,
but for the custom ids of their lines. It listens on loopback only, prints its address, and ends when its
standard input closes or its lifetime is over.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

CUSTOM_ID = re.compile(rb'\{"custom_id":"([^"]+)"')
LONGEST_START_BYTES = 200
ANSWER = "An answer of the benchmark's server, which has not looked at the image. " * 20


@dataclass
class Seen:
    """What the server counts. Times are its own, monotonic, in seconds."""

    first_received_s: float = 0.0
    last_sent_s: float = 0.0
    requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    bytes_received: int = 0
    files: dict[str, list[str]] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)

    def begin(self) -> None:
        self.first_received_s = self.first_received_s or time.monotonic()
        self.requests += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def end(self) -> None:
        self.in_flight -= 1
        self.last_sent_s = time.monotonic()


SEEN = web.AppKey("seen", Seen)
LATENCY_S = web.AppKey("latency_s", float)


async def counts(request: web.Request) -> web.Response:
    seen = request.app[SEEN]
    return web.json_response(
        {
            "span_s": seen.last_sent_s - seen.first_received_s,
            "requests": seen.requests,
            "most_in_flight": seen.most_in_flight,
            "bytes_received": seen.bytes_received,
            "lines": sum(map(len, seen.files.values())),
            "batches": len(seen.batches),
        }
    )


# Gemini


async def generate_content(request: web.Request) -> web.StreamResponse:
    seen = request.app[SEEN]
    seen.begin()
    seen.bytes_received += len(await request.read())
    await asyncio.sleep(request.app[LATENCY_S])
    response = web.json_response(
        {
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": ANSWER}]}, "finishReason": "STOP", "index": 0}
            ],
            "usageMetadata": {"promptTokenCount": 2000, "candidatesTokenCount": 300, "totalTokenCount": 2300},
            "modelVersion": "bare",
            "responseId": f"response-{seen.requests}",
        }
    )
    await response.prepare(request)
    await response.write_eof()
    seen.end()
    return response


# OpenAI


async def upload(request: web.Request) -> web.Response:
    """Swallow a file of a batch, and keep the custom ids of its lines."""
    seen = request.app[SEEN]
    seen.begin()
    ids: list[str] = []
    rest = b""
    async for chunk in request.content.iter_any():
        seen.bytes_received += len(chunk)
        rest = _take_ids(rest + chunk if rest else chunk, ids)
    file_id = f"file-{len(seen.files)}"
    seen.files[file_id] = ids
    seen.end()
    return web.json_response(_file(file_id))


def _take_ids(data: bytes, ids: list[str]) -> bytes:
    """Read the start of every line in the data; what is not enough of a line to tell is given back."""
    at = data.find(b"\n")
    while at >= 0:
        start = data[at + 1 : at + 1 + LONGEST_START_BYTES]
        if match := CUSTOM_ID.match(start):
            ids.append(match[1].decode())
        elif len(start) < LONGEST_START_BYTES:
            return data[at:]
        at = data.find(b"\n", at + 1)
    return b""


def _file(file_id: str) -> dict[str, Any]:
    facts = {"bytes": 1, "created_at": 1, "filename": "lines.jsonl", "purpose": "batch", "status": "processed"}
    return {"id": file_id, "object": "file", **facts}


async def create_batch(request: web.Request) -> web.Response:
    """A batch that has ended already: the time that a run waits between two looks at it is not our subject."""
    seen = request.app[SEEN]
    asked = await request.json()
    lines = len(seen.files[asked["input_file_id"]])
    batch = {
        "id": f"batch-{len(seen.batches)}",
        "object": "batch",
        "endpoint": asked["endpoint"],
        "input_file_id": asked["input_file_id"],
        "completion_window": "24h",
        "status": "completed",
        "output_file_id": f"answers-of-{asked['input_file_id']}",
        "error_file_id": None,
        "created_at": 1,
        "request_counts": {"total": lines, "completed": lines, "failed": 0},
        "metadata": asked.get("metadata"),
    }
    seen.batches[str(batch["id"])] = batch
    return web.json_response(batch)


async def read_batch(request: web.Request) -> web.Response:
    return web.json_response(request.app[SEEN].batches[request.match_info["id"]])


async def list_batches(request: web.Request) -> web.Response:
    return web.json_response({"object": "list", "data": list(request.app[SEEN].batches.values()), "has_more": False})


async def download(request: web.Request) -> web.Response:
    ids = request.app[SEEN].files[request.match_info["id"].removeprefix("answers-of-")]
    return web.Response(body="".join(_answer(custom_id) for custom_id in ids).encode())


def _answer(custom_id: str) -> str:
    body = {
        "id": f"completion-{custom_id}",
        "object": "chat.completion",
        "model": "bare",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300},
    }
    response = {"status_code": 200, "request_id": custom_id, "body": body}
    return json.dumps({"id": custom_id, "custom_id": custom_id, "response": response, "error": None}) + "\n"


# The process


def make_app(latency_s: float) -> web.Application:
    app = web.Application(client_max_size=100_000_000)
    app[SEEN] = Seen()
    app[LATENCY_S] = latency_s
    routes: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
        ("GET", "/counts", counts),
        ("POST", "/v1/files", upload),
        ("GET", "/v1/files/{id}/content", download),
        ("POST", "/v1/batches", create_batch),
        ("GET", "/v1/batches", list_batches),
        ("GET", "/v1/batches/{id}", read_batch),
        ("POST", "/{version}/models/{call}", generate_content),
    ]
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
    return app


async def serve(latency_s: float, lifetime_s: float) -> None:
    runner = web.AppRunner(make_app(latency_s), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    with suppress(TimeoutError):
        async with asyncio.timeout(lifetime_s):
            await _standard_input_closes()
    await runner.cleanup()


async def _standard_input_closes() -> None:
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), closed.set)
    await closed.wait()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), float(sys.argv[2])))

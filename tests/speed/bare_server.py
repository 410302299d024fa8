"""A server that does next to nothing, in a process of its own: `python bare_server.py BEHAVIOUR LIFETIME_S`.

It speaks just enough of OpenAI's chat completions, files and batches and of Gemini's generateContent for a run to end.
It shares the cores with what is measured, so it is no web framework: bodies are counted and dropped as they come, but
for the custom ids of a batch's lines, and a live answer is the same bytes every time. It listens on loopback only,
prints its address, and ends when its standard input closes or its lifetime is over.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import resource
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

CUSTOM_ID = re.compile(rb'\{"custom_id":"([^"]+)"')
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
PURPOSE = re.compile(rb'name="purpose"[^\0]*?\r\n\r\n(\w+)')
PURPOSE_WITHIN_BYTES = 2_000
LONGEST_START_BYTES = 200
BUFFER_BYTES = 1 << 20
ANSWER = "An answer of the benchmark's server, which has not looked at the image. " * 20
SETTLED_AFTER_S = 30.0
"""What comes later than this after the first request, or than `settled_s`, is counted apart: by then a client should
know the limit."""


# What it is asked to do


@dataclass(frozen=True)
class Behaviour:
    """How the server answers, and its limits. A limit of 0 is none."""

    latencies_s: tuple[float, ...] = (0.0,)
    """From a request's last byte to its answer, in order of arrival, repeated."""
    per_minute: int = 0
    """Requests that pass in any 60 s."""
    most: int = 0
    """Requests that pass in any `window_s` or, if `fixed`, in each window."""
    window_s: float = 60.0
    fixed: bool = False
    per_second: int = 0
    """A bucket fills at this rate and holds `burst`."""
    burst: int = 10
    tells: bool = False
    """Whether headers say what is left and when to come back."""
    refused_count: bool = False
    """Whether refusals use up the limit."""
    settled_s: float = SETTLED_AFTER_S
    """Requests later than this are also counted separately."""


def draw_latencies(count: int, lowest_s: float, highest_s: float, seed: int = 3) -> tuple[float, ...]:
    """Log-normal latencies, 95 % of the distribution between the bounds; what falls beyond them is drawn again."""
    source = random.Random(seed)
    middle, spread = (lowest_s * highest_s) ** 0.5, (highest_s / lowest_s) ** 0.25
    latencies: list[float] = []
    while len(latencies) < count:
        latency_s = middle * spread ** source.gauss(0, 1)
        if lowest_s <= latency_s <= highest_s:
            latencies.append(round(latency_s, 4))
    return tuple(latencies)


@dataclass
class SlidingWindow:
    """So many requests in any window."""

    most: int
    refused_count: bool
    window_s: float = 60.0
    seen_at_s: deque[float] = field(default_factory=deque)

    def admit(self, now_s: float) -> bool:
        while self.seen_at_s and self.seen_at_s[0] <= now_s - self.window_s:
            self.seen_at_s.popleft()
        admitted = len(self.seen_at_s) < self.most
        if admitted or self.refused_count:
            self.seen_at_s.append(now_s)
        return admitted

    def describe(self, now_s: float) -> dict[str, str]:
        """What OpenAI's headers would say."""
        over = len(self.seen_at_s) - self.most
        headers = {
            "x-ratelimit-limit-requests": str(self.most),
            "x-ratelimit-remaining-requests": str(max(0, -over)),
            "x-ratelimit-reset-requests": f"{self.seen_at_s[-1] + self.window_s - now_s:.3f}s",
        }
        if over >= 0:
            wait_s = self.seen_at_s[over] + self.window_s - now_s
            headers |= {"retry-after": str(int(wait_s) + 1), "retry-after-ms": str(int(wait_s * 1000) + 1)}
        return headers


@dataclass
class FixedWindow:
    """So many requests in each window of a clock. It is in the middle of one when the first request comes."""

    most: int
    window_s: float
    opened_s: float | None = None
    used: int = 0

    def admit(self, now_s: float) -> bool:
        if self.opened_s is None:
            self.opened_s = now_s - self.window_s / 2
        if now_s >= self.opened_s + self.window_s:
            self.opened_s += (now_s - self.opened_s) // self.window_s * self.window_s
            self.used = 0
        admitted = self.used < self.most
        self.used += admitted
        return admitted

    def describe(self, now_s: float) -> dict[str, str]:
        assert self.opened_s is not None
        return {"retry-after-ms": str(int((self.opened_s + self.window_s - now_s) * 1000) + 1)}


@dataclass
class Bucket:
    """So many requests a second, and a few at once."""

    per_second: int
    burst: int
    level: float = 0.0
    filled_at_s: float = 0.0

    def admit(self, now_s: float) -> bool:
        self.level = min(self.burst, self.level + (now_s - self.filled_at_s) * self.per_second)
        self.filled_at_s = now_s
        admitted = self.level >= 1
        self.level -= admitted
        return admitted

    def describe(self, now_s: float) -> dict[str, str]:
        return {"retry-after-ms": str(int((1 - self.level) / self.per_second * 1000) + 1)}


def make_limit(behaviour: Behaviour) -> SlidingWindow | FixedWindow | Bucket | None:
    if behaviour.most and behaviour.fixed:
        return FixedWindow(behaviour.most, behaviour.window_s)
    if behaviour.most:
        return SlidingWindow(behaviour.most, behaviour.refused_count, behaviour.window_s)
    if behaviour.per_minute:
        return SlidingWindow(behaviour.per_minute, behaviour.refused_count)
    if behaviour.per_second:
        return Bucket(behaviour.per_second, behaviour.burst)
    return None


# What it counts


@dataclass
class Seen:
    """Times are the server's own, monotonic, in seconds. A late one came when settled_s were over; the last of them at
    last_received_s."""

    settled_s: float = SETTLED_AFTER_S
    last_received_s: float = 0.0
    first_received_s: float = 0.0
    last_sent_s: float = 0.0
    requests: int = 0
    answered: int = 0
    refused: int = 0
    late_requests: int = 0
    late_refused: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    bytes_received: int = 0
    images: int = 0
    unknown: list[str] = field(default_factory=list)

    def begin(self) -> None:
        self.first_received_s = self.first_received_s or time.monotonic()
        self.last_received_s = time.monotonic()
        self.requests += 1
        self.late_requests += self._is_late()
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)

    def end(self) -> None:
        self.in_flight -= 1
        self.last_sent_s = time.monotonic()

    def refuse(self) -> None:
        self.refused += 1
        self.late_refused += self._is_late()

    def _is_late(self) -> bool:
        return time.monotonic() - self.first_received_s > self.settled_s


# What it answers


def http(body: bytes, status: str = "200 OK", headers: dict[str, str] | None = None) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return head.encode() + body


def as_json(content: Any) -> bytes:
    return http(json.dumps(content).encode())


COMPLETION = {
    "id": "completion",
    "object": "chat.completion",
    "created": 1,
    "model": "bare",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2000, "completion_tokens": 300, "total_tokens": 2300},
}
MESSAGE = {
    "id": "message",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": ANSWER, "annotations": []}],
}
RESPONSE = {
    "id": "response",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "bare",
    "output": [MESSAGE],
    "usage": {
        "input_tokens": 2000,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 300,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2300,
    },
}
CONTENT = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": ANSWER}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 2000, "candidatesTokenCount": 300, "totalTokenCount": 2300},
    "modelVersion": "bare",
    "responseId": "response",
}
REFUSED = {"error": {"message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded"}}
REFUSED_CONTENT = {"error": {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED"}}
TOO_MANY = "429 Too Many Requests"

LIVE = {
    b"/chat/completions": (as_json(COMPLETION), REFUSED),
    b"/responses": (as_json(RESPONSE), REFUSED),
    b":generateContent": (as_json(CONTENT), REFUSED_CONTENT),
}
"""End of a path → what is answered, and what is said to those that are refused."""


class Site:
    """Everything that the connections share."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.seen = Seen(behaviour.settled_s)
        self.files: dict[str, list[str]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.buffer = memoryview(bytearray(BUFFER_BYTES))
        self._limit = make_limit(behaviour)
        self._turn = 0

    def answer_live(self, path: bytes) -> tuple[bytes, float]:
        """What to send, and after how many seconds."""
        answer, refusal = next(said for end, said in LIVE.items() if path.endswith(end))
        if self._limit is not None:
            now_s = time.monotonic()
            admitted = self._limit.admit(now_s)
            headers = self._limit.describe(now_s) if self.behaviour.tells else {}
            if not admitted:
                self.seen.refuse()
                return http(json.dumps(refusal).encode(), TOO_MANY, headers), 0.0
            if headers:
                answer = http(answer.partition(b"\r\n\r\n")[2], headers=headers)
        self.seen.answered += 1
        latencies_s = self.behaviour.latencies_s
        self._turn += 1
        return answer, latencies_s[(self._turn - 1) % len(latencies_s)]

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        """Everything but live requests and uploads. A batch has ended already when it is created: the time that a
        run waits between two looks at it is not our subject."""
        match method, path.decode().strip("/").split("/"):
            case b"GET", ["counts"]:
                return as_json(self._count())
            case b"GET", ["files", name, "content"]:
                return http(self._write_answers(name.removeprefix("answers-of-")))
            case b"GET", ["files", name]:
                return as_json(describe_file(name, "vision"))
            case b"POST", ["batches"]:
                return as_json(self._create_batch(json.loads(body)))
            case b"GET", ["batches"]:
                return as_json({"object": "list", "data": list(self.batches.values()), "has_more": False})
            case b"GET", ["batches", name]:
                return as_json(self.batches[name])
        self.seen.unknown.append(f"{method.decode()} {path.decode()}")
        return http(b'{"error":{"message":"The benchmark does not know this path."}}', "404 Not Found")

    def _count(self) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            **asdict(self.seen),
            "span_s": self.seen.last_sent_s - self.seen.first_received_s,
            "lines": sum(map(len, self.files.values())),
            "batches": len(self.batches),
            "cpu_s": used.ru_utime + used.ru_stime,
        }

    def _create_batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        lines = len(self.files[asked["input_file_id"]])
        batch = {
            "id": f"batch-{len(self.batches)}",
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
        self.batches[str(batch["id"])] = batch
        return batch

    def _write_answers(self, file_id: str) -> bytes:
        endpoint = next(batch["endpoint"] for batch in self.batches.values() if batch["input_file_id"] == file_id)
        body = RESPONSE if endpoint.endswith("/responses") else COMPLETION
        return "".join(_answer_line(custom_id, body) for custom_id in self.files[file_id]).encode()


def describe_file(file_id: str, purpose: str) -> dict[str, Any]:
    facts = {"bytes": 1, "created_at": 1, "filename": "file", "purpose": purpose, "status": "processed"}
    return {"id": file_id, "object": "file", **facts}


def _answer_line(custom_id: str, body: dict[str, Any]) -> str:
    response = {"status_code": 200, "request_id": custom_id, "body": body}
    return json.dumps({"id": custom_id, "custom_id": custom_id, "response": response, "error": None}) + "\n"


# How it reads


class Upload:
    """A file on its way in: the custom ids of its lines are kept, and its purpose."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._start = b""
        self._rest = b""

    @property
    def is_picture(self) -> bool:
        match = PURPOSE.search(self._start)
        return match is not None and match[1] == b"vision"

    def take(self, piece: memoryview) -> None:
        if len(self._start) < PURPOSE_WITHIN_BYTES:
            self._start += bytes(piece[:PURPOSE_WITHIN_BYTES])
        self._rest = _take_ids(self._rest + bytes(piece), self.ids)


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


class Connection(asyncio.BufferedProtocol):
    """One client's connection: one request after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._head = b""
        self._missing = 0
        self._method, self._path = b"", b""
        self._take: Callable[[memoryview], None] = self._drop
        self._end: Callable[[], None] = self._end_other
        self._body = bytearray()
        self._upload = Upload()
        self._timer: asyncio.TimerHandle | None = None
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._counted:
            self._site.seen.in_flight -= 1

    def get_buffer(self, sizehint: int) -> memoryview:
        """One buffer for all: what is in it is used up before the next connection reads."""
        return self._site.buffer

    def buffer_updated(self, nbytes: int) -> None:
        piece = self._site.buffer[:nbytes]
        while len(piece):
            if not self._missing:
                piece = self._read_head(piece)
                continue
            taken = piece[: self._missing]
            self._take(taken)
            piece = piece[len(taken) :]
            self._missing -= len(taken)
            if not self._missing:
                self._end()

    def _read_head(self, piece: memoryview) -> memoryview:
        """Take a request's head; what came behind it is given back."""
        before = len(self._head)
        self._head += bytes(piece[:65_536])
        at = self._head.find(b"\r\n\r\n")
        if at < 0:
            return piece[65_536:]
        head, self._head = self._head[:at], b""
        self._method, path, _ = head[: head.find(b"\r\n")].split(b" ", 2)
        self._path = path.partition(b"?")[0].removeprefix(b"/openai").removeprefix(b"/v1")
        length = CONTENT_LENGTH.search(head)
        self._missing = int(length[1]) if length else 0
        self._begin()
        if not self._missing:
            self._end()
        return piece[at + 4 - before :]

    def _begin(self) -> None:
        seen = self._site.seen
        if self._path.endswith(tuple(LIVE)):
            self._take, self._end = self._drop, self._end_live
        elif (self._method, self._path) == (b"POST", b"/files"):
            self._upload = Upload()
            self._take, self._end = self._take_upload, self._end_upload
        else:
            self._body.clear()
            self._take, self._end = self._body.extend, self._end_other
            return
        seen.begin()
        self._counted = True

    def _drop(self, piece: memoryview) -> None:
        self._site.seen.bytes_received += len(piece)

    def _take_upload(self, piece: memoryview) -> None:
        self._site.seen.bytes_received += len(piece)
        self._upload.take(piece)

    def _end_live(self) -> None:
        answer, latency_s = self._site.answer_live(self._path)
        if latency_s:
            self._timer = asyncio.get_running_loop().call_later(latency_s, self._send_counted, answer)
        else:
            self._send_counted(answer)

    def _end_upload(self) -> None:
        site = self._site
        purpose = "vision" if self._upload.is_picture else "batch"
        if purpose == "vision":
            site.seen.images += 1
            file_id = f"file-image{site.seen.images}"
        else:
            file_id = f"file-{len(site.files)}"
            site.files[file_id] = self._upload.ids
        self._send_counted(as_json(describe_file(file_id, purpose)))

    def _end_other(self) -> None:
        self._transport.write(self._site.answer(self._method, self._path, bytes(self._body)))

    def _send_counted(self, answer: bytes) -> None:
        self._timer = None
        self._transport.write(answer)
        self._counted = False
        self._site.seen.end()


# The process


async def serve(behaviour: Behaviour, lifetime_s: float) -> None:
    site = Site(behaviour)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(site), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    with suppress(TimeoutError):
        async with asyncio.timeout(lifetime_s):
            await _standard_input_closes()
    server.close()


async def _standard_input_closes() -> None:
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), closed.set)
    await closed.wait()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    asyncio.run(serve(Behaviour(**{**asked, "latencies_s": tuple(asked["latencies_s"])}), float(sys.argv[2])))

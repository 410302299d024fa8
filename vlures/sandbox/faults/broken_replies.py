"""Replies that break HTTP or never end, written to the connection byte by byte."""

import asyncio
import base64
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType
from urllib.parse import quote

import msgspec
from aiohttp import web

from vlures.sandbox.exchange import Reply
from vlures.sandbox.faults.fault import Fault

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SWITCHING_PROTOCOLS = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
PIECE = b" " * 1_000_000
MAX_BUFFER_BYTES = 4_000_000
PAUSE_S, MAX_PAUSES = 0.01, 3_000


def _with_length(body: bytes, headers: bytes = b"") -> bytes:
    return HEAD + headers + b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


def _chunked(size: bytes, body: bytes) -> bytes:
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + body + b"\r\n0\r\n\r\n"


def _status(line: bytes) -> bytes:
    return b"HTTP/1.1 " + line + b"\r\nContent-Length: 2\r\n\r\n{}"


FORMS: Mapping[str, Callable[[bytes], bytes]] = MappingProxyType(
    {
        "two_lengths": lambda body: _with_length(body, b"Content-Length: %d\r\n" % (len(body) + 5)),
        "length_and_chunks": lambda body: (
            HEAD
            + b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
            % (len(body), len(body), body)
        ),
        "no_length": lambda body: HEAD + b"Content-Length: many\r\n\r\n" + body,
        "long_header": lambda body: _with_length(body, b"X-Trace: " + b"x" * 9_000 + b"\r\n"),
        "huge_header": lambda body: _with_length(body, b"X-Trace: " + b"x" * 900_000 + b"\r\n"),
        "many_headers": lambda body: _with_length(body, b"".join(b"X-%d: y\r\n" % n for n in range(500))),
        "bad_header": lambda body: _with_length(body, b"X Bad Header\x00: 1\r\n"),
        "not_gzip": lambda body: _with_length(body, b"Content-Encoding: gzip\r\n"),
        "cut_gzip": lambda body: _with_length(gzip.compress(body)[:-12], b"Content-Encoding: gzip\r\n"),
        "not_deflate": lambda body: _with_length(body, b"Content-Encoding: deflate\r\n"),
        "cut_deflate": lambda body: _with_length(zlib.compress(body)[:-12], b"Content-Encoding: deflate\r\n"),
        "not_brotli": lambda body: _with_length(body, b"Content-Encoding: br\r\n"),
        "not_zstd": lambda body: _with_length(body, b"Content-Encoding: zstd\r\n"),
        "bad_chunk": lambda body: _chunked(b"zz", body),
        "wrong_chunk": lambda body: _chunked(b"%x" % max(1, len(body) - 9), body),
        "bad_status": lambda body: b"HTTP/1.1 OK\r\n\r\n" + body,
        "no_http": lambda body: b"\x16\x03\x01 not HTTP at all\r\n\r\n" + body,
        "http09": lambda body: body,
        "status_999": lambda body: _status(b"999 What"),  # noqa: ARG005
        "status_099": lambda body: _status(b"099 What"),  # noqa: ARG005
        "status_204": lambda body: b"HTTP/1.1 204 No Content\r\n\r\n",  # noqa: ARG005
        "status_101": lambda body: SWITCHING_PROTOCOLS,  # noqa: ARG005
        "charset": lambda body: _with_length(body.decode().encode("utf-16")).replace(
            b"json\r\n", b"json; charset=utf-99\r\n", 1
        ),
        "short": lambda body: HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body) + 50, body),
        "long": lambda body: HEAD + b"Content-Length: %d\r\n\r\n%s" % (max(0, len(body) - 5), body),
        "deep": lambda body: _with_length(b'{"choices":' * 50_000),  # noqa: ARG005
        "closed": lambda body: b"",  # noqa: ARG005
    }
)
"""The fault's `how` -> the bytes of the reply, made from the intact body."""


async def write_broken(request: web.Request, reply: Reply, fault: Fault) -> None:
    """Write a reply that the fault `malformed`, `cut_at` or `endless` has struck."""
    transport = request.transport
    if transport is None:
        return
    body = reply.file.path.read_bytes() if reply.file else reply.body
    if fault.kind == "malformed":
        transport.write(FORMS[fault.option("how", "two_lengths")](body))
    elif fault.kind == "cut_at":
        transport.write(_with_length(body)[: int(fault.number("bytes", 100))])
    else:
        async for piece in write_endlessly(fault.option("how", "drip"), body, fault.number("seconds", 0.1)):
            if transport.is_closing():
                return
            transport.write(piece)
            for _ in range(MAX_PAUSES):
                if transport.get_write_buffer_size() <= MAX_BUFFER_BYTES:
                    break
                await asyncio.sleep(PAUSE_S)


async def write_endlessly(how: str, body: bytes, seconds: float) -> AsyncIterator[bytes]:
    """The bytes of a reply that does not end, or not soon.

    how: drip (a body), drip_header, informational (status 103 without end), huge (a body of 1 GB), bomb (200 MB in
    0.2 MB of gzip). seconds: between two pieces.
    """
    if how == "huge":
        yield HEAD + b"Content-Length: 1000000000\r\n\r\n" + body
        for _ in range(1_000):
            yield PIECE
    elif how == "bomb":
        yield HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
        packer = zlib.compressobj(wbits=31)
        yield packer.compress(body)
        for _ in range(200):
            yield packer.compress(PIECE)
        yield packer.flush()
    else:
        begin, piece = {
            "drip": (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
            "drip_header": (HEAD + b"X-Trace: ", b"x"),
            "informational": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        }[how]
        yield begin
        while True:
            yield piece
            await asyncio.sleep(seconds)


def caller_key(headers: Mapping[str, str]) -> str:
    """The API key of a request."""
    return headers.get("x-goog-api-key") or headers.get("authorization", "").removeprefix("Bearer ")


def put_in_answer(body: bytes, text: str) -> bytes:
    """A live reply with the text appended to its answer and to its model's name."""

    def put(value: object) -> object:
        if isinstance(value, list):
            return [put(inner) for inner in value]
        if not isinstance(value, dict):
            return value
        named = ("text", "content", "model", "modelVersion")
        return {
            key: f"{inner} {text}" if key in named and isinstance(inner, str) else put(inner)
            for key, inner in value.items()
        }

    return msgspec.json.encode(put(msgspec.json.decode(body)))


def echo(key: str) -> str:
    """A message that repeats a key in the forms in which servers have been seen to return it."""
    masked = f"{key[:4]}{'*' * 12}{key[-4:]}"
    coded = base64.b64encode(f"user:{key}".encode()).decode()
    return f"Incorrect API key provided: {key} ({masked}; Basic {coded}; ?key={quote(key, safe='')})"


ESCAPES = (
    "\x1b[2J\x1b[31mred\x1b[0m \x1b]0;title\x07 \x9b31m \u202egnp.exe\u202c \u2066x\u2069 \u200bzero \u2028line"
    "\r\nvlures: all is well\x08\x00"
)
"""Escapes that a terminal would follow."""

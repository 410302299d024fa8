"""What the faults of an HTTP request do to its reply."""

import asyncio
import codecs
import json
from dataclasses import replace

from aiohttp import web

from vlures.sandbox.exchange import Call, Reply
from vlures.sandbox.faults.broken_replies import ESCAPES, caller_key, echo, put_in_answer, write_broken
from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.gemini.errors import struck_error as gemini_error
from vlures.sandbox.openai.errors import struck_error as openai_error
from vlures.sandbox.send import Disconnect, send, send_half

HANG_STEP_S = 0.2
DOWNLOAD_FAULTS = frozenset(("portal", "empty_body", "half_lines", "names_only", "byte_order_mark"))
ACTING_FAULTS = DOWNLOAD_FAULTS | {"drop_after", "hang_after", "truncate", "bad_json", "malformed", "cut_at", "endless"}
PORTAL_PAGE = (
    b"<html><head><title>Welcome</title></head>\n<body><h1>Please sign in to use this network</h1></body></html>\n"
)
HTML_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


def lets_act(fault: Fault) -> bool:
    """Whether the server acts on the request under this fault, and only the reply suffers."""
    return fault.kind in ACTING_FAULTS or fault.number("answer", 0) > 0


async def reply_instead(request: web.Request, provider: str, call: Call, fault: Fault) -> Reply:
    """The reply of a server that does not act; raises Disconnect where there is none."""
    if fault.kind == "hang":
        await _hold(request, fault.number("seconds", 3600.0))
        raise Disconnect
    if fault.kind == "html":
        return Reply(502, HTML_PAGE, content_type="text/html")
    if fault.kind == "redirect":
        return Reply(int(fault.number("status", 307)), headers={"Location": fault.option("to", "http://localhost:9/")})
    if fault.kind in ("echo_key", "escapes"):
        fault = _as_error(fault, call)
    if provider == "gemini":
        return gemini_error(fault, call.path_values).reply()
    return openai_error(fault, call.path_values).reply()


async def _hold(request: web.Request, seconds: float) -> None:
    """Hold the connection open without a reply, as long as the client does."""
    left_s = seconds
    while left_s > 0 and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(min(HANG_STEP_S, left_s))
        left_s -= HANG_STEP_S


def _as_error(fault: Fault, call: Call) -> Fault:
    """The fault `error` with the message that this fault makes of the call."""
    message = ESCAPES if fault.kind == "escapes" else echo(caller_key(call.headers))
    status = fault.option("status", "400" if fault.kind == "escapes" else "401")
    return replace(fault, kind="error", values=(("status", status), ("message", message)))


async def send_damaged(request: web.Request, call: Call, reply: Reply, fault: Fault) -> web.StreamResponse:
    """Send what the fault leaves of a reply after the server has acted; raises Disconnect unless it is complete."""
    if fault.kind == "hang_after":
        await _hold(request, fault.number("seconds", 3600.0))
    if fault.kind in ("drop_after", "hang_after"):
        raise Disconnect
    if fault.kind == "bad_json":
        return await send(request, Reply(200, b'{"this is": "not JSON", \n'))
    if fault.kind == "echo_key":
        body = put_in_answer(reply.body, echo(caller_key(call.headers)))
        return await send(request, replace(reply, body=body))
    if fault.kind in DOWNLOAD_FAULTS:
        return await send(request, _false_download(reply, fault))
    if fault.kind in ("malformed", "cut_at", "endless"):
        await write_broken(request, reply, fault)
    else:
        await send_half(request, reply)
    raise Disconnect


def _false_download(reply: Reply, fault: Fault) -> Reply:
    """What comes, with status 200, in the place of a file."""
    if fault.kind == "portal":
        return Reply(200, PORTAL_PAGE, content_type="text/html")
    content = b""
    if fault.kind != "empty_body" and reply.file is not None:
        with reply.file.path.open("rb") as file:
            file.seek(reply.file.start)
            content = file.read(reply.file.size)
    lines = content.splitlines(keepends=True)
    if fault.kind == "half_lines":
        content = b"".join(lines[: len(lines) // 2])
    elif fault.kind == "names_only":
        content = b"".join(map(_name_only, lines))
    elif fault.kind == "byte_order_mark":
        content = codecs.BOM_UTF8 + content
    return Reply(200, content, content_type="application/octet-stream")


def _name_only(line: bytes) -> bytes:
    """A line of a result file reduced to the name of its request."""
    names = ("custom_id", "key")
    return json.dumps({name: value for name, value in json.loads(line).items() if name in names}).encode() + b"\n"

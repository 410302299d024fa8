"""The edge of the sandbox: HTTP in, HTTP out, and what can go wrong between the two."""

import asyncio
import codecs
import ipaddress
import json
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from PIL import Image

from vlures.errors import UsageError
from vlures.sandbox.batch_runner import BatchRunner
from vlures.sandbox.callers import Refusal, check_caller
from vlures.sandbox.exchange import Call, FileRange, ProviderError, Reply, json_reply
from vlures.sandbox.faults.broken_replies import ESCAPES, caller_key, echo, put_in_answer, write_broken
from vlures.sandbox.faults.kinds import Fault
from vlures.sandbox.faults.rate_limits import Allowance
from vlures.sandbox.gemini import errors as gemini_errors
from vlures.sandbox.gemini import files as gemini_files
from vlures.sandbox.openai import errors as openai_errors
from vlures.sandbox.routes import Route, find_route, provider_of
from vlures.sandbox.settings import SandboxSettings
from vlures.sandbox.state import State

MAX_BODY_BYTES = 512_000_000
CHUNK_BYTES = 1 << 18
SHUTDOWN_S = 0.2
HANG_STEP_S = 0.2
DOWNLOAD_FAULTS = frozenset(("portal", "empty_body", "half_lines", "names_only", "byte_order_mark"))
ACTING_FAULTS = DOWNLOAD_FAULTS | {"drop_after", "hang_after", "truncate", "bad_json", "malformed", "cut_at", "endless"}
PORTAL_PAGE = (
    b"<html><head><title>Welcome</title></head>\n<body><h1>Please sign in to use this network</h1></body></html>\n"
)
HTML_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"


async def serve_sandbox(settings: SandboxSettings, ready: Callable[[str], None]) -> None:
    """Serve until cancelled; a state folder of its own goes at the end."""
    _check_host(settings.host)
    # Pillow warns of very large pictures; both providers take them.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    if settings.state_dir is not None:
        await _serve_in(settings, settings.state_dir, ready)
        return
    with tempfile.TemporaryDirectory(prefix="vlures-sandbox-", ignore_cleanup_errors=True) as folder:
        await _serve_in(settings, Path(folder), ready)


def _check_host(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        sentence = f"The sandbox serves on loopback only, not on {host!r}; leave the host out or use 127.0.0.1."
        raise UsageError(sentence)


async def _serve_in(settings: SandboxSettings, folder: Path, ready: Callable[[str], None]) -> None:
    state = State(settings, folder)
    runner = BatchRunner(state)
    edge = Edge(state, runner)
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", edge.serve)
    site_runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, read_bufsize=CHUNK_BYTES)
    try:
        await site_runner.setup()
        await _bind(site_runner, settings)
        for batch in state.batches.unfinished():
            runner.start(batch)
        port = site_runner.addresses[0][1]
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        ready(f"http://{shown}:{port}")
        await asyncio.Event().wait()
    finally:
        await site_runner.cleanup()
        await runner.stop()
        state.close()


async def _bind(site_runner: web.AppRunner, settings: SandboxSettings) -> None:
    try:
        await web.TCPSite(site_runner, settings.host, settings.port, backlog=512).start()
        addresses = [str(address[0]) for address in site_runner.addresses]
    except OSError as error:
        sentence = f"The sandbox cannot listen on {settings.host}:{settings.port} ({error.strerror})."
        raise UsageError(sentence) from error
    for address in addresses:  # of `localhost`, which a hosts file may lead anywhere
        _check_host(address)


class _Cut(Exception):
    """The connection is to be cut without a reply."""


class Edge:
    """Turns HTTP into calls and replies into HTTP, and lets the faults strike."""

    def __init__(self, state: State, runner: BatchRunner) -> None:
        self._state = state
        self._runner = runner

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one request."""
        arrived = time.monotonic()
        refusal = check_caller(request.headers.getall("Host", []), request.raw_path, request.headers)
        if refusal is not None:
            return _respond(_refuse(refusal))
        found = find_route(request.method, request.path)
        if found is None:
            await request.read()
            return _respond(_unknown_path(request.method, request.path))
        route, words = found
        self._state.counts.requests[route.name] += 1
        if route.is_live:
            self._state.counts.begin_live()
        try:
            return await self._serve_route(request, route, words, arrived)
        except (_Cut, ConnectionError, web.RequestPayloadError):  # ours, or the client is gone
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        finally:
            if route.is_live:
                self._state.counts.end_live()

    async def _serve_route(
        self, request: web.Request, route: Route, words: dict[str, str], arrived: float
    ) -> web.StreamResponse:
        allowance = self._state.faults.admit(route.place, arrived) if route.is_live else None
        if allowance is not None and not allowance.admitted:
            self._state.counts.bytes_received += len(await request.read())
            return _respond(_limited_reply(route, words, allowance))
        faults = self._state.faults.strikes("http", route.place) if route.place else []
        for fault in faults:
            if fault.kind == "latency":
                await asyncio.sleep(fault.number("seconds", 1.0))
        strike = next((fault for fault in faults if fault.kind != "latency"), None)
        if strike is not None and strike.kind == "drop_before":
            raise _Cut
        acts = strike is None or strike.kind in ACTING_FAULTS or strike.number("answer", 0) > 0
        call = await self._read(request, words, store=acts, to_disk=route.place == "gemini_upload")
        try:
            if strike is not None and not acts:
                self._state.counts.held += strike.kind == "hang"
                return _respond(await _struck_reply(request, route, call, strike))
            reply = await self._act(route, call)
            if allowance is not None and route.provider == "openai":
                reply = replace(reply, headers={**reply.headers, **openai_errors.limit_headers(allowance)})
        finally:
            if call.spooled is not None:
                call.spooled.unlink(missing_ok=True)  # a file that was stored has been moved away
        if route.is_live and self._state.settings.latency_s:
            await asyncio.sleep(arrived + self._state.settings.latency_s - time.monotonic())
        if strike is not None:
            self._state.counts.held += strike.kind == "hang_after"
            return await _broken(request, call, reply, strike)
        return await _send_part(request, reply, reply.part) if reply.part else _respond(reply)

    async def _act(self, route: Route, call: Call) -> Reply:
        settings = self._state.settings
        try:
            if route.provider == "openai":
                openai_errors.check_key(call.headers, settings.api_key)
            elif route.provider == "gemini" and not gemini_files.is_known(self._state, route.place, call):
                gemini_errors.check_key(call.headers, call.query, settings.api_key)
            if route.may_fetch and b'"http' in call.body:  # a picture to fetch, perhaps from this very server
                reply = await asyncio.to_thread(route.serve, self._state, self._runner, call)
            else:
                reply = route.serve(self._state, self._runner, call)
            return await reply if isinstance(reply, Awaitable) else reply
        except ProviderError as error:
            return error.reply()

    async def _read(self, request: web.Request, words: dict[str, str], *, store: bool, to_disk: bool) -> Call:
        """The whole request; an upload's body goes to disk as it comes (or nowhere, if nobody will look at it)."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        call = Call(request.path, dict(request.query), headers, b"", words)
        if not to_disk and not headers.get("content-type", "").startswith("multipart/"):
            body = await request.read()
            self._state.counts.bytes_received += len(body)
            return replace(call, body=body)
        spooled = self._state.files.new_temporary_file()
        try:
            with spooled.open("wb", buffering=0) as file:
                async for chunk in request.content.iter_any():
                    self._state.counts.bytes_received += len(chunk)
                    if store:
                        file.write(chunk)
        except BaseException:
            spooled.unlink()
            raise
        return replace(call, spooled=spooled)


def _refuse(refusal: Refusal) -> Reply:
    """The body of a refused request is not read; the connection ends with the reply."""
    return json_reply({"error": refusal.reason}, refusal.status, {"Connection": "close"})


def _unknown_path(method: str, path: str) -> Reply:
    provider = provider_of(path)
    if provider == "openai":
        return openai_errors.unknown_path(method, path.removeprefix("/openai")).reply()
    if provider == "gemini":
        return gemini_errors.unknown_path(method, path.removeprefix("/gemini")).reply()
    if provider == "plain":
        return json_reply({"detail": "Not Found"}, 404)
    known = "/openai/v1, /gemini/v1, /plain/v1, /sandbox/ledger, /sandbox/stats, /sandbox/faults"
    return json_reply({"error": f"The sandbox does not serve {method} {path}; it serves {known}."}, 404)


def _limited_reply(route: Route, words: dict[str, str], allowance: Allowance) -> Reply:
    """The 429 of a request that comes faster than the fault `limit` lets it."""
    if route.provider == "gemini":
        return gemini_errors.struck_error(allowance.fault, words).reply()
    return openai_errors.limited_error(allowance).reply()


async def _struck_reply(request: web.Request, route: Route, call: Call, fault: Fault) -> Reply:
    """The reply of a fault under which the server does not act."""
    if fault.kind == "hang":
        await _hold(request, fault.number("seconds", 3600.0))
        raise _Cut
    if fault.kind == "html":
        return Reply(502, HTML_PAGE, content_type="text/html")
    if fault.kind == "redirect":
        return Reply(int(fault.number("status", 307)), headers={"Location": fault.option("to", "http://localhost:9/")})
    if fault.kind in ("echo_key", "escapes"):
        fault = _as_error(fault, call)
    if route.provider == "gemini":
        return gemini_errors.struck_error(fault, call.path_values).reply()
    return openai_errors.struck_error(fault, call.path_values).reply()


async def _hold(request: web.Request, seconds: float) -> None:
    """Hold the connection without a word, as long as the client does."""
    left_s = seconds
    while left_s > 0 and request.transport is not None and not request.transport.is_closing():
        await asyncio.sleep(min(HANG_STEP_S, left_s))
        left_s -= HANG_STEP_S


def _as_error(fault: Fault, call: Call) -> Fault:
    """The plain error that a fault stands for whose message depends on the call."""
    message = ESCAPES if fault.kind == "escapes" else echo(caller_key(call.headers))
    status = fault.option("status", "400" if fault.kind == "escapes" else "401")
    return replace(fault, kind="error", values=(("status", status), ("message", message)))


async def _broken(request: web.Request, call: Call, reply: Reply, fault: Fault) -> web.StreamResponse:
    """What is left of a reply that a fault strikes after the server has acted."""
    if fault.kind == "hang_after":
        await _hold(request, fault.number("seconds", 3600.0))
    if fault.kind in ("drop_after", "hang_after"):
        raise _Cut
    if fault.kind == "bad_json":
        return _respond(Reply(200, b'{"this is": "not JSON", \n'))
    if fault.kind == "echo_key":
        return _respond(replace(reply, body=put_in_answer(reply.body, echo(caller_key(call.headers)))))
    if fault.kind in ("malformed", "cut_at", "endless"):
        await write_broken(request, reply, fault)
        raise _Cut
    if fault.kind in DOWNLOAD_FAULTS:
        return _respond(_other_download(reply, fault))
    size = reply.part.size if reply.part else len(reply.body)
    response = web.StreamResponse(status=reply.status, headers={"Content-Length": str(size), **reply.headers})
    response.content_type = reply.content_type
    await response.prepare(request)
    if reply.part:
        await _write_part(response, replace(reply.part, size=size // 2))
    else:
        await response.write(reply.body[: size // 2])
    raise _Cut


def _other_download(reply: Reply, fault: Fault) -> Reply:
    """What comes, with status 200, in the place of a file."""
    if fault.kind == "portal":
        return Reply(200, PORTAL_PAGE, content_type="text/html")
    content = b""
    if fault.kind != "empty_body" and reply.part is not None:
        with reply.part.path.open("rb") as file:
            file.seek(reply.part.start)
            content = file.read(reply.part.size)
    lines = content.splitlines(keepends=True)
    if fault.kind == "half_lines":
        content = b"".join(lines[: len(lines) // 2])
    elif fault.kind == "names_only":
        content = b"".join(map(_name_only, lines))
    elif fault.kind == "byte_order_mark":
        content = codecs.BOM_UTF8 + content
    return Reply(200, content, content_type="application/octet-stream")


def _name_only(line: bytes) -> bytes:
    """A line of a result file without all but the name of its request."""
    names = ("custom_id", "key")
    return json.dumps({name: value for name, value in json.loads(line).items() if name in names}).encode() + b"\n"


def _respond(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=reply.headers, content_type=reply.content_type)


async def _send_part(request: web.Request, reply: Reply, part: FileRange) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Length": str(part.size), **reply.headers})
    response.content_type = reply.content_type
    await response.prepare(request)
    await _write_part(response, part)
    await response.write_eof()
    return response


async def _write_part(response: web.StreamResponse, part: FileRange) -> None:
    left = part.size
    with part.path.open("rb") as file:
        file.seek(part.start)
        while left > 0:
            chunk = file.read(min(CHUNK_BYTES, left))
            if not chunk:
                return
            left -= len(chunk)
            await response.write(chunk)

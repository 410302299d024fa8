"""The sandbox's life as a server: the address, the state folder, the batches under way."""

import asyncio
import ipaddress
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from PIL import Image

from vlures.errors import UsageError
from vlures.sandbox.batch_runner import BatchRunner
from vlures.sandbox.callers import check_caller
from vlures.sandbox.dispatch import Dispatcher, serve_unknown_path
from vlures.sandbox.routes import make_routes
from vlures.sandbox.send import CHUNK_BYTES
from vlures.sandbox.settings import SandboxSettings
from vlures.sandbox.state import State

MAX_BODY_BYTES = 512_000_000
SHUTDOWN_S = 0.2


async def serve_sandbox(settings: SandboxSettings, ready: Callable[[str], None]) -> None:
    """Serve until cancelled. Raises UsageError as `vlures.sandbox.serve` says."""
    _check_host(settings.host)
    # Pillow warns of very large images; both providers accept them.
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
    app = _make_app(state, runner)
    site_runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S, read_bufsize=CHUNK_BYTES)
    try:
        await site_runner.setup()
        await _bind(site_runner, settings)
        for batch in state.batches.unfinished():
            runner.start(batch)
        state.spent_uploads.resume()
        port = site_runner.addresses[0][1]
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        ready(f"http://{shown}:{port}")
        await asyncio.Event().wait()
    finally:
        await site_runner.cleanup()
        await runner.stop()
        await state.spent_uploads.finish()
        state.close()


def _make_app(state: State, runner: BatchRunner) -> web.Application:
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_refuse_strangers])
    dispatcher = Dispatcher(state)
    for route in make_routes(runner):
        app.router.add_route(route.method, route.path, partial(dispatcher.serve, route))
    app.router.add_route("*", "/{path:.*}", serve_unknown_path)
    return app


@web.middleware
async def _refuse_strangers(request: web.Request, handler: Handler) -> web.StreamResponse:
    refusal = check_caller(request.headers.getall("Host", []), request.raw_path, request.headers)
    if refusal is None:
        return await handler(request)
    # The body is not read; the connection ends with the reply.
    return web.json_response({"error": refusal.reason}, status=refusal.status, headers={"Connection": "close"})


async def _bind(site_runner: web.AppRunner, settings: SandboxSettings) -> None:
    try:
        await web.TCPSite(site_runner, settings.host, settings.port, backlog=512).start()
        addresses = [str(address[0]) for address in site_runner.addresses]
    except OSError as error:
        sentence = f"The sandbox cannot listen on {settings.host}:{settings.port} ({error.strerror})."
        raise UsageError(sentence) from error
    for address in addresses:  # of `localhost`, which a hosts file may resolve to anything
        _check_host(address)

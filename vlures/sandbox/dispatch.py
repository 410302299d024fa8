"""One request from HTTP to its handler and back, with the faults that strike on the way."""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import replace

from aiohttp import web

from vlures.sandbox.exchange import Call, ProviderError, Reply, json_reply
from vlures.sandbox.faults.fault import Fault
from vlures.sandbox.faults.rate_limits import Allowance
from vlures.sandbox.gemini import errors as gemini_errors
from vlures.sandbox.gemini import files as gemini_files
from vlures.sandbox.http_faults import lets_act, reply_instead, send_damaged
from vlures.sandbox.openai import errors as openai_errors
from vlures.sandbox.receive import receive
from vlures.sandbox.routes import Route, provider_of
from vlures.sandbox.send import Disconnect, send
from vlures.sandbox.state import State


class Dispatcher:
    """Serves the requests of every route."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        """Serve one request to a route."""
        counts = self._state.counts
        counts.requests[route.name] += 1
        if route.is_live:
            counts.begin_live()
        try:
            return await self._serve(route, request, time.monotonic())
        except (Disconnect, ConnectionError, web.RequestPayloadError):  # a fault's doing, or the client is gone
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        finally:
            if route.is_live:
                counts.end_live()

    async def _serve(self, route: Route, request: web.Request, arrived: float) -> web.StreamResponse:
        state = self._state
        allowance = state.faults.admit(route.place, arrived) if route.is_live else None
        if allowance is not None and not allowance.admitted:
            call = await receive(request, state, is_raw_upload=False, keep=False)
            return await send(request, _rate_limited(route, call, allowance))
        fault = await self._strike(route)
        acts = fault is None or lets_act(fault)
        call = await receive(request, state, is_raw_upload=route.place == "gemini_upload", keep=acts)
        try:
            if fault is not None and not acts:
                state.counts.held += fault.kind == "hang"
                return await send(request, await reply_instead(request, route.provider, call, fault))
            reply = await self._handle(route, call)
        finally:
            if call.upload is not None:
                call.upload.unlink(missing_ok=True)  # a stored file has been moved away
        if allowance is not None and route.provider == "openai":
            reply = replace(reply, headers={**reply.headers, **openai_errors.limit_headers(allowance)})
        if route.is_live and state.settings.latency_s:
            await asyncio.sleep(arrived + state.settings.latency_s - time.monotonic())
        if fault is None:
            return await send(request, reply)
        state.counts.held += fault.kind == "hang_after"
        return await send_damaged(request, call, reply, fault)

    async def _strike(self, route: Route) -> Fault | None:
        """Wait where the fault `latency` strikes; the other fault that strikes this request, if any."""
        faults = self._state.faults.strikes("http", route.place) if route.place else []
        for fault in faults:
            if fault.kind == "latency":
                await asyncio.sleep(fault.number("seconds", 1.0))
        struck = next((fault for fault in faults if fault.kind != "latency"), None)
        if struck is not None and struck.kind == "drop_before":
            raise Disconnect
        return struck

    async def _handle(self, route: Route, call: Call) -> Reply:
        """The handler's reply, or the provider's error."""
        try:
            self._check_key(route, call)
            if route.may_fetch and b'"http' in call.body:  # an image to fetch, perhaps from this very server
                reply = await asyncio.to_thread(route.handler, self._state, call)
            else:
                reply = route.handler(self._state, call)
            return await reply if isinstance(reply, Awaitable) else reply
        except ProviderError as error:
            return error.reply()

    def _check_key(self, route: Route, call: Call) -> None:
        api_key = self._state.settings.api_key
        if route.provider == "openai":
            openai_errors.check_key(call.headers, api_key)
        elif route.provider == "gemini" and not gemini_files.continues_upload(self._state, route.place, call):
            gemini_errors.check_key(call.headers, call.query, api_key)


def _rate_limited(route: Route, call: Call, allowance: Allowance) -> Reply:
    """The 429 of a request beyond the fault `limit`."""
    if route.provider == "gemini":
        return gemini_errors.struck_error(allowance.fault, call.path_values).reply()
    return openai_errors.limited_error(allowance).reply()


async def serve_unknown_path(request: web.Request) -> web.StreamResponse:
    """Refuse a path or method that no route has, in the words of the provider whose path it is."""
    await request.read()
    return await send(request, _unknown_path(request.method, request.path))


def _unknown_path(method: str, path: str) -> Reply:
    provider = provider_of(path)
    if provider == "openai":
        return openai_errors.unknown_path(method, path.removeprefix("/openai")).reply()
    if provider == "gemini":
        return gemini_errors.unknown_path(method, path.removeprefix("/gemini")).reply()
    if provider == "plain":
        return json_reply({"detail": "Not Found"}, 404)
    served = "/openai/v1, /gemini/v1, /plain/v1, /sandbox/ledger, /sandbox/stats, /sandbox/faults"
    return json_reply({"error": f"The sandbox does not serve {method} {path}; it serves {served}."}, 404)

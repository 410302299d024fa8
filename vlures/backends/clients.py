"""The HTTP clients that the SDKs are given: they follow no redirect to another server, no reply fills the memory, and
the way to a server is found here, not by each of them.

The SDKs' own clients follow every redirect, with the key where its header is not `Authorization`, and with the body for
a 307 or 308.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx2

from vlures.backends.replies import MOST_REPLY_BYTES, REDIRECTS, Redirected, TooLarge, is_same_origin
from vlures.config.route import Route, find_route

MOST_HOPS = 5
DECODED = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers that are no longer true of a body that was read and decoded."""


def client_options(address: str) -> dict[str, Any]:
    """What a client of httpx2 is given for the way to an address. Raises UsageError, as find_route does."""
    route = find_route(address)
    return {"trust_env": False, "proxy": route.proxy, "verify": trusted_by(route)}


def trusted_by(route: Route) -> ssl.SSLContext:
    """The certificates that a server is trusted by."""
    found = route.certificates
    if found is None:
        return httpx2.create_ssl_context(trust_env=False)
    is_file = Path(found).is_file()
    return ssl.create_default_context(cafile=found if is_file else None, capath=None if is_file else found)


class BoundedAsync(httpx2.AsyncClient):
    """An asynchronous client."""

    most_bytes = MOST_REPLY_BYTES
    """Of a reply that is not read as a stream."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Raises Redirected, TooLarge, and what the client raises."""
        options["follow_redirects"] = False
        for _ in range(MOST_HOPS):
            reply = await super().send(request, stream=True, **options)
            again = _find_next(request, reply)
            if again is None:
                break
            await reply.aclose()
            request = again
        else:
            raise Redirected(str(request.url), str(request.url))
        if stream:
            return reply
        try:
            body = bytearray()
            async for piece in reply.aiter_bytes():
                body += piece
                if len(body) > self.most_bytes:
                    raise TooLarge(self.most_bytes)
        finally:
            await reply.aclose()
        return _whole(reply, bytes(body))


class Bounded(httpx2.Client):
    """Like BoundedAsync, for calls in threads."""

    most_bytes = MOST_REPLY_BYTES

    def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """Raises Redirected, TooLarge, and what the client raises."""
        options["follow_redirects"] = False
        reply = super().send(request, stream=True, **options)
        if (location := _find_redirect(reply)) is not None:
            reply.close()
            raise Redirected(str(request.url), location)
        if stream:
            return reply
        try:
            body = bytearray()
            for piece in reply.iter_bytes():
                body += piece
                if len(body) > self.most_bytes:
                    raise TooLarge(self.most_bytes)
        finally:
            reply.close()
        return _whole(reply, bytes(body))


def _find_redirect(reply: httpx2.Response) -> str | None:
    """The target of a redirect. A 308 without one is Google's way to say that an upload is not complete."""
    return reply.headers.get("location") if reply.status_code in REDIRECTS else None


def _find_next(request: httpx2.Request, reply: httpx2.Response) -> httpx2.Request | None:
    """The request that follows a redirect; None if the reply is none. Gemini redirects a download to another path of
    its server, which also requires the key: https://github.com/maximhq/bifrost/pull/5579.

    Raises Redirected for a redirect to another server, or of anything but a GET.
    """
    location = _find_redirect(reply)
    if location is None:
        return None
    asked = str(request.url)
    if request.method != "GET" or not is_same_origin(asked, location):
        raise Redirected(asked, location)
    return httpx2.Request("GET", request.url.join(location), headers=request.headers, extensions=request.extensions)


def _whole(reply: httpx2.Response, body: bytes) -> httpx2.Response:
    headers = [(name, value) for name, value in reply.headers.raw if name.decode("latin-1").lower() not in DECODED]
    return httpx2.Response(
        reply.status_code, headers=headers, content=body, request=reply.request, extensions=reply.extensions
    )

"""Gemini's generateContent, one call per request.

The SDK's own call costs ten times what its HTTP costs (4.2 ms of CPU against 0.4 for an image of 100 KB, and 1.7 by its
leanest public way: tests/speed/doors.py), so that a hundred calls at once took half as long again as they should. So
the body goes out as bytes, over aiohttp. Batches and files, which are few, go through the SDK.
"""

from __future__ import annotations

import ssl
from urllib.parse import quote

import aiohttp

from vlures.backends.clients import trusted_by
from vlures.backends.gemini.content import build_content, read_answer, split_content
from vlures.backends.gemini.errors import PROVIDER, read_error
from vlures.backends.gemini.facts import ADDRESS
from vlures.backends.gemini.versions import ApiVersion
from vlures.backends.lenient_json import as_object, as_text, decode_object
from vlures.backends.refused_forms import check_form
from vlures.backends.replies import MOST_REPLY_BYTES, REDIRECTS, Redirected, TooLarge, is_ours, name_mishap
from vlures.config.route import find_route
from vlures.errors import Retry, VluresError
from vlures.images import IMAGES_HELD, EncodedImages
from vlures.records import Failure, Request, Response

HTTP_OK = 200
CONNECT_TIMEOUT_S = 30.0
LOST_ANSWER_RETRIES = 4
"""Of a reply that began: its answer may have been charged each time."""
LARGE_ANSWER_RETRIES = 1
LONGEST_HEADER_BYTES = 64_000
MOST_HEADERS = 1_000
"""By default aiohttp refuses a header of more than 8 KB, and proxies write longer ones."""


class GeminiLive:
    """One session for a run, made inside the running loop on first use."""

    provider = PROVIDER

    def __init__(
        self,
        key: str,
        host: str | None,
        version: ApiVersion,
        concurrency: int,
        service_tier: str | None,
        *,
        summary: bool,
        keep_think_tags: bool = False,
    ) -> None:
        """host: the address without a version; None: Google's own. summary: ask for a summary of the model's thinking.
        keep_think_tags: leave thinking in the text."""
        self._headers = {"x-goog-api-key": key, "Content-Type": "application/json"}
        self._host = host or ADDRESS
        self._version = version
        self._concurrency = concurrency
        self._service_tier = service_tier
        self._summary = summary
        self._keep_think_tags = keep_think_tags
        self._images = EncodedImages(most=IMAGES_HELD)
        self._open: aiohttp.ClientSession | None = None

    async def answer(self, request: Request) -> Response:
        """One call, without retries of its own.

        Raises Retry for what is transient, VluresError where the run cannot go on.
        """
        content = split_content(build_content(request, self._service_tier, summary=self._summary), request.image)
        data = b"".join(content.write(self._images.encode, request.image))
        version = self._version.current
        url = f"{self._host}/{version}/models/{quote(request.model, safe='')}:generateContent"
        try:
            async with self._session().post(url, data=data, headers=self._headers, allow_redirects=False) as reply:
                if reply.status in REDIRECTS and "location" in reply.headers:
                    raise Redirected(url, reply.headers["location"])
                body = await _read_within(reply, MOST_REPLY_BYTES)
        except Exception as error:
            if is_ours(error) or (isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError)):
                raise
            raise _read_mishap(error) from error
        document = decode_object(body)
        if reply.status != HTTP_OK:
            error_status = as_text(as_object((document or {}).get("error")).get("status")) or reply.reason or ""
            if self._version.take_older(version, reply.status, body.decode(errors="replace")):
                return await self.answer(request)
            outcome = read_error(reply.status, error_status, document, reply.headers)
            if isinstance(outcome, Failure):
                if request.schema is not None:
                    check_form(request.model, f"{reply.status} {outcome.message}")
                return Response(request.key, "failed", error=outcome)
            raise outcome
        if document is None:
            reason = "the reply could not be read (it is no JSON object)"
            raise Retry(reason, code="unreadable reply", limit=LOST_ANSWER_RETRIES)
        self._version.prove()
        return read_answer(request.key, document, keep_think_tags=self._keep_think_tags)

    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            route = find_route(self._host)
            connector = aiohttp.TCPConnector(limit=self._concurrency, ssl=trusted_by(route))
            # The driver limits the whole call.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
            self._open = aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                proxy=route.proxy,
                max_line_size=LONGEST_HEADER_BYTES,
                max_field_size=LONGEST_HEADER_BYTES,
                max_headers=MOST_HEADERS,
            )
        return self._open

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()


async def _read_within(reply: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """A reply's body, decompressed. Raises TooLarge for a longer one."""
    body = bytearray()
    async for piece in reply.content.iter_any():
        body += piece
        if len(body) > most_bytes:
            raise TooLarge(most_bytes)
    return bytes(body)


def _read_mishap(error: Exception) -> Retry | VluresError:
    """The meaning of a call without a whole reply. Any error that is not named here is an unreadable reply."""
    said = name_mishap(error)
    match error:
        case Redirected():
            return VluresError(said)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError() | ssl.SSLError():
            return Retry(said, code="connection", reached=False)
        case aiohttp.ContentTypeError() | aiohttp.ClientResponseError() | TooLarge():
            limit = LARGE_ANSWER_RETRIES if isinstance(error, TooLarge) else LOST_ANSWER_RETRIES
            return Retry(f"the reply could not be read ({said})", code="unreadable reply", limit=limit)
        case aiohttp.ClientPayloadError():
            return Retry(f"the reply broke off ({said})", code="cut reply", limit=LOST_ANSWER_RETRIES)
        case aiohttp.ClientError() | OSError():
            return Retry(f"the connection was lost ({said})", code="connection")
    return Retry(f"the reply could not be read ({said})", code="unreadable reply", limit=LOST_ANSWER_RETRIES)

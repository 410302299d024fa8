"""Gemini's generateContent, one call per request.

The SDK's own call costs ten times what its HTTP costs (0.4 ms of CPU against 4.2 for a picture of 100 KB, and 1.7 by the
leanest of its public doors: tests/benchmarks/doors.py), so that a hundred calls at once took half as long again as they
should. So the body goes out as bytes, over aiohttp. Batches and files, which are few, go through the SDK.
"""

from __future__ import annotations

import ssl
from urllib.parse import quote

import aiohttp

from vlures.backends.gemini.content import build_content, read_answer, split_content
from vlures.backends.gemini.errors import PROVIDER, read_error
from vlures.backends.gemini.versions import split_version
from vlures.backends.wire import as_object, as_text, decode_object
from vlures.errors import Retry
from vlures.images import PICTURES_HELD, EncodedImages
from vlures.records import Failure, Request, Response

ADDRESS = "https://generativelanguage.googleapis.com"
VERSION = "v1"
HTTP_OK = 200
CONNECT_TIMEOUT_S = 30.0
LOST_ANSWER_RETRIES = 4
"""Of a reply that began: its answer may have been charged each time."""


class GeminiLive:
    """One session for a run, made inside the running loop on first use."""

    provider = PROVIDER

    def __init__(
        self, key: str, base_url: str | None, concurrency: int, service_tier: str | None, *, summary: bool
    ) -> None:
        """summary: ask for one of the model's thinking."""
        self._headers = {"x-goog-api-key": key, "Content-Type": "application/json"}
        host, version = split_version(base_url)
        self._address = f"{host or ADDRESS}/{version or VERSION}/models"
        self._concurrency = concurrency
        self._service_tier = service_tier
        self._summary = summary
        self._images = EncodedImages(most=PICTURES_HELD)
        self._open: aiohttp.ClientSession | None = None

    async def answer(self, request: Request) -> Response:
        """One call, without retries of its own.

        Raises Retry for what is transient, VluresError where the run cannot go on.
        """
        content = split_content(build_content(request, self._service_tier, summary=self._summary))
        data = b"".join(content.write(self._images.encode, request.image))
        url = f"{self._address}/{quote(request.model, safe='')}:generateContent"
        try:
            async with self._session().post(url, data=data, headers=self._headers) as reply:
                body = await reply.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, ssl.SSLError) as error:
            raise Retry(str(error), code="connection", reached=False) from error
        except aiohttp.ClientPayloadError as error:
            raise Retry(f"the reply broke off ({error})", code="cut reply", limit=LOST_ANSWER_RETRIES) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"the connection was lost ({error or type(error).__name__})", code="connection") from error
        except ValueError as error:
            raise Retry(
                f"the reply could not be read ({error})", code="unreadable reply", limit=LOST_ANSWER_RETRIES
            ) from error
        document = decode_object(body)
        if reply.status != HTTP_OK:
            error_status = as_text(as_object((document or {}).get("error")).get("status")) or reply.reason or ""
            outcome = read_error(reply.status, error_status, document, reply.headers)
            if isinstance(outcome, Failure):
                return Response(request.key, "failed", error=outcome)
            raise outcome
        if document is None:
            reason = "the reply could not be read (it is no JSON object)"
            raise Retry(reason, code="unreadable reply", limit=LOST_ANSWER_RETRIES)
        return read_answer(request.key, document)

    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            connector = aiohttp.TCPConnector(limit=self._concurrency)
            # The driver's own stands around every call.
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
            self._open = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True)
        return self._open

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()

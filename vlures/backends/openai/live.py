"""One call per request to OpenAI's chat completions or responses, or to a server that speaks the former."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import openai
from openai import AsyncOpenAI, DefaultAioHttpClient

from vlures.backends import Journal
from vlures.backends.clients import BoundedAsync, client_options
from vlures.backends.lenient_json import as_count, as_object, decode_object
from vlures.backends.openai.batch import account_of, upload_image
from vlures.backends.openai.bodies import Bodies
from vlures.backends.openai.chat import find_error
from vlures.backends.openai.errors import (
    LOST_ANSWER_RETRIES,
    PROVIDER,
    Errors,
    error_of,
    read_failure,
    read_live_error,
    status_within,
)
from vlures.backends.openai.image_files import ImageFiles
from vlures.backends.openai.image_parts import split_body
from vlures.backends.openai.keys import NO_KEY
from vlures.backends.outcomes import BROKEN, EMPTY_ANSWER_RETRIES, raise_transient
from vlures.backends.refused_forms import check_form
from vlures.errors import Retry, VluresError
from vlures.images import IMAGES_HELD, EncodedImages
from vlures.records import Failure, Image, Request, Response

CONNECT_TIMEOUT_S = 30.0
OK = 200
REFUSALS = (400, 422)
"""Statuses of a parameter that is refused."""
UPSTREAM_ERRORS = (402, 429, 503, 529)


class _Client(BoundedAsync, DefaultAioHttpClient):
    """The SDK's own over aiohttp, within our bounds."""


class OpenAILive:
    """The body is put together here, from texts and the image's base64, and the reply is read here: the SDK's own
    building and reading of them costs three times as much CPU (3.5 ms against 1.3 for an image of 100 KB, with its
    aiohttp transport: tests/speed/doors.py)."""

    provider = PROVIDER

    def __init__(
        self, options: Mapping[str, Any], bodies: Bodies, journal: Journal, concurrency: int, *, official: bool
    ) -> None:
        """options: of the SDK's client. official: the address is OpenAI's own."""
        self._options = dict(options)
        self._bodies = bodies
        self._journal = journal
        self._concurrency = concurrency
        self._server = {"official": official, "has_key": self._options.get("api_key") != NO_KEY}
        self._images = EncodedImages(most=IMAGES_HELD)
        self._made: AsyncOpenAI | None = None

    async def answer(self, request: Request) -> Response:
        """One call, without retries of its own.

        Raises Retry for what is transient, VluresError where the run cannot go on.
        """
        client = self._client()
        if self._bodies.transport == "file" and self._bodies.files is not None and request.image is not None:
            await self._bodies.files.place(request.image, _once)
        content = self._bodies.build(request)
        sent = frozenset(content)
        data = b"".join(split_body(content, request.image).write(self._images.encode, request.image))
        try:
            with Errors(passing=openai.APIStatusError):
                reply = await client.post(
                    self._bodies.endpoint.path.removeprefix("/v1"),
                    content=data,
                    cast_to=httpx2.Response,
                    options={"headers": {"Content-Type": "application/json"}},
                )
        except openai.APIStatusError as error:
            said = decode_object(error.response.content)
            return await self._take_error(request, error.status_code, said, error.response.headers, sent)
        body = decode_object(reply.content)
        if body is None:
            reason = "the reply could not be read (it is no JSON object)"
            raise Retry(reason, code="unreadable reply", limit=LOST_ANSWER_RETRIES)
        if body.get("error") and not body.get("choices") and "output" not in body:
            return await self._take_error(request, status_within(error_of(body)) or OK, body, reply.headers, sent)
        self._bodies.names.prove()
        try:
            return raise_transient(self._bodies.read(request.key, body))
        except Retry as retry:
            raise self._with_upstream(retry, body, reply.headers, request.model) from None

    def _with_upstream(
        self, retry: Retry, body: Mapping[str, Any], headers: Mapping[str, str], model: str
    ) -> Retry | VluresError:
        """What a gateway says of an upstream that it lost may concern all requests: a limit, an overload, no credit."""
        error = as_object(find_error(body))
        status = as_count(error.get("code")) or as_count(error.get("status"))
        if retry.code != BROKEN or status not in UPSTREAM_ERRORS:
            return retry
        outcome = read_live_error(status, error, headers, model=model, **self._server)
        if not isinstance(outcome, Retry):
            return outcome if isinstance(outcome, VluresError) else retry
        retry.after_s, retry.signal = outcome.after_s, outcome.signal
        return retry

    async def _take_error(
        self, request: Request, status: int, body: object, headers: Mapping[str, str], sent: frozenset[str]
    ) -> Response:
        """The response to a call that ended in an error; asks again where the server only has another name for a
        parameter. sent: names of the parameters."""
        if status in REFUSALS and self._bodies.names.take_other(error_of(body), sent):
            return await self.answer(request)
        outcome = read_live_error(status, error_of(body), headers, model=request.model, **self._server)
        if not isinstance(outcome, Failure):
            raise outcome
        if status == OK:
            raise Retry(outcome.message, code="error in a reply", limit=EMPTY_ANSWER_RETRIES)
        if request.schema is not None and status in REFUSALS:
            check_form(request.model, f"{status} {outcome.message}")
        response = read_failure(request.key, outcome)
        if self._bodies.files is not None and self._bodies.transport == "file":
            response = self._bodies.files.forget_gone(response, request.image)
            if response.error is not None and response.error.transient:
                raise Retry(outcome.message, code="file gone", limit=EMPTY_ANSWER_RETRIES)
        return response

    def _client(self) -> AsyncOpenAI:
        """Made inside the running loop, on first use."""
        if self._made is None:
            limits = httpx2.Limits(max_connections=self._concurrency, max_keepalive_connections=self._concurrency)
            # The driver limits the whole call.
            timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)
            way = client_options(self._options["base_url"])
            self._made = AsyncOpenAI(
                **self._options, timeout=timeout, http_client=_Client(**way, limits=limits, timeout=timeout)
            )
            self._bodies.files = ImageFiles(self._upload, self._journal, account_of(self._made))
        return self._made

    async def _upload(self, image: Image) -> tuple[str, float | None]:
        return await upload_image(self._client(), image)

    async def close(self) -> None:
        if self._made is not None:
            await self._made.close()


async def _once(
    call: Callable[[], Awaitable[tuple[str, float | None]]],
) -> tuple[str, float | None]:
    """Without retries: the driver repeats the whole call if it must."""
    return await call()

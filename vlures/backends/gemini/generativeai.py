"""Gemini through google-generativeai, the SDK of the original scripts: synchronous calls over REST, each in a thread.

Google ended its support, and its last release (0.8.6, 2025-12-16) knows only the API of that time; `models.py` refuses
what it cannot carry. Its asynchronous call is useless: over REST it fails after the request was answered (and charged),
over gRPC it reaches neither a sandbox nor a proxy.
"""

from __future__ import annotations

import io
import math
import time
import warnings
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

import requests
from google.auth.exceptions import GoogleAuthError
from requests.adapters import HTTPAdapter
from requests.exceptions import (
    ChunkedEncodingError,
    ConnectTimeout,
    ContentDecodingError,
    ProxyError,
    RequestException,
    SSLError,
    Timeout,
)
from urllib3.exceptions import MaxRetryError

from vlures.backends.gemini.content import GENERATION, read_answer
from vlures.backends.gemini.errors import PROVIDER, read_error
from vlures.backends.gemini.facts import ADDRESS
from vlures.backends.gemini.live import CONNECT_TIMEOUT_S, LARGE_ANSWER_RETRIES, LOST_ANSWER_RETRIES
from vlures.backends.gemini.models import OLD_CERTIFICATES
from vlures.backends.gemini.schemas import JSON_TYPE, write_form
from vlures.backends.gemini.versions import split_version
from vlures.backends.lenient_json import as_count, as_object, as_text, decode_object
from vlures.backends.refused_forms import check_form
from vlures.backends.replies import MOST_REPLY_BYTES, REDIRECTS, Redirected, TooLarge, is_ours, name_mishap
from vlures.backends.threads import CallingThreads
from vlures.config.route import find_route
from vlures.errors import Retry, UsageError, VluresError
from vlures.images import read_bytes
from vlures.records import Failure, Request, Response

with warnings.catch_warnings():
    # We say in a line of our own that support has ended.
    warnings.simplefilter("ignore", FutureWarning)
    import google.generativeai as sdk
    from google.generativeai.client import get_default_generative_client

VERSION = "v1beta"
"""The only version of the API that the SDK speaks."""
NEWER_REASONS = {"11": "IMAGE_SAFETY", "12": "UNEXPECTED_TOOL_CALL", "13": "TOO_MANY_TOOL_CALLS"}
"""Finish reasons that are newer than the SDK:
https://github.com/googleapis/googleapis/blob/master/google/ai/generativelanguage/v1beta/generative_service.proto"""
PIECE_BYTES = 64_000
SUPPORT_ENDED = (
    "Gemini is asked through google-generativeai, which Google has not supported since 2025-11-30; "
    "leave --sdk out to use the supported way."
)


class GenerativeAILive:
    """One connection of the SDK for a run. The SDK keeps one for the whole process: the last one made is in use."""

    provider = PROVIDER

    def __init__(
        self, key: str, base_url: str | None, concurrency: int, timeout_s: float, *, keep_think_tags: bool = False
    ) -> None:
        """timeout_s: of one call. keep_think_tags: leave thinking in the text.

        Raises UsageError for an address or an environment that the SDK cannot use.
        """
        host, version = split_version(base_url)
        if version not in (None, VERSION):
            raise UsageError(
                f"google-generativeai speaks only {VERSION} of Gemini's API; leave {version} out of the base URL "
                f"{base_url}."
            )
        # The key is passed explicitly: of two in the environment the SDK would take the other one.
        sdk.configure(api_key=key, transport="rest", client_options={"api_endpoint": host or ADDRESS})
        try:
            client = get_default_generative_client()
        except (GoogleAuthError, ValueError) as error:  # over other Google settings in the environment
            raise UsageError(
                f"google-generativeai cannot be set up: {error}; correct that, or leave --sdk out."
            ) from error
        self._session: requests.Session = client.transport._session
        route = find_route(host or ADDRESS, OLD_CERTIFICATES)
        self._session.trust_env = False
        self._session.proxies = {"http": route.proxy, "https": route.proxy} if route.proxy else {}
        self._session.verify = route.certificates or True
        self._session.mount("https://", _Adapter(concurrency))
        self._session.mount("http://", _Adapter(concurrency))
        self._timeout_s = timeout_s
        self._keep_think_tags = keep_think_tags
        self._threads = CallingThreads()

    async def answer(self, request: Request) -> Response:
        """One call, without retries of its own.

        Raises Retry for what is transient, VluresError where the run cannot go on.
        """
        return await self._threads.call(partial(self._answer, request))

    def _answer(self, request: Request) -> Response:
        try:
            reply = self._call(request)
        except _Refused as refused:
            outcome = refused.read()
            if isinstance(outcome, Failure):
                if request.schema is not None:
                    check_form(request.model, outcome.message)
                return Response(request.key, "failed", error=outcome)
            raise outcome from None
        except RequestException as error:
            raise _read_trouble(error, self._timeout_s) from error
        except Redirected as error:
            raise VluresError(str(error)) from error
        except Exception as error:
            if is_ours(error):
                raise
            # From the SDK's reader, or a library below it: in any case the call gave no answer.
            limit = LARGE_ANSWER_RETRIES if isinstance(error, TooLarge) else LOST_ANSWER_RETRIES
            reason = f"the reply could not be read ({name_mishap(error)})"
            raise Retry(reason, code="unreadable reply", limit=limit) from error
        return read_answer(request.key, _as_document(reply), keep_think_tags=self._keep_think_tags)

    def _call(self, request: Request) -> Any:
        """The same content as `content.py` builds: the long text first, the image's own bytes last."""
        parameters = request.parameters
        parts = [sdk.protos.Part(text=request.prompt.user)]
        if request.image is not None:
            image = sdk.protos.Blob(mime_type=request.image.mime_type, data=read_bytes(request.image))
            parts.append(sdk.protos.Part(inline_data=image))
        generation = {name: parameters[name] for name in GENERATION if name in parameters}
        if request.schema is not None:
            schema = sdk.protos.Schema(_known_form(write_form(request.schema)))
            generation |= {"response_mime_type": JSON_TYPE, "response_schema": schema}
        system = (
            sdk.protos.Content(parts=[sdk.protos.Part(text=request.prompt.system)]) if request.prompt.system else None
        )
        model = sdk.GenerativeModel(
            request.model,
            generation_config=generation,
            system_instruction=system,
        )
        return model.generate_content(
            [sdk.protos.Content(role="user", parts=parts)],
            # By default the SDK would repeat a call for ten minutes, unknown to the driver.
            request_options={"timeout": self._timeout_s, "retry": None},
        )

    async def close(self) -> None:
        self._threads.close()
        self._session.close()


def _known_form(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema with those of its keywords that the SDK knows; bounds of numbers are newer."""
    known = {name.removesuffix("_") for name in sdk.protos.Schema.meta.fields}
    form = {name: value for name, value in schema.items() if name in known}
    if "properties" in form:
        form["properties"] = {name: _known_form(inner) for name, inner in form["properties"].items()}
    if "items" in form:
        form["items"] = _known_form(form["items"])
    return form


class _Refused(Exception):
    """A reply with the status of an error."""

    def __init__(self, reply: requests.Response) -> None:
        super().__init__(f"{reply.status_code} {reply.reason}")
        self._reply = reply

    def read(self) -> Exception | Failure:
        """Its meaning: wait and retry, stop the run, or fail this one request."""
        reply = self._reply
        document = decode_object(reply.content)
        status = as_text(as_object((document or {}).get("error")).get("status")) or reply.reason or ""
        return read_error(reply.status_code, status, document, reply.headers)


class _Adapter(HTTPAdapter):
    """The layer between the SDK and the network. It holds as many connections as there are calls at a time, gives up
    early on a host that does not answer at all, and keeps errors from the SDK, whose reader loses the status of an
    error in another form than Google's."""

    def __init__(self, concurrency: int) -> None:
        super().__init__(pool_maxsize=concurrency)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: ARG002 (it is read here, bit by bit)
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Read a reply, within bounds of size and time.

        Raises _Refused for every status but 200, and Redirected, TooLarge and Timeout.
        """
        until = time.monotonic() + (timeout or math.inf)
        limits = (CONNECT_TIMEOUT_S, timeout)
        reply = super().send(request, True, limits, verify, cert, proxies)  # type: ignore[arg-type]
        with reply:  # closes the connection
            if reply.status_code in REDIRECTS and "location" in reply.headers:
                raise Redirected(str(request.url), reply.headers["location"])
            body = bytearray()
            for piece in reply.iter_content(PIECE_BYTES):
                body += piece
                if len(body) > MOST_REPLY_BYTES:
                    raise TooLarge(MOST_REPLY_BYTES)
                if time.monotonic() > until:
                    raise Timeout
        whole = _whole(reply, bytes(body))
        if reply.status_code != HTTPStatus.OK:
            raise _Refused(whole)
        return whole


def _whole(reply: requests.Response, body: bytes) -> requests.Response:
    """A reply whose body was read and decoded."""
    whole = requests.Response()
    whole.status_code, whole.reason, whole.url, whole.request = (
        reply.status_code,
        reply.reason,
        reply.url,
        reply.request,
    )
    whole.headers, whole.encoding, whole.connection = reply.headers, reply.encoding, reply.connection
    whole.raw = io.BytesIO(body)
    return whole


def _read_trouble(error: RequestException, timeout_s: float) -> Retry:
    """The Retry for a call without a whole reply."""
    cause = error.args[0] if error.args else error
    unreached = isinstance(cause, MaxRetryError) or isinstance(error, ConnectTimeout | SSLError | ProxyError)
    if unreached:
        return Retry(str(getattr(cause, "reason", cause)), code="connection", reached=False)
    if isinstance(error, Timeout):
        return Retry(f"no answer within {timeout_s:g} s", code="timeout", signal="overload")
    if isinstance(error, ChunkedEncodingError):
        return Retry(f"the reply broke off ({error})", code="cut reply", limit=LOST_ANSWER_RETRIES)
    if isinstance(error, ContentDecodingError):
        return Retry(f"the reply could not be read ({error})", code="unreadable reply", limit=LOST_ANSWER_RETRIES)
    return Retry(f"the connection was lost ({error})", code="connection")


def _as_document(reply: Any) -> dict[str, Any]:
    """The SDK's reply by the names of the REST API."""
    return {
        "candidates": [_named(_in_json(candidate), "finishReason") for candidate in reply.candidates],
        "promptFeedback": _named(_in_json(reply.prompt_feedback), "blockReason"),
        "usageMetadata": _with_thinking(_in_json(reply.usage_metadata)) or None,
        "modelVersion": reply.model_version,
    }


def _in_json(message: Any) -> dict[str, Any]:
    content: dict[str, Any] = type(message).to_dict(
        message,
        use_integers_for_enums=False,
        preserving_proto_field_name=False,
        including_default_value_fields=False,
    )
    return content


def _named(fields: dict[str, Any], reason: str) -> dict[str, Any]:
    """A reason that is newer than the SDK is a number."""
    return (
        fields | {reason: NEWER_REASONS.get(str(fields[reason]), str(fields[reason]))} if reason in fields else fields
    )


def _with_thinking(usage: dict[str, Any]) -> dict[str, Any]:
    """The SDK has no field for the tokens of thinking, but they are in the total ("prompt + thoughts + response
    candidates", says the API's discovery document) and are charged. Their number stays unknown."""
    total, asked = as_count(usage.get("totalTokenCount")), as_count(usage.get("promptTokenCount"))
    if not total:
        return usage
    answered = as_count(usage.get("candidatesTokenCount")) or 0
    return usage | {"candidatesTokenCount": max(answered, total - (asked or 0))}

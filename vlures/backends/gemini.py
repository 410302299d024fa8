"""What Gemini's wire looks like: a request's body, generateContent, what an answer or an error means.

Sources: google-genai 3.4, the API's pages on rate limits, troubleshooting and safety settings (2026-11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp
import msgspec
from google import genai
from google.genai import errors, types

from vlures.backends import Backend, Observer
from vlures.backends.live import LiveDriver, LivePolicy
from vlures.backends.patience import Patience
from vlures.backends.wire import as_count, as_object, as_objects, as_seconds, as_speech, as_text
from vlures.config import RunConfig, find_address, find_key
from vlures.errors import Incomplete, Retry, UsageError, VluresError
from vlures.images import EncodedImages
from vlures.records import Failure, Request, Response, Usage

PROVIDER = "Gemini"
PARAMETERS = frozenset({"temperature", "top_p", "max_output_tokens", "seed"})
EMPTY_ANSWER_RETRIES = 2

REFUSALS = frozenset(
    {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR"}
)


def connect_live(
    config: RunConfig,
    environment: Mapping[str, str],
    sandbox_url: str | None,
    observer: Observer,
    keep_going: Callable[[], bool],
) -> Backend:
    """Gemini's generateContent, many requests at a time.

    Raises UsageError if there is no key, or for a parameter that Gemini does not have.
    """
    if unknown := sorted(config.parameters.keys() - PARAMETERS):
        raise UsageError(f"Gemini has no `{unknown[0]}`; leave it out.")
    key = "sandbox" if sandbox_url else find_key(environment, "GOOGLE_API_KEY", "GEMINI_API_KEY")
    usual = find_address(config, environment, "GOOGLE_GEMINI_BASE_URL")
    address = f"{sandbox_url}/gemini" if sandbox_url else usual
    client = GeminiLive(key, address, config.concurrency)
    policy = LivePolicy(config.concurrency, config.timeout_s)
    patience = Patience(PROVIDER, config.retry_budget_s, config.first_contact_s, observer.say)
    return LiveDriver(client, policy, patience, observer, keep_going)


class GeminiLive:
    """generateContent through the SDK's asynchronous client."""

    provider = PROVIDER

    def __init__(self, key: str, base_url: str | None, concurrency: int) -> None:
        self._key = key
        self._base_url = base_url
        self._concurrency = concurrency
        self._images = EncodedImages()
        self._session: aiohttp.ClientSession | None = None
        self._client: genai.Client | None = None

    async def answer(self, request: Request) -> Response:
        """One call, without retries of its own.

        Raises Retry for what is transient, VluresError where the run cannot go on.
        """
        picture = self._images.encode(request.image).decode("ascii")
        try:
            reply = await self._models().generate_content(
                model=request.model,
                contents=request.prompt.user,
                config=build_config(request, picture),
            )
            body = msgspec.json.decode(reply.sdk_http_response.body or "null")
        except errors.APIError as error:
            return self._read_error(request, error)
        except aiohttp.ClientConnectorError as error:
            raise Retry(str(error), code="connection", reached=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Retry(f"the connection was lost ({error or type(error).__name__})", code="connection") from error
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            raise Retry(f"the reply could not be read ({error})", code="unreadable reply") from error
        return read_answer(request.key, body)

    def _read_error(self, request: Request, error: errors.APIError) -> Response:
        headers = getattr(error.response, "headers", None) or {}
        outcome = read_error(error.code, error.status or "", error.details, headers)
        if isinstance(outcome, Failure):
            return Response(request.key, "failed", error=outcome)
        raise outcome from error

    def _models(self) -> Any:
        """Made inside the running loop, on first use. The HTTP package is chosen on purpose: left alone, the SDK
        takes aiohttp wherever it happens to be installed, with other exceptions and retries than httpx2."""
        if self._client is None:
            connector = aiohttp.TCPConnector(limit=self._concurrency)
            timeout = aiohttp.ClientTimeout(total=None)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=True)
            options = types.HttpOptions(
                base_url=self._base_url,
                aiohttp_client=self._session,
                retry_options=types.HttpRetryOptions(attempts=1),
            )
            self._client = genai.Client(vertexai=False, api_key=self._key, http_options=options)
        return self._client.aio.models

    async def close(self) -> None:
        if self._client is not None and self._session is not None:
            await self._client.aio.aclose()
            await self._session.close()


def build_config(request: Request, picture: str) -> types.GenerateContentConfig:
    """Everything of a request but its model. The contents go past the SDK's types, which would take the picture
    out of its base64 and back into it for every request. The long text stands first, the picture last."""
    contents = [
        {
            "role": "user",
            "parts": [
                {"text": request.prompt.user},
                {"inlineData": {"mimeType": request.image.mime_type, "data": picture}},
            ],
        }
    ]
    return types.GenerateContentConfig(
        system_instruction=request.prompt.system,
        http_options=types.HttpOptions(extra_body={"contents": contents}),
        automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        automatic_continuation=False,
        should_return_http_response=True,
        **request.parameters,
    )


def read_answer(key: str, body: Any) -> Response:
    """A reply of status 200 as a response.

    Raises Retry for an answer without text where asking again has been seen to help.
    """
    body = as_object(body)
    candidate = next(iter(as_objects(body.get("candidates"))), {})
    parts = as_objects(as_object(candidate.get("content")).get("parts"))
    text = as_speech("".join(as_text(part.get("text")) or "" for part in parts if not part.get("thought")))
    finish_reason = as_text(candidate.get("finishReason"))
    block_reason = as_text(as_object(body.get("promptFeedback")).get("blockReason"))
    heard = Response(
        key,
        "ok",
        text=text,
        finish_reason=block_reason or finish_reason,
        model=as_text(body.get("modelVersion")),
        usage=_read_usage(body.get("usageMetadata")),
        response_id=as_text(body.get("responseId")),
    )
    if block_reason or finish_reason in REFUSALS:
        return replace(heard, status="refused")
    if finish_reason == "MAX_TOKENS":
        advice = "The allowance of tokens was used up before any text; raise max_output_tokens or lower the thinking."
        return replace(heard, status="truncated", error=None if text else Failure("no text", advice))
    if finish_reason == "STOP" and text:
        return heard
    raise Retry(f"an answer without text ({finish_reason})", code="empty answer", limit=EMPTY_ANSWER_RETRIES)


def _read_usage(usage: Any) -> Usage | None:
    """Thinking is billed as output, so it is part of output_tokens, as it is with OpenAI."""
    if not isinstance(usage, dict):
        return None
    thinking = as_count(usage.get("thoughtsTokenCount"))
    return Usage(
        input_tokens=as_count(usage.get("promptTokenCount")),
        output_tokens=(as_count(usage.get("candidatesTokenCount")) or 0) + (thinking or 0),
        cached_tokens=as_count(usage.get("cachedContentTokenCount")),
        thinking_tokens=thinking,
    )


def read_error(code: int, status: str, details: Any, headers: Mapping[str, str]) -> Retry | VluresError | Failure:
    """What an error of the API means: wait and retry, stop the run, or fail this one request."""
    error = as_object(as_object(details).get("error", details))
    message = " ".join(str(error.get("message") or status or "no reason was given").split())[:400].rstrip(".") + "."
    said = f"{code} {message}"
    notes = as_objects(error.get("details"))
    reasons = {as_text(note.get("reason")) for note in notes}
    if code in (401, 403) or "API_KEY_INVALID" in reasons:
        return VluresError(f"Gemini refuses the key: {said} Check GOOGLE_API_KEY or GEMINI_API_KEY, then run again.")
    if code == 404:
        return VluresError(f"Gemini does not know the model: {said} Name another one with --model.")
    if status == "FAILED_PRECONDITION":
        return VluresError(f"Gemini cannot be used as it is set up: {said}")
    if code == 429 and _is_for_the_day(notes, message):
        return Incomplete(
            f"The day's quota of this model is used up: {said} It is renewed at midnight Pacific time"
            f"{_next_pacific_midnight()}; everything received is stored, run the same command again then."
        )
    if code in (408, 429) or code >= 500:
        return Retry(said, code=str(code), after_s=_asked_wait(notes, headers), everyone=code in (429, 503))
    return Failure(f"{code} {status}".strip(), message)


def _is_for_the_day(notes: list[dict[str, Any]], message: str) -> bool:
    """A daily 429 still carries a short retryDelay, so its quota's name is looked at first."""
    quota_ids = [
        as_text(broken.get("quotaId")) or "" for note in notes for broken in as_objects(note.get("violations"))
    ]
    return any("PerDay" in quota_id for quota_id in quota_ids) or "limit: 0" in message


def _asked_wait(notes: list[dict[str, Any]], headers: Mapping[str, str]) -> float | None:
    """The longer of RetryInfo and Retry-After, in seconds."""
    asked = [headers.get("retry-after", ""), *(as_text(note.get("retryDelay")) or "" for note in notes)]
    waits = [seconds for seconds in map(as_seconds, asked) if seconds is not None]
    return max(waits, default=None)


def _next_pacific_midnight() -> str:
    try:
        pacific = datetime.now(ZoneInfo("America/Los_Angeles"))
    except ZoneInfoNotFoundError:
        return ""
    midnight = (pacific + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return f" ({midnight.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"

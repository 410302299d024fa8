"""OpenAI's responses: a request's body, and what an answer means. A picture may be named by the id of a file.

Sources: the SDK's own reference texts (openai 3.54), the vision guide of 2026-09.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlures.backends.openai.errors import read_failure
from vlures.backends.openai.pictures import Picture
from vlures.backends.wire import as_count, as_object, as_objects, as_speech, as_text
from vlures.records import Failure, Request, Response, Usage

PATH = "/v1/responses"

PARAMETERS = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_output_tokens"}
"""Ours → theirs. Responses have no `seed`; the effort stands under `reasoning`, `image_detail` beside the picture."""


def build_response(request: Request, picture: Picture, service_tier: str | None, *, summary: bool) -> dict[str, Any]:
    """The body of a response, with what the user has set and nothing else; but for `detail`, which must be there and
    is then the documented default. summary: ask for one of the reasoning."""
    named = {"file_id": picture.file_id} if picture.file_id else {"image_url": picture.address}
    reasoning: dict[str, Any] = {}
    if "reasoning_effort" in request.parameters:
        reasoning["effort"] = request.parameters["reasoning_effort"]
    if summary:
        reasoning["summary"] = "auto"
    return {
        "model": request.model,
        "instructions": request.prompt.system,
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": request.prompt.user},
                    {"type": "input_image", "detail": request.parameters.get("image_detail", "auto"), **named},
                ],
            }
        ],
        **{PARAMETERS[key]: value for key, value in request.parameters.items() if key in PARAMETERS},
        **({"reasoning": reasoning} if reasoning else {}),
        **({"service_tier": service_tier} if service_tier else {}),
    }


def read_response(key: str, body: Mapping[str, Any]) -> Response:
    """A response of the provider's as one of ours: text only if the model spoke."""
    items = as_objects(body.get("output"))
    parts = [part for item in items if item.get("type") == "message" for part in as_objects(item.get("content"))]
    text = as_speech("".join(as_text(part.get("text")) or "" for part in parts if part.get("type") == "output_text"))
    refusal = as_speech("".join(as_text(part.get("refusal")) or "" for part in parts))
    status = as_text(body.get("status"))
    why = as_text(as_object(body.get("incomplete_details")).get("reason"))
    heard = Response(
        key,
        "failed",
        text=text,
        reasoning=_read_summary(items),
        finish_reason=why or status,
        model=as_text(body.get("model")),
        usage=_read_usage(body.get("usage")),
        response_id=as_text(body.get("id")),
    )
    if refusal or why == "content_filter":
        return replace(heard, status="refused", text=refusal or text)
    if why == "max_output_tokens":
        advice = "The allowance of tokens was used up before any text; raise max_output_tokens."
        return replace(heard, status="truncated", error=None if text else Failure("no text", advice))
    if text and status in ("completed", None):
        return replace(heard, status="ok")
    failure = as_object(body.get("error"))
    if failure:
        code, message = str(failure.get("code") or "failed"), str(failure.get("message") or "no reason was given")
        transient = code in ("server_error", "rate_limit_exceeded")
        failed = read_failure(key, Failure(code, message, transient))
        return replace(heard, text=None, status=failed.status, error=failed.error)
    error = Failure("empty answer", f"No text came (status {status!r}).", transient=status in ("completed", None))
    return replace(heard, text=None, error=error)


def _read_summary(items: list[dict[str, Any]]) -> str | None:
    summaries = [
        as_text(piece.get("text"))
        for item in items
        if item.get("type") == "reasoning"
        for kind in ("summary", "content")
        for piece in as_objects(item.get(kind))
    ]
    return as_speech("\n\n".join(filter(None, summaries)))


def _read_usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(
        input_tokens=as_count(usage.get("input_tokens")),
        output_tokens=as_count(usage.get("output_tokens")),
        cached_tokens=as_count(as_object(usage.get("input_tokens_details")).get("cached_tokens")),
        thinking_tokens=as_count(as_object(usage.get("output_tokens_details")).get("reasoning_tokens")),
        cache_write_tokens=as_count(as_object(usage.get("input_tokens_details")).get("cache_write_tokens")),
    )

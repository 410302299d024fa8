"""OpenAI's responses: a request's body, and how an answer is read. An image may be named by a file's id.

Sources: the SDK's own reference texts (openai 3.54), the vision guide of 2026-09.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlures.backends.endings import Ending, read_ending, read_word
from vlures.backends.lenient_json import as_count, as_object, as_objects, as_speech, as_text
from vlures.backends.openai.errors import read_failure
from vlures.backends.openai.image_parts import ImagePart
from vlures.backends.openai.schemas import name_form
from vlures.backends.outcomes import judge_reply
from vlures.backends.thinking import pick_final, read_words
from vlures.backends.usage import count_output
from vlures.records import Failure, Request, Response, Usage

PATH = "/v1/responses"

PARAMETERS = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_output_tokens"}
"""Our name → OpenAI's. Responses have no `seed`; the effort goes under `reasoning`, `image_detail` beside the image."""


def build_response(
    request: Request, image: ImagePart | None, service_tier: str | None, *, summary: bool
) -> dict[str, Any]:
    """The body of a response, with what the user has set and nothing else, except `detail`, which is required: without
    a setting it is the documented default. summary: ask for a summary of the reasoning."""
    content: list[dict[str, Any]] = [{"type": "input_text", "text": request.prompt.user}]
    if image is not None:
        named = {"file_id": image.file_id} if image.file_id else {"image_url": image.address}
        detail = request.parameters.get("image_detail", "auto")
        content.append({"type": "input_image", "detail": detail, **named})
    form = {"format": {"type": "json_schema", **name_form(request.schema)}} if request.schema is not None else None
    reasoning: dict[str, Any] = {}
    if "reasoning_effort" in request.parameters:
        reasoning["effort"] = request.parameters["reasoning_effort"]
    if summary:
        reasoning["summary"] = "auto"
    return {
        "model": request.model,
        **({"instructions": request.prompt.system} if request.prompt.system else {}),
        "input": [
            {"role": "user", "content": content},
        ],
        **({"text": form} if form else {}),
        **{PARAMETERS[key]: value for key, value in request.parameters.items() if key in PARAMETERS},
        **({"reasoning": reasoning} if reasoning else {}),
        **({"service_tier": service_tier} if service_tier else {}),
    }


ENDINGS: dict[str, Ending] = {
    "completed": "done",
    "max_output_tokens": "cut",
    "content_filter": "withheld",
    "failed": "broken",
    **dict.fromkeys(("in_progress", "queued"), "unknown"),
}
"""Reasons of incomplete responses, and statuses of all others."""


def read_response(key: str, body: Mapping[str, Any], *, keep_think_tags: bool = False) -> Response:
    """The provider's response as ours: text only if the model spoke. keep_think_tags: leave thinking in the text."""
    items = as_objects(body.get("output"))
    messages = [item for item in items if item.get("type") == "message"]
    final = pick_final(messages)
    parts = [part for item in final for part in as_objects(item.get("content"))]
    text = as_speech("".join(as_text(part.get("text")) or "" for part in parts if part.get("type") == "output_text"))
    refusal = as_speech("".join(as_text(part.get("refusal")) or "" for part in parts))
    status = read_word(body.get("status"))
    why = read_word(as_object(body.get("incomplete_details")).get("reason"))
    heard = Response(
        key,
        "failed",
        text=text,
        reasoning=_read_reasoning(items, final),
        finish_reason=why or status,
        model=as_text(body.get("model")),
        usage=_read_usage(body.get("usage")),
        response_id=as_text(body.get("id")),
    )
    ending = read_ending(why or status, ENDINGS)
    failure = as_object(body.get("error"))
    if status == "cancelled" or (failure and ending not in ("withheld", "cut") and not (text and ending == "done")):
        return _read_failed(heard, failure, status)
    if status == "incomplete" and ending in ("unknown", "done"):
        ending = "cut" if text else "unknown"
    try_again = status in ("completed", None)
    return judge_reply(heard, ending, refusal=refusal, keep_think_tags=keep_think_tags, try_again=try_again)


def _read_failed(heard: Response, failure: Mapping[str, Any], status: str | None) -> Response:
    """A response that the provider calls failed or cancelled, whatever text it has."""
    if not failure:
        error = Failure("empty answer", f"No text came (status {status!r}).")
        return replace(heard, text=None, error=error)
    code, message = str(failure.get("code") or "failed"), str(failure.get("message") or "no reason was given")
    failed = read_failure(heard.key, Failure(code, message, code in ("server_error", "rate_limit_exceeded")))
    return replace(heard, text=None, status=failed.status, error=failed.error)


def _read_reasoning(items: list[dict[str, Any]], final: list[dict[str, Any]]) -> str | None:
    """Summaries, the thoughts of open models, and messages before the final answer."""
    chosen = {id(message) for message in final}
    pieces: list[str | None] = []
    for item in items:
        if item.get("type") == "reasoning":
            texts = (
                as_text(piece.get("text")) for kind in ("summary", "content") for piece in as_objects(item.get(kind))
            )
            pieces.extend(texts)
        elif item.get("type") == "message" and id(item) not in chosen:
            pieces.append(read_words(item.get("content")))
    return as_speech("\n\n".join(filter(None, pieces)))


def _read_usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    asked, answered = as_count(usage.get("input_tokens")), as_count(usage.get("output_tokens"))
    thinking = as_count(as_object(usage.get("output_tokens_details")).get("reasoning_tokens"))
    return Usage(
        input_tokens=asked,
        output_tokens=count_output(asked, answered, thinking, as_count(usage.get("total_tokens"))),
        cached_tokens=as_count(as_object(usage.get("input_tokens_details")).get("cached_tokens")),
        thinking_tokens=thinking,
        cache_write_tokens=as_count(as_object(usage.get("input_tokens_details")).get("cache_write_tokens")),
    )

"""OpenAI's chat completions: a request's body, and what an answer means.

Sources: the SDK's own reference texts (openai 3.54), the vision guide of 2026-09.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlures.backends.openai.pictures import Picture
from vlures.backends.wire import as_count, as_object, as_objects, as_speech, as_text
from vlures.records import Failure, Request, Response, Status, Usage

PATH = "/v1/chat/completions"

PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_completion_tokens",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
}
"""Ours → theirs. `max_tokens` is refused by today's models. `image_detail` stands beside the picture instead."""

STATUSES: dict[str, Status] = {
    "stop": "ok",
    "stop_sequence": "ok",
    "end_turn": "ok",
    "eos": "ok",
    "eos_token": "ok",
    "length": "truncated",
    "model_length": "truncated",
    "content_filter": "refused",
}
"""OpenAI's own words, and those of servers that speak its language, in whatever case: `eos` is Together's for an answer that ended by itself
(https://github.com/togethercomputer/together-py, types/chat/chat_completion.py), `model_length` Mistral's for a full context
(https://docs.mistral.ai/api)."""


def build_completion(request: Request, picture: Picture, service_tier: str | None, *, summary: bool) -> dict[str, Any]:  # noqa: ARG001
    """The body of a chat completion, with what the user has set and nothing else. Chat completions summarise no
    reasoning, so summary changes nothing."""
    image_url = {"url": picture.address}
    if "image_detail" in request.parameters:
        image_url["detail"] = request.parameters["image_detail"]
    return {
        "model": request.model,
        "messages": [
            {"role": "system", "content": request.prompt.system},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": request.prompt.user},
                    {"type": "image_url", "image_url": image_url},
                ],
            },
        ],
        **{PARAMETERS[key]: value for key, value in request.parameters.items() if key in PARAMETERS},
        **({"service_tier": service_tier} if service_tier else {}),
    }


def read_completion(key: str, body: Mapping[str, Any]) -> Response:
    """A chat completion as a response: text only if the model spoke."""
    choice = next(iter(as_objects(body.get("choices"))), {})
    message = as_object(choice.get("message"))
    finish_reason = as_text(choice.get("finish_reason"))
    content = message.get("content")
    text = as_speech(as_text(content) or "".join(as_text(part.get("text")) or "" for part in as_objects(content)))
    refusal = as_text(message.get("refusal"))
    heard = Response(
        key,
        "failed",
        text=text,
        reasoning=as_text(message.get("reasoning_content")) or as_text(message.get("reasoning")),
        finish_reason=finish_reason,
        model=as_text(body.get("model")),
        usage=_read_usage(body.get("usage")),
        response_id=as_text(body.get("id")),
    )
    status = STATUSES.get((finish_reason or "").lower())
    if refusal or status == "refused":
        return replace(heard, status="refused", text=refusal or text)
    if status == "truncated":
        advice = "The allowance of tokens was used up before any text; raise max_output_tokens."
        return replace(heard, status="truncated", error=None if text else Failure("no text", advice))
    if text and (status == "ok" or finish_reason is None):
        return replace(heard, status="ok")
    if text:
        doubt = f"The finish reason {finish_reason!r} is not known here, so the text is taken for cut short."
        return replace(heard, status="truncated", error=Failure("unknown end", doubt))
    what = f"finish reason {finish_reason!r}" if choice else "an answer without choices"
    error = Failure("empty answer", f"No text came ({what}).", transient=status == "ok" or not choice)
    return replace(heard, text=None, error=error)


def _read_usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(
        input_tokens=as_count(usage.get("prompt_tokens")),
        output_tokens=as_count(usage.get("completion_tokens")),
        cached_tokens=as_count(as_object(usage.get("prompt_tokens_details")).get("cached_tokens")),
        thinking_tokens=as_count(as_object(usage.get("completion_tokens_details")).get("reasoning_tokens")),
        cache_write_tokens=as_count(as_object(usage.get("prompt_tokens_details")).get("cache_write_tokens")),
    )

"""What is asked of Gemini and what its answers mean: the body of generateContent, live or as a line of a batch.

Sources: google-genai 3.4, the API's pages on thinking, media resolution and safety settings (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from vlures.backends.shards import Line, encode_line
from vlures.backends.wire import as_count, as_object, as_objects, as_speech, as_text
from vlures.errors import Retry
from vlures.records import Failure, Request, Response, Usage

EMPTY_ANSWER_RETRIES = 2

REFUSALS = frozenset(
    {"SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY", "MODEL_ARMOR"}
)

GENERATION = {"temperature": "temperature", "top_p": "topP", "max_output_tokens": "maxOutputTokens", "seed": "seed"}
THINKING = {"thinking_level": "thinkingLevel", "thinking_budget": "thinkingBudget"}
_MARK = "\x00"


def build_content(request: Request, service_tier: str | None = None, *, summary: bool = False) -> dict[str, Any]:
    """Everything of a request but its model, with what the user has set and nothing else, and with a mark where the
    picture's base64 comes. The long text stands first, the picture last. summary: ask for one of the thinking."""
    parameters = request.parameters
    generation: dict[str, Any] = {GENERATION[key]: parameters[key] for key in GENERATION if key in parameters}
    if "media_resolution" in parameters:
        generation["mediaResolution"] = f"MEDIA_RESOLUTION_{parameters['media_resolution'].upper()}"
    thinking: dict[str, Any] = {THINKING[key]: parameters[key] for key in THINKING if key in parameters}
    if "thinkingLevel" in thinking:
        thinking["thinkingLevel"] = thinking["thinkingLevel"].upper()
    if summary:
        thinking["includeThoughts"] = True
    if thinking:
        generation["thinkingConfig"] = thinking
    return {
        "systemInstruction": {"parts": [{"text": request.prompt.system}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": request.prompt.user},
                    {"inlineData": {"mimeType": request.image.mime_type, "data": _MARK}},
                ],
            }
        ],
        **({"generationConfig": generation} if generation else {}),
        **({"serviceTier": service_tier} if service_tier else {}),
    }


def split_content(content: Mapping[str, object]) -> Line:
    """A body, or what holds one, as JSON around its picture. No text can hold the mark's place: a quotation mark in a
    text is escaped."""
    head, tail = encode_line(content).split(b'"data":"\\u0000"')
    return Line(head + b'"data":"', b'"' + tail)


def read_answer(key: str, body: Any) -> Response:
    """A reply of status 200 as a response.

    Raises Retry for an answer without text where asking again has been seen to help.
    """
    body = as_object(body)
    candidate = next(iter(as_objects(body.get("candidates"))), {})
    parts = as_objects(as_object(candidate.get("content")).get("parts"))
    text = _join(part for part in parts if not part.get("thought"))
    finish_reason = as_text(candidate.get("finishReason"))
    block_reason = as_text(as_object(body.get("promptFeedback")).get("blockReason"))
    heard = Response(
        key,
        "ok",
        text=text,
        reasoning=_join(part for part in parts if part.get("thought")),
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


def _join(parts: Iterable[Mapping[str, Any]]) -> str | None:
    return as_speech("".join(as_text(part.get("text")) or "" for part in parts))

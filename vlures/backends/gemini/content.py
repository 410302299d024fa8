"""The body of generateContent, live or as a line of a batch, and how its answers are read.

Sources: google-genai 3.4, the API's pages on thinking, media resolution and safety settings (2026-11).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vlures.backends.batch.shards import Line, encode_line
from vlures.backends.endings import Ending, read_ending, read_word
from vlures.backends.gemini.schemas import JSON_TYPE, write_form
from vlures.backends.lenient_json import as_count, as_object, as_objects, as_speech, as_text
from vlures.backends.outcomes import describe_trouble, judge_reply, raise_transient
from vlures.backends.usage import count_output
from vlures.records import Image, Request, Response, Usage

ENDINGS: dict[str, Ending] = {
    "stop": "done",
    "max_tokens": "cut",
    **dict.fromkeys(("safety", "recitation", "language", "blocklist", "prohibited_content", "spii"), "withheld"),
    **dict.fromkeys(("image_safety", "image_prohibited_content", "image_recitation", "model_armor"), "withheld"),
    **dict.fromkeys(("malformed_function_call", "unexpected_tool_call", "too_many_tool_calls"), "unknown"),
    **dict.fromkeys(("other", "image_other", "no_image", "unspecified"), "unknown"),
    **dict.fromkeys(("malformed_response", "missing_thought_signature", "continuation"), "unknown"),
}
"""Finish reasons in lower case: https://ai.google.dev/api/generate-content#FinishReason"""

GENERATION = {"temperature": "temperature", "top_p": "topP", "max_output_tokens": "maxOutputTokens", "seed": "seed"}
THINKING = {"thinking_level": "thinkingLevel", "thinking_budget": "thinkingBudget"}
_MARK = "\x00"


def build_content(request: Request, service_tier: str | None = None, *, summary: bool = False) -> dict[str, Any]:
    """Everything of a request but its model, with what the user has set and nothing else, and a mark in the place of
    the image's base64. The long text comes first, the image last. summary: ask for a summary of the thinking."""
    parameters = request.parameters
    generation: dict[str, Any] = {GENERATION[key]: parameters[key] for key in GENERATION if key in parameters}
    if request.schema is not None:
        generation["responseMimeType"] = JSON_TYPE
        generation["responseSchema"] = write_form(request.schema)
    if "media_resolution" in parameters:
        generation["mediaResolution"] = f"MEDIA_RESOLUTION_{parameters['media_resolution'].upper()}"
    thinking: dict[str, Any] = {THINKING[key]: parameters[key] for key in THINKING if key in parameters}
    if "thinkingLevel" in thinking:
        thinking["thinkingLevel"] = thinking["thinkingLevel"].upper()
    if summary:
        thinking["includeThoughts"] = True
    if thinking:
        generation["thinkingConfig"] = thinking
    system = {"systemInstruction": {"parts": [{"text": request.prompt.system}]}} if request.prompt.system else {}
    parts: list[dict[str, Any]] = [{"text": request.prompt.user}]
    if request.image is not None:
        parts.append({"inlineData": {"mimeType": request.image.mime_type, "data": _MARK}})
    return {
        **system,
        "contents": [{"role": "user", "parts": parts}],
        **({"generationConfig": generation} if generation else {}),
        **({"serviceTier": service_tier} if service_tier else {}),
    }


def split_content(content: Mapping[str, object], image: Image | None) -> Line:
    """A request's body, or an object that holds one, as JSON around its image. No text can contain the mark, because
    quotation marks in a text are escaped."""
    if image is None:
        return Line(encode_line(content), None)
    head, tail = encode_line(content).split(b'"data":"\\u0000"')
    return Line(head + b'"data":"', b'"' + tail)


def read_answer(key: str, body: Any, *, keep_think_tags: bool = False) -> Response:
    """A reply of status 200 as a response. keep_think_tags: leave thinking in the text.

    Raises Retry, with the reply, for an answer that broke off, or without text where asking again is known to help.
    """
    body = as_object(body)
    candidate = next(iter(as_objects(body.get("candidates"))), {})
    parts = as_objects(as_object(candidate.get("content")).get("parts"))
    finish_reason = read_word(candidate.get("finishReason"))
    block_reason = read_word(as_object(body.get("promptFeedback")).get("blockReason"))
    if (block_reason or "").endswith("UNSPECIFIED"):
        block_reason = None
    heard = Response(
        key,
        "ok",
        text=_join(part for part in parts if not part.get("thought")),
        reasoning=_join(part for part in parts if part.get("thought")),
        finish_reason=block_reason or finish_reason,
        model=as_text(body.get("modelVersion")),
        usage=_read_usage(body.get("usageMetadata")),
        response_id=as_text(body.get("responseId")),
    )
    ending: Ending = "withheld" if block_reason else read_ending(finish_reason, ENDINGS)
    trouble = describe_trouble(candidate.get("finishMessage") or body.get("error"))
    return raise_transient(judge_reply(heard, ending, trouble=trouble, keep_think_tags=keep_think_tags))


def _read_usage(usage: Any) -> Usage | None:
    """Thinking is billed as output, so it is part of output_tokens, as with OpenAI; tool results are input. A reply
    leaves out counts of 0."""
    if not isinstance(usage, dict):
        return None
    asked = _add(_count(usage, "promptTokenCount", None), _count(usage, "toolUsePromptTokenCount", 0))
    answered = _count(usage, "candidatesTokenCount", None if asked is None else 0)
    thinking = _count(usage, "thoughtsTokenCount", 0)
    total = as_count(usage.get("totalTokenCount"))
    if total is not None and asked is not None and (thinking is None or "candidatesTokenCount" not in usage):
        output = as_count(total - asked)
    else:
        output = None if thinking is None else count_output(asked, answered, thinking, total, apart=True)
    return Usage(
        input_tokens=asked,
        output_tokens=output,
        cached_tokens=as_count(usage.get("cachedContentTokenCount")),
        thinking_tokens=as_count(usage.get("thoughtsTokenCount")),
    )


def _count(usage: Mapping[str, Any], name: str, absent: int | None) -> int | None:
    return as_count(usage[name]) if usage.get(name) is not None else absent


def _add(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _join(parts: Iterable[Mapping[str, Any]]) -> str | None:
    return as_speech("".join(as_text(part.get("text")) or "" for part in parts))

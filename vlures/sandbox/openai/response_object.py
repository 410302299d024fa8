"""The answer to a checked request to the responses, in OpenAI's format."""

import secrets
import time
from typing import Any

from vlures.sandbox.answers.compose import Answer, reported_usage
from vlures.sandbox.openai.request import Answered

SUMMARY = "[sandbox] Synthetic summary: looked at the sizes and colours, then counted words."
INCOMPLETE_REASONS = {"length": "max_output_tokens", "safety": "content_filter"}

REPEATED_IF_SET = ("prompt_cache_key", "safety_identifier", "user")


def response_document(answered: Answered, body: dict[str, Any]) -> dict[str, object]:
    """OpenAI's response object, which repeats what the request set."""
    reasoning = body.get("reasoning") or {}
    text = body.get("text") or {}
    answer = answered.answer
    reason = answer.reason or INCOMPLETE_REASONS.get(answer.finish)
    status = "failed" if answer.error_message else "incomplete" if reason else "completed"
    now = int(time.time())
    return {
        "id": "resp_" + secrets.token_hex(24),
        "object": "response",
        "created_at": now,
        "status": status,
        "completed_at": now if status == "completed" else None,
        "background": False,
        "error": {"code": "server_error", "message": answer.error_message} if answer.error_message else None,
        "incomplete_details": {"reason": reason} if reason else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": body.get("max_output_tokens"),
        "metadata": body.get("metadata") or {},
        "model": answered.model,
        "output": _output(answer, summarised=reasoning.get("summary") is not None),
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": answered.tier,
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity", "medium")},
        "tool_choice": "auto",
        "tools": [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": reported_usage(
            {
                "input_tokens": answered.prompt_tokens,
                "input_tokens_details": {"cached_tokens": answered.cached_tokens},
                "output_tokens": answered.written_tokens,
                "output_tokens_details": {"reasoning_tokens": answer.thought_tokens},
                "total_tokens": answered.total_tokens,
            },
            answer.usage_form,
        ),
        **{name: body[name] for name in REPEATED_IF_SET if body.get(name) is not None},
    }


def _output(answer: Answer, *, summarised: bool) -> list[dict[str, object]]:
    """The reasoning if its summary was asked for, then the message; no message if the limit left nothing for it."""
    items: list[dict[str, object]] = []
    if summarised:
        thoughts = [{"type": "summary_text", "text": SUMMARY}] if answer.thought_tokens else []
        items.append({"id": "rs_" + secrets.token_hex(24), "type": "reasoning", "summary": thoughts})
    if answer.thoughts:
        thoughts = [{"type": "reasoning_text", "text": answer.thoughts}]
        items.append({"id": "rs_" + secrets.token_hex(24), "type": "reasoning", "summary": [], "content": thoughts})
    if answer.finish in ("length", "stop") and not answer.text and (answer.finish == "length" or answer.thoughts):
        return items
    cut = answer.finish in INCOMPLETE_REASONS
    content = [] if answer.finish == "safety" else [_part(answer)]
    message: dict[str, object] = {"id": "msg_" + secrets.token_hex(24), "type": "message", "role": "assistant"}
    items.append({**message, "status": "incomplete" if cut else "completed", "content": content})
    return items


def _part(answer: Answer) -> dict[str, object]:
    if answer.finish == "refusal":
        return {"type": "refusal", "refusal": answer.text}
    return {"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []}

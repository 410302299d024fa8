"""The answer to a checked chat completion, in OpenAI's format."""

import secrets
import time
from typing import Any

from vlures.sandbox.answers.compose import Answer, reported_usage
from vlures.sandbox.openai.request import Answered

FINISH_REASONS = {"length": "length", "safety": "content_filter"}


def ending(answer: Answer) -> dict[str, object]:
    """The finish reason of a choice, with the error of a gateway that lost its upstream."""
    finish = answer.reason or FINISH_REASONS.get(answer.finish, "stop")
    return {"finish_reason": finish} | (
        {"error": {"code": 502, "message": answer.error_message}} if answer.error_message else {}
    )


def completion_document(answered: Answered, _body: dict[str, Any]) -> dict[str, object]:
    """OpenAI's document of an answered chat completion."""
    answer = answered.answer
    refused = answer.finish == "refusal"
    message: dict[str, object] = {
        "role": "assistant",
        "content": None if refused else answer.text,
        "refusal": answer.text if refused else None,
        "annotations": [],
    }
    if answer.thoughts:
        message["reasoning"] = answer.thoughts
    return {
        "id": "chatcmpl-" + secrets.token_hex(12),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answered.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, **ending(answer)}],
        "usage": reported_usage(
            {
                "prompt_tokens": answered.prompt_tokens,
                "completion_tokens": answered.written_tokens,
                "total_tokens": answered.total_tokens,
                "prompt_tokens_details": {"cached_tokens": answered.cached_tokens, "audio_tokens": 0},
                "completion_tokens_details": {
                    "reasoning_tokens": answer.thought_tokens,
                    "audio_tokens": 0,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
            answer.usage_form,
        ),
        "service_tier": answered.tier,
        "system_fingerprint": "fp_sandbox",
    }

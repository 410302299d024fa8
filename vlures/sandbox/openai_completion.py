"""The answer to a checked chat completion, in OpenAI's shape."""

import secrets
import time

from vlures.sandbox.answers import Answer, answer_question
from vlures.sandbox.faults import Fault
from vlures.sandbox.openai_chat import ChatRequest
from vlures.sandbox.openai_errors import OpenAIError


def complete_chat(request: ChatRequest, seed: int, fault: Fault | None) -> tuple[Answer, dict[str, object]]:
    """Answer a checked request: the answer and OpenAI's document of it; raises OpenAIError for a blocked prompt."""
    answer = answer_question(request.question, seed, request.limit, fault)
    if answer.finish == "blocked":
        raise OpenAIError(
            400,
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
            code="invalid_prompt",
        )
    prompt_tokens = answer.text_tokens + request.image_tokens
    written = answer.output_tokens + answer.thought_tokens
    refused = answer.finish == "refusal"
    finish = {"length": "length", "safety": "content_filter"}.get(answer.finish, "stop")
    return answer, {
        "id": "chatcmpl-" + secrets.token_hex(12),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request.question.model,
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": None if refused else answer.text,
                    "refusal": answer.text if refused else None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": written,
            "total_tokens": prompt_tokens + written,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": answer.thought_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        },
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
    }

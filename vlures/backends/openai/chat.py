"""OpenAI's chat completions: a request's body, and how an answer is read.

Sources: the SDK's own reference texts (openai 3.54), the vision guide of 2026-09.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlures.backends.endings import Ending, read_ending, read_word
from vlures.backends.lenient_json import as_count, as_object, as_objects, as_speech, as_text
from vlures.backends.openai.image_parts import ImagePart
from vlures.backends.openai.schemas import name_form
from vlures.backends.outcomes import describe_trouble, judge_reply
from vlures.backends.thinking import is_thinking, join_thoughts, read_words, split_content
from vlures.backends.usage import count_output
from vlures.records import Failure, Request, Response, Usage

PATH = "/v1/chat/completions"

PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_completion_tokens",
    "seed": "seed",
    "reasoning_effort": "reasoning_effort",
}
"""Our name → OpenAI's. Today's models refuse `max_tokens`. `image_detail` goes beside the image instead."""

ENDINGS: dict[str, Ending] = {
    **dict.fromkeys(("stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete", "stop_token"), "done"),
    **dict.fromkeys(("length", "model_length", "max_tokens", "max_output_tokens", "token_limit"), "cut"),
    **dict.fromkeys(("content_filter", "refusal", "sensitive", "safety"), "withheld"),
    **dict.fromkeys(("error", "abort", "network_error", "insufficient_system_resource"), "broken"),
    **dict.fromkeys(("tool_calls", "tool_use", "function_call", "pause_turn", "other", "unknown"), "unknown"),
}
"""Finish reasons of OpenAI and of servers that speak its language, in lower case: `eos` is Together's for an answer
that ended by itself (https://github.com/togethercomputer/together-py, types/chat/chat_completion.py), `model_length`
Mistral's for a full context (https://docs.mistral.ai/api), `sensitive` and `network_error` Z.AI's
(https://docs.z.ai/api-reference/llm/chat-completion), `insufficient_system_resource` DeepSeek's
(https://api-docs.deepseek.com/api/create-chat-completion), `abort` vLLM's."""

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "reasoning_details")
"""Of a message; one server fills two of them with the same words."""


def build_completion(
    request: Request,
    image: ImagePart | None,
    service_tier: str | None,
    *,
    summary: bool,  # noqa: ARG001
) -> dict[str, Any]:
    """The body of a chat completion, with what the user has set and nothing else. Chat completions summarise no
    reasoning, so summary changes nothing."""
    content: list[dict[str, Any]] = [{"type": "text", "text": request.prompt.user}]
    if image is not None:
        image_url = {"url": image.address}
        if "image_detail" in request.parameters:
            image_url["detail"] = request.parameters["image_detail"]
        content.append({"type": "image_url", "image_url": image_url})
    form = {"type": "json_schema", "json_schema": name_form(request.schema)} if request.schema is not None else None
    return {
        "model": request.model,
        "messages": [
            *([{"role": "system", "content": request.prompt.system}] if request.prompt.system else []),
            {"role": "user", "content": content},
        ],
        **({"response_format": form} if form else {}),
        **{PARAMETERS[key]: value for key, value in request.parameters.items() if key in PARAMETERS},
        **({"service_tier": service_tier} if service_tier else {}),
    }


def read_completion(key: str, body: Mapping[str, Any], *, keep_think_tags: bool = False) -> Response:
    """A chat completion as a response: text only if the model spoke. keep_think_tags: leave thinking in the text."""
    choice = next(iter(as_objects(body.get("choices"))), {})
    message = as_object(choice.get("message"))
    content = message.get("content")
    text, thoughts = split_content(content)
    if is_thinking(message):
        text, thoughts = "", text + thoughts
    fields = (read_words(message.get(name)) for name in REASONING_FIELDS)
    reason = read_word(choice.get("finish_reason"))
    error = find_error(body)
    ending = read_ending(reason, ENDINGS)
    if error and (reason is None or (ending == "unknown" and not as_speech(text))):
        ending = "broken"
    heard = Response(
        key,
        "failed",
        text=as_speech(text),
        reasoning=join_thoughts((next(filter(None, fields), None), thoughts)),
        finish_reason=reason,
        model=as_text(body.get("model")),
        usage=_read_usage(body.get("usage")),
        response_id=as_text(body.get("id")),
    )
    refusal = as_text(message.get("refusal")) or as_speech(
        "".join(as_text(part.get("refusal")) or "" for part in as_objects(content))
    )
    if not choice:
        failure = Failure("empty answer", "No text came (an answer without choices).", transient=True)
        return replace(heard, error=failure)
    return judge_reply(
        heard,
        ending,
        refusal=refusal,
        trouble=describe_trouble(error),
        keep_think_tags=keep_think_tags,
        try_again=ending == "done",
    )


def find_error(body: Mapping[str, Any]) -> Any:
    """The error by which a gateway reports an upstream that it lost half way, in a reply that has choices."""
    choice = next(iter(as_objects(body.get("choices"))), {})
    return choice.get("error") or as_object(choice.get("message")).get("error") or body.get("error") or None


def _read_usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    asked = as_count(usage.get("prompt_tokens"))
    thinking = as_count(as_object(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    if thinking is None:
        thinking = as_count(usage.get("reasoning_tokens"))
    answered = as_count(usage.get("completion_tokens"))
    return Usage(
        input_tokens=asked,
        output_tokens=count_output(asked, answered, thinking, as_count(usage.get("total_tokens"))),
        cached_tokens=as_count(as_object(usage.get("prompt_tokens_details")).get("cached_tokens")),
        thinking_tokens=thinking,
        cache_write_tokens=as_count(as_object(usage.get("prompt_tokens_details")).get("cache_write_tokens")),
    )

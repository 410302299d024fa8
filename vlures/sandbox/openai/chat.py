"""A request to OpenAI's chat completions, live or in a batch line, with the provider's checks."""

from typing import Any

from vlures.sandbox.openai.errors import OpenAIError, invalid_type, invalid_value, missing_parameter
from vlures.sandbox.openai.forms import read_response_format
from vlures.sandbox.openai.images import ImageSource, RequestImage, check_detail, count_image_tokens, read_image_url
from vlures.sandbox.openai.request import (
    EFFORTS,
    OLDER_MODELS,
    REASONING_MODELS,
    THOUGHT_TOKENS,
    TIERS,
    Conversation,
    OpenAIRequest,
    check_limit,
    check_model,
    check_names,
    check_number,
    check_word,
    refuse_stream,
)

PARAMETERS = frozenset(
    [
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "modalities",
        "model",
        "moderation",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)
ROLES = ("system", "assistant", "user", "function", "tool", "developer")
PART_TYPES = ("text", "image_url", "input_audio", "refusal", "audio", "file")


def read_chat(body: object, source: ImageSource, models: tuple[str, ...]) -> OpenAIRequest:
    """Check a request body as OpenAI does; raises OpenAIError with its message, param and code."""
    fields = check_names(body, PARAMETERS)
    model = check_model(fields, models)
    limit = _check_parameters(fields, model)
    effort = check_word(fields.get("reasoning_effort"), "reasoning_effort", EFFORTS)
    tier = check_word(fields.get("service_tier"), "service_tier", TIERS)
    schema = read_response_format(fields.get("response_format"))
    conversation = read_messages(fields, source)
    tokens = count_image_tokens(model, conversation.images)
    question = conversation.question(model, schema)
    return OpenAIRequest(question, tokens, limit, THOUGHT_TOKENS[effort or "none"], tier)


def _check_parameters(body: dict[str, Any], model: str) -> int | None:
    if body.get("max_tokens") is not None and not model.startswith(OLDER_MODELS):
        raise OpenAIError(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    temperature = check_number(body, "temperature", 2)
    if model.startswith(REASONING_MODELS) and temperature not in (None, 1):
        raise OpenAIError(
            400,
            f"Unsupported value: 'temperature' does not support {temperature:g} with this model. Only the default (1) "
            "value is supported.",
            param="temperature",
            code="unsupported_value",
        )
    check_number(body, "top_p", 1)
    refuse_stream(body)
    return read_limit(body)


def read_limit(body: dict[str, Any]) -> int | None:
    """The limit on the output tokens, under its new name or its old one."""
    name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    return check_limit(body, name, 1)


def read_messages(body: dict[str, Any], source: ImageSource) -> Conversation:
    """The messages of a request, with every image inspected."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise missing_parameter("messages") if messages is None else invalid_type("messages", "an array of objects")
    if not messages:
        raise OpenAIError(
            400,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            param="messages",
            code="empty_array",
        )
    conversation = Conversation()
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise invalid_type(where, "an object")
        role = message.get("role")
        if role not in ROLES:
            raise invalid_value(f"{where}.role", role, ROLES) if role else missing_parameter(f"{where}.role")
        conversation.add(role, _read_content(message.get("content"), f"{where}.content", source, conversation.images))
    return conversation


def _read_content(content: object, where: str, source: ImageSource, images: list[RequestImage]) -> str:
    if isinstance(content, str):
        return content
    if content is None:
        return ""
    if not isinstance(content, list):
        raise invalid_type(where, "one of a string or array of objects")
    texts: list[str] = []
    for index, part in enumerate(content):
        place = f"{where}[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PART_TYPES or not isinstance(part, dict):
            raise invalid_value(f"{place}.type", kind, PART_TYPES) if kind else missing_parameter(f"{place}.type")
        if kind == "text":
            if not isinstance(part.get("text"), str):
                raise missing_parameter(f"{place}.text")
            texts.append(part["text"])
        elif kind == "image_url":
            images.append(_read_image(part.get("image_url"), f"{place}.image_url", source))
    return "\n".join(texts)


def _read_image(image: object, where: str, source: ImageSource) -> RequestImage:
    if not isinstance(image, dict):
        raise invalid_type(where, "an object")
    detail = check_detail(image.get("detail", "auto"), f"{where}.detail")
    return RequestImage(read_image_url(image.get("url"), f"{where}.url", source), detail)

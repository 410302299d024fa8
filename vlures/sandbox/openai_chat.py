"""A request to OpenAI's chat completions, checked as the provider checks it.

The same code reads a live request and one line of a batch.
"""

from dataclasses import dataclass
from typing import Any

from vlures.sandbox.image_tokens import MOST_PATCHES, openai_image_tokens, patches
from vlures.sandbox.openai_errors import (
    OpenAIError,
    invalid_type,
    invalid_value,
    missing_parameter,
    unknown_model,
)
from vlures.sandbox.pictures import MIME_OF_FORMAT, Gallery, Picture
from vlures.sandbox.questions import Question

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
DETAILS = ("auto", "low", "high", "original")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
REASONING_MODELS = ("gpt-5", "gpt-6", "o1", "o3", "o4")
MAX_TOKENS_MODELS = ("gpt-3.5", "gpt-4", "chatgpt-4o")
ACCEPTED = "['image/png', 'image/jpeg', 'image/gif', 'image/webp']"


@dataclass(frozen=True)
class ChatRequest:
    """A request that passed all checks."""

    question: Question
    image_tokens: int
    limit: int | None


@dataclass(frozen=True)
class _Shown:
    """One picture of a request with the detail asked for and the place in the request."""

    picture: Picture
    detail: str


def read_chat(body: object, gallery: Gallery, models: tuple[str, ...]) -> ChatRequest:
    """Check a request body as OpenAI does; raises OpenAIError with its message, param and code."""
    if not isinstance(body, dict):
        raise invalid_type("body", "an object")
    for name in body:
        if name not in PARAMETERS:
            raise OpenAIError(400, f"Unknown parameter: '{name}'.", param=str(name), code="unknown_parameter")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise OpenAIError(400, "you must provide a model parameter")
    if models and model not in models:
        raise unknown_model(model)
    limit = _check_parameters(body, model)
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
    return _read_messages(messages, model, gallery, limit)


def _check_parameters(body: dict[str, Any], model: str) -> int | None:
    reasoning = model.startswith(REASONING_MODELS)
    if body.get("max_tokens") is not None and not model.startswith(MAX_TOKENS_MODELS):
        raise OpenAIError(
            400,
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' "
            "instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    temperature = body.get("temperature")
    if temperature is not None and (isinstance(temperature, bool) or not isinstance(temperature, int | float)):
        raise invalid_type("temperature", "a decimal")
    if reasoning and temperature is not None and temperature != 1:
        raise OpenAIError(
            400,
            f"Unsupported value: 'temperature' does not support {temperature:g} with this model. Only the default (1) "
            "value is supported.",
            param="temperature",
            code="unsupported_value",
        )
    if temperature is not None and not 0 <= temperature <= 2:
        raise OpenAIError(
            400,
            f"Invalid 'temperature': decimal out of range. Expected a value between 0 and 2, but got {temperature:g} "
            "instead.",
            param="temperature",
            code="decimal_above_max_value" if temperature > 0 else "decimal_below_min_value",
        )
    effort = body.get("reasoning_effort")
    if effort is not None and effort not in EFFORTS:
        raise invalid_value("reasoning_effort", effort, EFFORTS)
    if body.get("stream"):
        raise OpenAIError(400, "The sandbox does not stream.", param="stream", code="unsupported_value")
    return _read_limit(body)


def _read_limit(body: dict[str, Any]) -> int | None:
    name = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    limit = body.get(name)
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid_type(name, "an integer")
    if limit < 1:
        raise OpenAIError(
            400,
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {limit} instead.",
            param=name,
            code="integer_below_min_value",
        )
    return limit


def _read_messages(messages: list[Any], model: str, gallery: Gallery, limit: int | None) -> ChatRequest:
    system: list[str] = []
    spoken: list[str] = []
    shown: list[_Shown] = []
    last = ""
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise invalid_type(where, "an object")
        role = message.get("role")
        if role not in ROLES:
            raise invalid_value(f"{where}.role", role, ROLES) if role else missing_parameter(f"{where}.role")
        text = _read_content(message.get("content"), f"{where}.content", gallery, shown)
        if role in ("system", "developer"):
            system.append(text)
        else:
            spoken.append(text)
        last = text if role == "user" else last
    tokens = sum(_image_tokens(model, item) for item in shown)
    question = Question(model, "\n".join(system), "\n".join(spoken), last, tuple(item.picture for item in shown))
    return ChatRequest(question, tokens, limit)


def _read_content(content: object, where: str, gallery: Gallery, shown: list[_Shown]) -> str:
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
            shown.append(_read_image(part.get("image_url"), f"{place}.image_url", gallery))
    return "\n".join(texts)


def _read_image(image: object, where: str, gallery: Gallery) -> _Shown:
    if not isinstance(image, dict):
        raise invalid_type(where, "an object")
    url, detail = image.get("url"), image.get("detail", "auto")
    if not isinstance(url, str):
        raise missing_parameter(f"{where}.url")
    if detail not in DETAILS:
        raise invalid_value(f"{where}.detail", detail, DETAILS)
    comma = url.find(",", 0, 100)
    head = url[:comma]
    if comma < 0 or not head.startswith("data:"):
        raise OpenAIError(400, f"Failed to download image from {url[:200]}.", param="url", code="invalid_image_url")
    mime, _, encoding = head.removeprefix("data:").partition(";")
    if encoding != "base64":
        raise _image_error("Invalid base64 image_url.", where, "invalid_base64_image")
    picture = gallery.look(url[comma + 1 :])
    _check_picture(picture, mime, where)
    return _Shown(picture, str(detail))


def _check_picture(picture: Picture, mime: str, where: str) -> None:
    if picture.flaw == "base64":
        raise _image_error("Invalid base64 image_url.", where, "invalid_base64_image")
    if picture.flaw == "broken":
        raise _image_error(
            "The image data you provided does not represent a valid image. Please check your input and try again with "
            f"one of the supported image formats: {ACCEPTED}.",
            where,
            "image_parse_error",
        )
    if picture.flaw or mime not in MIME_OF_FORMAT.values():
        raise _image_error(
            "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
            "['png', 'jpeg', 'gif', 'webp'], and that a gif is not animated.",
            where,
            "invalid_image_format",
        )
    if picture.mime != mime:
        raise _image_error(
            f"The image was declared as {mime}, but its data is {picture.mime}.", where, "invalid_image_format"
        )


def _image_error(message: str, where: str, code: str) -> OpenAIError:
    return OpenAIError(400, message, param=f"{where}.url", code=code)


def _image_tokens(model: str, shown: _Shown) -> int:
    picture = shown.picture
    count = patches(model, picture.width, picture.height, shown.detail)
    if count > MOST_PATCHES:
        raise OpenAIError(
            400,
            f"The image requires {count} patches after processing, exceeding the limit of {MOST_PATCHES}.",
            code="image_too_large",
        )
    return openai_image_tokens(model, picture.width, picture.height, shown.detail)

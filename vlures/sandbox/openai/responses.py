"""A request to OpenAI's responses, live or in a batch line, with the provider's checks."""

from collections.abc import Iterator
from typing import Any

from vlures.sandbox.openai.errors import OpenAIError, invalid_type, invalid_value, missing_parameter
from vlures.sandbox.openai.forms import read_text_format
from vlures.sandbox.openai.images import (
    ImageSource,
    RequestImage,
    check_detail,
    count_image_tokens,
    read_image_file,
    read_image_url,
)
from vlures.sandbox.openai.request import (
    EFFORTS,
    OLDER_MODELS,
    REASONING_MODELS,
    THOUGHT_TOKENS,
    TIERS,
    VERBOSITIES,
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
        "access_programs",
        "background",
        "background_options",
        "context_management",
        "conversation",
        "include",
        "input",
        "instructions",
        "max_output_tokens",
        "max_tool_calls",
        "metadata",
        "model",
        "moderation",
        "parallel_tool_calls",
        "previous_response_id",
        "prompt",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "reasoning",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "text",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "truncation",
        "user",
    ]
)
ROLES = ("assistant", "system", "developer", "user")
TEXT_PARTS = ("input_text", "output_text", "refusal")
PART_TYPES = (
    "input_text",
    "input_image",
    "output_text",
    "refusal",
    "input_file",
    "computer_screenshot",
    "summary_text",
)
REASONING_FIELDS = ("effort", "summary", "generate_summary")
TEXT_FIELDS = ("format", "verbosity")
SUMMARIES = ("auto", "concise", "detailed")
MIN_OUTPUT_TOKENS = 16
"""The lowest `max_output_tokens` that the specification allows."""


def read_responses(body: object, source: ImageSource, models: tuple[str, ...]) -> OpenAIRequest:
    """Check a request body as OpenAI does; raises OpenAIError with its message, param and code."""
    fields = check_names(body, PARAMETERS)
    model = check_model(fields, models)
    schema = _check_parameters(fields, model)
    conversation = Conversation()
    if fields.get("instructions") is not None:
        conversation.add("system", _check_text(fields["instructions"], "instructions"))
    _read_input(fields.get("input"), conversation, source)
    return OpenAIRequest(
        conversation.question(model, schema),
        count_image_tokens(model, conversation.images),
        check_limit(fields, "max_output_tokens", MIN_OUTPUT_TOKENS),
        THOUGHT_TOKENS[_check_reasoning(fields, model)],
        check_word(fields.get("service_tier"), "service_tier", TIERS),
    )


def named_files(body: object) -> Iterator[str]:
    """The ids of the files that the images of a request name; the request need not be valid."""
    items = body.get("input") if isinstance(body, dict) else None
    for item in items if isinstance(items, list) else ():
        content = item.get("content") if isinstance(item, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == "input_image" and part.get("file_id") is not None:
                yield str(part["file_id"])


def _check_parameters(body: dict[str, Any], model: str) -> dict[str, Any] | None:
    """Returns the schema of the answer; None for plain text."""
    refuse_stream(body)
    if body.get("background"):
        raise OpenAIError(
            400, "The sandbox does not answer in the background.", param="background", code="unsupported_value"
        )
    if check_number(body, "temperature", 2) not in (None, 1) and model.startswith(REASONING_MODELS):
        raise OpenAIError(
            400, "Unsupported parameter: 'temperature' is not supported with this model.", param="temperature"
        )
    check_number(body, "top_p", 1)
    text = _check_object(body.get("text"), "text", TEXT_FIELDS)
    check_word(text.get("verbosity"), "text.verbosity", VERBOSITIES)
    return read_text_format(text.get("format"))


def _check_reasoning(body: dict[str, Any], model: str) -> str:
    """The effort asked for; a summary without an effort gets the usual one, so that there is something to summarise."""
    reasoning = _check_object(body.get("reasoning"), "reasoning", REASONING_FIELDS)
    if reasoning and model.startswith(OLDER_MODELS):
        raise OpenAIError(
            400,
            "Unsupported parameter: 'reasoning.effort' is not supported with this model.",
            param="reasoning.effort",
            code="unsupported_parameter",
        )
    summary = check_word(reasoning.get("summary"), "reasoning.summary", SUMMARIES)
    effort = check_word(reasoning.get("effort"), "reasoning.effort", EFFORTS)
    return effort or ("medium" if summary else "none")


def _check_object(value: object, name: str, known: tuple[str, ...]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise invalid_type(name, "an object")
    for key in value:
        if key not in known:
            path = f"{name}.{key}"
            raise OpenAIError(400, f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
    return value


def _check_text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise invalid_type(name, "a string")
    return value


def _read_input(items: object, conversation: Conversation, source: ImageSource) -> None:
    if items is None:
        raise missing_parameter("input")
    if isinstance(items, str):
        conversation.add("user", items)
        return
    if not isinstance(items, list):
        raise invalid_type("input", "one of a string or array of input items")
    for index, item in enumerate(items):
        where = f"input[{index}]"
        if not isinstance(item, dict):
            raise invalid_type(where, "an object")
        if item.get("type", "message") != "message":
            raise OpenAIError(400, "The sandbox reads messages only.", param=f"{where}.type", code="unsupported_value")
        role = item.get("role")
        if role not in ROLES:
            raise invalid_value(f"{where}.role", role, ROLES) if role else missing_parameter(f"{where}.role")
        conversation.add(role, _read_content(item.get("content"), f"{where}.content", source, conversation.images))


def _read_content(content: object, where: str, source: ImageSource, images: list[RequestImage]) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise invalid_type(where, "one of a string or array of content parts") if content else missing_parameter(where)
    texts: list[str] = []
    for index, part in enumerate(content):
        place = f"{where}[{index}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in PART_TYPES or not isinstance(part, dict):
            raise invalid_value(f"{place}.type", kind, PART_TYPES) if kind else missing_parameter(f"{place}.type")
        if kind in TEXT_PARTS:
            name = "refusal" if kind == "refusal" else "text"
            if not isinstance(part.get(name), str):
                raise missing_parameter(f"{place}.{name}")
            texts.append(part[name])
        elif kind == "input_image":
            images.append(_read_image(part, place, source))
        else:
            raise OpenAIError(400, f"The sandbox does not read {kind} parts.", param=place, code="unsupported_value")
    return "\n".join(texts)


def _read_image(part: dict[str, Any], where: str, source: ImageSource) -> RequestImage:
    url, file_id = part.get("image_url"), part.get("file_id")
    detail = check_detail(part.get("detail", "auto"), f"{where}.detail")
    if url is not None and file_id is not None:
        raise OpenAIError(
            400,
            f"Mutually exclusive parameters: '{where}'. Ensure you are only providing one of: 'file_id' or "
            "'image_url'.",
            param=where,
            code="mutually_exclusive_parameters",
        )
    if file_id is not None:
        return RequestImage(read_image_file(file_id, f"{where}.file_id", source), detail)
    if isinstance(url, dict):
        raise invalid_type(f"{where}.image_url", "an image URL, but got an object instead")
    return RequestImage(read_image_url(url, f"{where}.image_url", source), detail)

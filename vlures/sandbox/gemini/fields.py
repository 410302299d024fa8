"""The fields of Gemini's requests, as far as the sandbox checks them, and Google's errors about unknown ones.

Google accepts both spellings of a field's name, camelCase and snake_case, and refuses unknown names.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

# None: any value. A name: an object of that kind. A list with a name: an array of such objects.
# A tuple with a name: an object whose values, under any names, are such objects.
FIELDS: dict[str, dict[str, str | list[str] | tuple[str] | None]] = {
    "request": {
        "model": None,
        "contents": ["content"],
        "systemInstruction": "content",
        "generationConfig": "config",
        "safetySettings": ["safety"],
        "tools": None,
        "toolConfig": None,
        "cachedContent": None,
        "serviceTier": None,
        "store": None,
    },
    "content": {"role": None, "parts": ["part"]},
    "part": {
        "text": None,
        "inlineData": "blob",
        "fileData": "file",
        "functionCall": None,
        "functionResponse": None,
        "executableCode": None,
        "codeExecutionResult": None,
        "toolCall": None,
        "toolResponse": None,
        "videoMetadata": None,
        "thought": None,
        "thoughtSignature": None,
        "partMetadata": None,
        "mediaResolution": None,
    },
    "blob": {"mimeType": None, "data": None},
    "file": {"mimeType": None, "fileUri": None},
    "safety": {"category": None, "threshold": None},
    "thinking": {"includeThoughts": None, "thinkingBudget": None, "thinkingLevel": None},
    "creation": {"batch": "batch"},
    "batch": {"model": None, "name": None, "displayName": None, "inputConfig": "input", "priority": None},
    "input": {"fileName": None, "requests": None},
    "config": {
        "candidateCount": None,
        "stopSequences": None,
        "maxOutputTokens": None,
        "temperature": None,
        "topP": None,
        "topK": None,
        "seed": None,
        "responseMimeType": None,
        "responseSchema": "schema",
        "responseJsonSchema": None,
        "_responseJsonSchema": None,
        "responseFormat": None,
        "responseModalities": None,
        "responseLogprobs": None,
        "logprobs": None,
        "presencePenalty": None,
        "frequencyPenalty": None,
        "thinkingConfig": "thinking",
        "mediaResolution": None,
        "speechConfig": None,
        "imageConfig": None,
        "enableEnhancedCivicAnswers": None,
    },
    "schema": {
        **dict.fromkeys(
            ("type", "format", "title", "description", "nullable", "enum", "required", "default", "example")
        ),
        **dict.fromkeys(
            ("minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength", "pattern")
        ),
        **dict.fromkeys(("minimum", "maximum", "propertyOrdering")),
        "items": "schema",
        "properties": ("schema",),
        "anyOf": ["schema"],
    },
}

_SNAKE = re.compile(r"(?<=[a-z])_([a-z])")


def unknown_fields(body: dict[str, Any], kind: str = "request") -> list[tuple[str, str]]:
    """The path and Google's sentence for each unknown name in a request body. kind: one of `FIELDS`."""
    return list(_walk(body, kind, ""))


def _walk(value: Any, kind: str, path: str) -> Iterator[tuple[str, str]]:
    known = FIELDS[kind]
    if not isinstance(value, dict):
        yield path, f"Invalid value at '{path}' (type.googleapis.com/{kind})."
        return
    for name, inner in value.items():
        camel = _SNAKE.sub(lambda match: match.group(1).upper(), name)
        if camel not in known:
            at = f" at '{path}'" if path else ""
            yield path, f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
            continue
        beneath = known[camel]
        place = f"{path}.{name}" if path else name
        if isinstance(beneath, str):
            yield from _walk(inner, beneath, place)
        elif isinstance(beneath, tuple):
            for key, item in inner.items() if isinstance(inner, dict) else ():
                yield from _walk(item, beneath[0], f"{place}[{key}]")
        elif isinstance(beneath, list):
            for index, item in enumerate(inner if isinstance(inner, list) else [inner]):
                yield from _walk(item, beneath[0], f"{place}[{index}]" if isinstance(inner, list) else place)


def pick(value: dict[str, Any], camel: str) -> Any:
    """The value of a field under either spelling of its name."""
    if camel in value:
        return value[camel]
    return value.get(re.sub(r"([A-Z])", lambda match: "_" + match.group(1).lower(), camel))


def timestamp(moment: float) -> str:
    """A moment (seconds since 1970) as Google writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

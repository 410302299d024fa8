"""The form of an answer that a request to OpenAI asks for, and what OpenAI refuses in it.

Source: https://platform.openai.com/docs/guides/structured-outputs (2026-11), its section on supported schemas.
"""

import re
from collections.abc import Iterator
from typing import Any

from vlures.sandbox.openai.errors import OpenAIError, invalid_type, invalid_value, missing_parameter

FORMS = ("text", "json_object", "json_schema")
FORM_FIELDS = ("name", "description", "schema", "strict")
TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
DEEPEST = 10
"""Levels of objects and arrays that a strict schema may have."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_KEYWORDS = frozenset(
    [
        *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"),
        *("title", "description", "pattern", "format", "minItems", "maxItems", "minLength", "maxLength"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    ]
)


def read_response_format(form: object) -> dict[str, Any] | None:
    """The schema of a chat completion's `response_format`; None for plain text. Raises OpenAIError."""
    place = "response_format"
    if _read_kind(form, place) != "json_schema" or not isinstance(form, dict):
        return None
    inner = form.get("json_schema")
    if not isinstance(inner, dict):
        raise (
            missing_parameter(f"{place}.json_schema")
            if inner is None
            else invalid_type(f"{place}.json_schema", "an object")
        )
    return _read_form(inner, f"{place}.json_schema", place)


def read_text_format(form: object) -> dict[str, Any] | None:
    """The schema of a response's `text.format`; None for plain text. Raises OpenAIError."""
    place = "text.format"
    if _read_kind(form, place) != "json_schema" or not isinstance(form, dict):
        return None
    return _read_form({name: value for name, value in form.items() if name != "type"}, place, place)


def _read_kind(form: object, place: str) -> str:
    if form is None:
        return "text"
    if not isinstance(form, dict):
        raise invalid_type(place, "an object")
    kind = form.get("type")
    if kind not in FORMS:
        raise invalid_value(f"{place}.type", kind, FORMS) if kind else missing_parameter(f"{place}.type")
    if kind == "json_object":
        message = "The sandbox writes JSON by a schema only; use 'json_schema'."
        raise OpenAIError(400, message, param=f"{place}.type", code="unsupported_value")
    return str(kind)


def _read_form(form: dict[str, Any], place: str, param: str) -> dict[str, Any]:
    for key in form:
        if key not in FORM_FIELDS:
            path = f"{place}.{key}"
            raise OpenAIError(400, f"Unknown parameter: '{path}'.", param=path, code="unknown_parameter")
    name, schema = form.get("name"), form.get("schema")
    if not isinstance(name, str):
        raise missing_parameter(f"{place}.name")
    if not _NAME.fullmatch(name):
        message = f"Invalid '{place}.name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
        raise OpenAIError(400, message, param=f"{place}.name", code="invalid_value")
    if not isinstance(schema, dict):
        raise missing_parameter(f"{place}.schema") if schema is None else invalid_type(f"{place}.schema", "an object")
    if schema.get("type") != "object":
        raise _refuse(
            name, param, (), f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{schema.get('type')}\"'"
        )
    if form.get("strict"):
        flaw = next(_find_flaws(schema, (), 1), None)
        if flaw is not None:
            raise _refuse(name, param, *flaw)
    return schema


def _refuse(name: str, param: str, path: tuple[str, ...], flaw: str) -> OpenAIError:
    message = f"Invalid schema for response_format '{name}': In context={path!r}, {flaw}."
    return OpenAIError(400, message, param=param, code="invalid_json_schema")


def _find_flaws(schema: object, path: tuple[str, ...], level: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """What strict mode does not take, with its place."""
    if not isinstance(schema, dict):
        yield path, "schema must be an object"
        return
    for keyword in schema:
        if keyword not in _KEYWORDS:
            yield path, f"'{keyword}' is not permitted"
    kind = schema.get("type")
    if kind is None and not schema.keys() & {"anyOf", "$ref", "enum", "const"}:
        yield path, "schema must have a 'type' key"
    if isinstance(kind, str) and kind not in TYPES:
        yield path, f"'{kind}' is not a valid type"
    if level > DEEPEST:
        yield path, f"the schema exceeds {DEEPEST} levels of nesting"
    elif kind == "object":
        yield from _find_object_flaws(schema, path, level)
    elif kind == "array":
        if "items" not in schema:
            yield path, "array schema missing items"
        else:
            yield from _find_flaws(schema["items"], (*path, "items"), level + 1)
    for index, one in enumerate(schema.get("anyOf", ())):
        yield from _find_flaws(one, (*path, "anyOf", str(index)), level)


def _find_object_flaws(
    schema: dict[str, Any], path: tuple[str, ...], level: int
) -> Iterator[tuple[tuple[str, ...], str]]:
    if schema.get("additionalProperties") is not False:
        yield path, "'additionalProperties' is required to be supplied and to be false"
    properties, required = schema.get("properties", {}), schema.get("required")
    whole = "'required' is required to be supplied and to be an array including every key in properties"
    if not isinstance(required, list):
        yield path, whole
        return
    for name in properties:
        if name not in required:
            yield path, f"{whole}. Missing '{name}'"
    for name in required:
        if name not in properties:
            yield path, f"{whole}. Extra required key '{name}' supplied"
    for name, inner in properties.items():
        yield from _find_flaws(inner, (*path, "properties", name), level + 1)

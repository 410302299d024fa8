"""The form of an answer that a request to Gemini asks for, and what Google refuses in it.

Source: https://ai.google.dev/api/caching#Schema (2026-11). `fields` has refused unknown names before.
"""

from collections.abc import Iterator
from typing import Any

from vlures.sandbox.gemini.errors import bad_request
from vlures.sandbox.gemini.fields import pick

JSON_TYPE = "application/json"
MIME_TYPES = ("text/plain", JSON_TYPE)
TYPES = ("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")
"""From number 1 on. An SDK may send the numbers: https://protobuf.dev/programming-guides/json/"""
PLACE = "generation_config.response_schema"


def read_form(config: dict[str, Any]) -> dict[str, Any] | None:
    """The answer's schema as JSON Schema; None for plain text. Raises GeminiError."""
    mime, schema = pick(config, "responseMimeType"), pick(config, "responseSchema")
    by_standard = pick(config, "responseJsonSchema")
    if mime not in (None, *MIME_TYPES):
        message = (
            f"* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are {MIME_TYPES}.\n"
        )
        raise bad_request(message, [("generation_config.response_mime_type", message.strip())])
    if schema is None and by_standard is None:
        if mime == JSON_TYPE:
            raise bad_request("The sandbox writes JSON by a schema only; send a responseSchema, too.")
        return None
    if mime != JSON_TYPE:
        message = f"* GenerateContentRequest.{PLACE}: only allowed with response_mime_type {JSON_TYPE}.\n"
        raise bad_request(message, [(PLACE, message.strip())])
    if schema is None:
        return dict(by_standard)
    flaw = next(_find_flaws(schema, PLACE), None)
    if flaw is not None:
        place, what = flaw
        raise bad_request(f"* GenerateContentRequest.{place}: {what}\n", [(place, what)])
    return _as_json_schema(schema)


def _find_flaws(schema: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """What Google refuses, with its place."""
    kind = _name_type(schema.get("type", ""))
    if kind not in TYPES and not pick(schema, "anyOf"):
        yield f"{place}.type", "must be specified" if not kind else f'unknown type "{schema["type"]}"'
    if schema.get("enum") and kind != "STRING":
        yield f"{place}.enum", "only allowed for STRING type"
    elif not all(isinstance(word, str) for word in schema.get("enum", ())):
        yield f"{place}.enum", "must be strings"
    properties = schema.get("properties") or {}
    if kind == "OBJECT" and not properties:
        yield f"{place}.properties", "should be non-empty for OBJECT type"
    for index, name in enumerate(schema.get("required") or ()):
        if name not in properties:
            yield f"{place}.required[{index}]", "property is not defined"
    for name in pick(schema, "propertyOrdering") or ():
        if name not in properties:
            yield f"{place}.property_ordering", f"{name} is not defined"
    for name, inner in properties.items():
        yield from _find_flaws(inner, f"{place}.properties[{name}]")
    if kind == "ARRAY" and not schema.get("items"):
        yield f"{place}.items", "missing field."
    elif schema.get("items"):
        yield from _find_flaws(schema["items"], f"{place}.items")


def _as_json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Google's form of a schema in the words of JSON Schema."""
    plain: dict[str, Any] = dict(schema)
    if "type" in schema:
        plain["type"] = _name_type(schema["type"]).lower()
    if isinstance(schema.get("properties"), dict):
        plain["properties"] = {name: _as_json_schema(inner) for name, inner in schema["properties"].items()}
    if isinstance(schema.get("items"), dict):
        plain["items"] = _as_json_schema(schema["items"])
    return plain


def _name_type(kind: object) -> str:
    """A type's name in capitals, from its name or its number."""
    return TYPES[kind - 1] if isinstance(kind, int) and 1 <= kind <= len(TYPES) else str(kind).upper()

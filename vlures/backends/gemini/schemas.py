"""The form of an answer as Gemini's `responseSchema` takes it.

Source: https://ai.google.dev/api/caching#Schema (2026-11). Types are in capitals, `additionalProperties` is unknown. In
batches `responseJsonSchema` gave answers of another shape (https://github.com/crmne/ruby_llm/issues/894), so it is not
used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlures.records import Schema

JSON_TYPE = "application/json"


def write_form(schema: Schema) -> dict[str, Any]:
    """The schema as `responseSchema`."""
    return {name: _write(name, value) for name, value in schema.items() if name != "additionalProperties"}


def _write(name: str, value: Any) -> Any:
    if name == "type" and isinstance(value, str):
        return value.upper()
    if name == "properties":
        return {inner: write_form(schema) for inner, schema in value.items()}
    return write_form(value) if name == "items" and isinstance(value, Mapping) else value

"""The form of an answer as OpenAI's structured outputs take it.

Source: https://platform.openai.com/docs/guides/structured-outputs (2026-11): in a strict schema all properties of an
object are required and no others allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlures.records import Schema

NAME = "answer"


def name_form(schema: Schema) -> dict[str, Any]:
    """The schema with its name, for `response_format.json_schema` and `text.format`."""
    return {"name": NAME, "strict": True, "schema": close_objects(schema)}


def close_objects(schema: Schema) -> dict[str, Any]:
    """The schema with `additionalProperties: false` in all its objects."""
    closed: dict[str, Any] = {name: _close(name, value) for name, value in schema.items()}
    return closed | {"additionalProperties": False} if closed.get("type") == "object" else closed


def _close(name: str, value: Any) -> Any:
    if name == "properties":
        return {inner: close_objects(schema) for inner, schema in value.items()}
    return close_objects(value) if name == "items" and isinstance(value, Mapping) else value

"""Answers that are JSON of a form: every value follows from the schema, the seed and the question."""

import json
import random
from typing import Any

from vlures.sandbox.answers.phrases import Phrases

LEAST, MOST = 0, 100
"""Bounds of a number whose schema has none."""
LONGEST_LIST = 3


def write_json(value: object) -> str:
    """As an answer's text: every script as it is, so that the mark in it can be read."""
    return json.dumps(value, ensure_ascii=False)


def fill_form(schema: dict[str, Any], text: str, phrases: Phrases, chance: random.Random) -> Any:
    """A value that fits the schema. text: for the first string in it, marked; the others only have the mark."""
    return _Filler(text, phrases, chance).fill(schema)


class _Filler:
    def __init__(self, text: str, phrases: Phrases, chance: random.Random) -> None:
        self._texts = iter([text])
        self._phrases = phrases
        self._chance = chance

    def fill(self, schema: dict[str, Any]) -> Any:
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._chance.choice(schema["enum"])
        if schema.get("anyOf"):
            return self.fill(schema["anyOf"][0])
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = next(one for one in kind if one != "null")
        match kind:
            case "object":
                return {name: self.fill(inner) for name, inner in schema.get("properties", {}).items()}
            case "array":
                least = schema.get("minItems", 1)
                most = schema.get("maxItems", max(least, LONGEST_LIST))
                return [self.fill(schema.get("items", {})) for _ in range(self._chance.randint(least, most))]
            case "integer":
                return self._chance.randint(schema.get("minimum", LEAST), schema.get("maximum", MOST))
            case "number":
                return round(self._chance.uniform(schema.get("minimum", LEAST), schema.get("maximum", MOST)), 2)
            case "boolean":
                return self._chance.random() < 1 / 2
            case "null":
                return None
        return next(self._texts, self._phrases.mark)

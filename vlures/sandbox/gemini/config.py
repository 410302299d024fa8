"""A request's `generationConfig`: what Google refuses in it, and what the answer follows."""

import re
from dataclasses import dataclass
from typing import Any

from vlures.sandbox.gemini.errors import bad_request
from vlures.sandbox.gemini.fields import pick
from vlures.sandbox.gemini.forms import read_form

LEVEL_TOKENS = {"MINIMAL": 0, "LOW": 64, "MEDIUM": 128, "HIGH": 512}
"""Thinking level -> the sandbox's tokens of thinking, which count towards `maxOutputTokens` as Google's do."""
DYNAMIC_TOKENS = 128
MAX_THOUGHT_TOKENS = 512
RESOLUTIONS = ("LOW", "MEDIUM", "HIGH")
PART_RESOLUTIONS = (*RESOLUTIONS, "ULTRA_HIGH")
_WITHOUT_MINIMAL = re.compile(r"gemini-3\.[78]-flash(?!-lite).*")
_BUDGET_RANGES = (("gemini-2.5-pro", 128, 32_768), ("gemini-2.5-flash-lite", 512, 24_576), ("gemini-", 1, 24_576))


@dataclass(frozen=True)
class Thinking:
    """How the model thinks before it answers."""

    tokens: int = 0
    shown: bool = False
    """Whether the reply contains the thoughts."""


@dataclass(frozen=True)
class Config:
    """What the sandbox reads of a `generationConfig`."""

    limit: int | None
    """The most output tokens; None for no limit."""
    thinking: Thinking
    resolution: str
    """Of images, without its prefix; empty if not set."""
    schema: dict[str, Any] | None
    """The answer's form, as JSON Schema; None for plain text."""


def read_config(config: dict[str, Any], model: str) -> Config:
    """Check a `generationConfig` as Google does; raises GeminiError."""
    temperature = config.get("temperature")
    if temperature is not None and (not isinstance(temperature, int | float) or not 0 <= temperature <= 2):
        message = (
            "* GenerateContentRequest.generation_config.temperature: temperature must be in the range [0.0, 2.0].\n"
        )
        raise bad_request(message, [("generation_config.temperature", message.strip())])
    resolution = read_resolution(pick(config, "mediaResolution"), "generation_config.media_resolution", RESOLUTIONS)
    thinking = _read_thinking(pick(config, "thinkingConfig") or {}, model)
    return Config(_read_limit(config), thinking, resolution, read_form(config))


def _read_limit(config: dict[str, Any]) -> int | None:
    limit = pick(config, "maxOutputTokens")
    if limit is None:
        return None
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise bad_request(f"Invalid value at 'generation_config.max_output_tokens' (TYPE_INT32), \"{limit}\"")
    if limit < 1:
        message = "* GenerateContentRequest.generation_config.max_output_tokens: max_output_tokens must be positive.\n"
        raise bad_request(message, [("generation_config.max_output_tokens", message.strip())])
    return limit


def read_resolution(value: object, place: str, known: tuple[str, ...]) -> str:
    """A media resolution without its prefix, or an empty text for none."""
    name = str(value or "UNSPECIFIED").removeprefix("MEDIA_RESOLUTION_").upper()
    if name == "UNSPECIFIED":
        return ""
    if name not in known:
        raise bad_request(f"Invalid value at '{place}' (MediaResolution), \"{value}\"", [(place, "unknown resolution")])
    return name


def takes_levels(model: str) -> bool:
    """Whether a model takes a thinking level (generation 3 and later), not a budget."""
    return not model.startswith(("gemini-1", "gemini-2"))


def _read_thinking(config: dict[str, Any], model: str) -> Thinking:
    level, budget = pick(config, "thinkingLevel"), pick(config, "thinkingBudget")
    shown = bool(pick(config, "includeThoughts"))
    if level is not None and budget is not None:
        raise bad_request("Only one of thinking budget and thinking level can be set.")
    if level is not None:
        return Thinking(_level_tokens(str(level).upper(), model), shown)
    if budget is not None:
        tokens = _budget_tokens(budget, model)
        if shown and tokens == 0:
            raise bad_request("Thoughts can be included only when thinking is enabled.")
        return Thinking(tokens, shown)
    return Thinking(DYNAMIC_TOKENS if shown else 0, shown)


def _level_tokens(level: str, model: str) -> int:
    if not takes_levels(model):
        raise bad_request("Thinking level is not supported for this model.")
    if level == "THINKING_LEVEL_UNSPECIFIED":
        return DYNAMIC_TOKENS
    if level not in LEVEL_TOKENS:
        place = "generation_config.thinking_config.thinking_level"
        raise bad_request(f"Invalid value at '{place}' (ThinkingLevel), \"{level}\"", [(place, "unknown level")])
    if level == "MINIMAL" and _WITHOUT_MINIMAL.fullmatch(model):
        raise bad_request(f"Thinking level {level} is not supported for this model.")
    return LEVEL_TOKENS[level]


def _budget_tokens(budget: object, model: str) -> int:
    if not isinstance(budget, int) or isinstance(budget, bool):
        place = "generation_config.thinking_config.thinking_budget"
        raise bad_request(f"Invalid value at '{place}' (TYPE_INT32), \"{budget}\"", [(place, "not a number")])
    if takes_levels(model):
        raise bad_request("Thinking budget is not supported for this model; use a thinking level.")
    if budget == -1:
        return DYNAMIC_TOKENS
    _, low, high = next(limits for limits in _BUDGET_RANGES if model.startswith(limits[0]))
    if budget == 0 and low == _BUDGET_RANGES[0][1]:
        raise bad_request("Budget 0 is invalid. This model only works in thinking mode.")
    if budget != 0 and not low <= budget <= high:
        raise bad_request(f"The thinking budget {budget} is invalid. Please choose a value between {low} and {high}.")
    return min(budget, MAX_THOUGHT_TOKENS)

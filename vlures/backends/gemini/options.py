"""The options that only Gemini has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from vlures.config.options import option

SdkName = Literal["google-genai", "google-generativeai"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How Gemini is asked."""

    sdk: SdkName = option(
        "What asks Gemini live: google-genai, or google-generativeai (no longer supported).",
        "google-genai",
        "Who answers",
    )
    media_resolution: Literal["low", "medium", "high"] | None = option(
        "How closely Gemini's models look at the image.", group="Model", parameter=True
    )
    thinking_level: Literal["minimal", "low", "medium", "high", "xhigh"] | None = option(
        "How long Gemini's models from 3 on think.", group="Model", parameter=True
    )
    thinking_budget: Annotated[int, msgspec.Meta(ge=-1)] | None = option(
        "Most tokens that Gemini 2.5 thinks; 0: none, -1: as it likes.", group="Model", parameter=True
    )

"""Tokens of an image, by the formulas that Gemini's pages publish.

Sources, read on 2026-11-21: ai.google.dev/gemini-api/docs/image-understanding for 2.x, the page media-resolution and
the SDK's description of MediaResolution for the rest. A model that is not listed is unknown.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import ceil, floor

from vlures.records import Parameters

TILED = re.compile(r"gemini-2\.[05]-(pro|flash|flash-lite)(-\d{3}|-exp|-preview.*)?")
BUDGETED = re.compile(r"gemini-3(\.\d+)?-(pro|flash|flash-lite)(-\d{3}|-preview.*)?")
TILE_TOKENS = 258
SMALL_PX = 384
LEAST_CROP_PX = 256
"""Our own guard: by the formula alone a strip of 10 × 4,000 pixels would take 1,334 tiles."""

TILED_RESOLUTIONS = {"low": 64, "medium": 256}
"""For 2.x. `high`, and no resolution, mean the rule of tiles."""

RESOLUTIONS = {"low": 280, "medium": 560, "high": 1_120}
"""For 3.x; no resolution means `high`."""

LARGEST_RESOLUTION = 2_240
"""`ultra_high`, the largest that any Gemini model has."""


def image_tokens(model: str, width: int, height: int, parameters: Parameters) -> int | None:
    """Tokens of an image of this size in pixels, by `media_resolution` of the parameters.

    None for a model that no published formula covers.
    """
    return _image_tokens(model, width, height, parameters.get("media_resolution"))


def largest_image_tokens(_width: int, _height: int) -> int:
    """A likely upper bound for models without a formula: the largest resolution."""
    return LARGEST_RESOLUTION


@lru_cache(maxsize=65_536)
def _image_tokens(model: str, width: int, height: int, resolution: str | None) -> int | None:
    if BUDGETED.fullmatch(model):
        return RESOLUTIONS.get(resolution or "high")
    if not TILED.fullmatch(model):
        return None
    if resolution in TILED_RESOLUTIONS:
        return TILED_RESOLUTIONS[resolution]
    if max(width, height) <= SMALL_PX:
        return TILE_TOKENS
    crop = max(LEAST_CROP_PX, floor(min(width, height) / 1.5))
    return ceil(width / crop) * ceil(height / crop) * TILE_TOKENS

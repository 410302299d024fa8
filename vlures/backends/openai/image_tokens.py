"""Tokens of an image, by the formulas that OpenAI publishes.

Sources, read on 2026-11-21: the guide "Images and vision" (developers.openai.com/api/docs/guides/images-vision), sizing
rules of 2026-08, multipliers of 2026-10-05. A model that is not listed is unknown: its multiplier is not guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, sqrt

from vlures.backends.openai.models import SNAPSHOT
from vlures.records import Parameters

PATCH_PX = 32
MOST_PATCHES = 30_000
"""OpenAI answers an image with more patches, after sizing, with an error and no charge (a live 400 of 2026-09-25)."""

LOW_SIDE_PX = 512
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits that an image is scaled down to before its patches are counted. None: no such limit."""

    patches: int | None = None
    side_px: int | None = None
    """Of the longer side."""


AS_IT_IS = Budget()
HIGH = Budget(2_500, 2_048)
SMALL_HIGH = Budget(1_536, 2_048)
LARGE_ORIGINAL = Budget(10_000, 6_000)


@dataclass(frozen=True, slots=True)
class PatchModel:
    """A family that counts patches of 32 × 32 pixels."""

    pattern: str
    """Matches its names, whole, without the snapshot's date."""
    multiplier: float
    """Tokens per patch."""
    high: Budget
    original: Budget | None
    """None where the model has no such detail."""
    auto: Budget
    """For `auto`, and without a detail."""


@dataclass(frozen=True, slots=True)
class TileModel:
    """A family that counts tiles of 512 × 512 pixels after sizing: base + per_tile × tiles; with `low` only base."""

    pattern: str
    """Matches its names, whole, without the snapshot's date."""
    base: int
    per_tile: int


PATCH_MODELS = (
    PatchModel(r"gpt-6-astra|gpt-5\.6-(sol|terra|luna)", 1.2, HIGH, AS_IT_IS, AS_IT_IS),
    PatchModel(r"gpt-5\.5", 1.2, HIGH, LARGE_ORIGINAL, LARGE_ORIGINAL),
    PatchModel(r"gpt-5\.4", 1.2, HIGH, LARGE_ORIGINAL, HIGH),
    PatchModel(r"gpt-5\.4-(mini|nano)|gpt-5\.2|gpt-5-mini", 1.2, SMALL_HIGH, None, SMALL_HIGH),
    PatchModel(r"gpt-5-nano", 1.5, SMALL_HIGH, None, SMALL_HIGH),
    PatchModel(r"gpt-4\.1-mini", 1.62, SMALL_HIGH, None, SMALL_HIGH),
    PatchModel(r"o4-mini", 1.72, SMALL_HIGH, None, SMALL_HIGH),
    PatchModel(r"gpt-4\.1-nano", 2.46, SMALL_HIGH, None, SMALL_HIGH),
)
TILE_MODELS = (
    TileModel(r"gpt-4o|chatgpt-4o-latest|gpt-4\.1", 85, 170),
    TileModel(r"gpt-4o-mini", 2_833, 5_667),
    TileModel(r"gpt-5|gpt-5-chat-latest", 70, 140),
    TileModel(r"o1|o3", 75, 150),
)
LARGEST_MULTIPLIER = max(model.multiplier for model in PATCH_MODELS)


def image_tokens(model: str, width: int, height: int, parameters: Parameters) -> int | None:
    """Tokens of an image of this size in pixels, by `image_detail` of the parameters.

    None for a model, or a detail of it, that no published formula covers. 0 for an image that OpenAI refuses, and does
    not charge (`describe_refusal`).
    """
    return _image_tokens(model, width, height, parameters.get("image_detail") or "auto")


def largest_image_tokens(width: int, height: int) -> int:
    """A likely upper bound for models without a formula: patches without sizing, times the largest multiplier."""
    return ceil(min(_count_patches(width, height), MOST_PATCHES) * LARGEST_MULTIPLIER)


def describe_refusal(model: str, width: int, height: int, parameters: Parameters) -> str | None:
    """A sentence if OpenAI is known to refuse an image of this size, else None."""
    if image_tokens(model, width, height, parameters) != 0:
        return None
    return (
        f"An image of {width} × {height} pixels has {_count_patches(width, height):,} patches, and {model} refuses "
        f"more than {MOST_PATCHES:,}; add --image-detail high, or scale it down."
    )


def describe_doubt(model: str, width: int, height: int, parameters: Parameters) -> str | None:
    """A sentence if OpenAI may refuse an image of this size: it has too many patches, unless the model scales it
    down, which is not published."""
    patches = _count_patches(width, height)
    if patches <= MOST_PATCHES or image_tokens(model, width, height, parameters) is not None:
        return None
    return (
        f"An image of {width} × {height} pixels has {patches:,} patches, and OpenAI refuses more than "
        f"{MOST_PATCHES:,}, unless {model} scales it down; scale it down to be sure."
    )


@lru_cache(maxsize=65_536)
def _image_tokens(model: str, width: int, height: int, detail: str) -> int | None:
    for patch_model in PATCH_MODELS:
        if re.fullmatch(f"({patch_model.pattern}){SNAPSHOT}", model):
            return _patch_tokens(patch_model, width, height, detail)
    for tile_model in TILE_MODELS:
        if re.fullmatch(f"({tile_model.pattern}){SNAPSHOT}", model):
            return _tile_tokens(tile_model, width, height, detail)
    return None


def _patch_tokens(model: PatchModel, width: int, height: int, detail: str) -> int | None:
    budgets = {"low": Budget(side_px=LOW_SIDE_PX), "high": model.high, "original": model.original, "auto": model.auto}
    budget = budgets.get(detail)
    if budget is None:
        return None
    patches = count_patches(width, height, budget)
    return 0 if patches > MOST_PATCHES else round(patches * model.multiplier)


def count_patches(width: int, height: int, budget: Budget) -> int:
    """Patches of an image after scaling it into the budget: first its longer side, then, if it has too many patches, by
    the root of the excess and further to a whole number of patches along the tighter side."""
    w, h = float(width), float(height)
    if budget.side_px is not None and max(w, h) > budget.side_px:
        scale = budget.side_px / max(w, h)
        w, h = w * scale, h * scale
    if budget.patches is not None and _count_patches(w, h) > budget.patches:
        scale = sqrt(PATCH_PX**2 * budget.patches / (w * h))
        across, down = w * scale / PATCH_PX, h * scale / PATCH_PX
        scale *= min(max(1, floor(across)) / across, max(1, floor(down)) / down)
        w, h = w * scale, h * scale
    return _count_patches(w, h)


def _count_patches(width: float, height: float) -> int:
    return max(1, ceil(width / PATCH_PX - _ROUNDING)) * max(1, ceil(height / PATCH_PX - _ROUNDING))


def _tile_tokens(model: TileModel, width: int, height: int, detail: str) -> int | None:
    if detail == "original":
        return None
    if detail == "low":
        return model.base
    w, h = float(width), float(height)
    for limit, side in ((2_048, max), (768, min)):
        scale = min(1.0, limit / side(w, h))
        w, h = w * scale, h * scale
    tiles = max(1, ceil(w / 512 - _ROUNDING)) * max(1, ceil(h / 512 - _ROUNDING))
    return model.base + model.per_tile * tiles

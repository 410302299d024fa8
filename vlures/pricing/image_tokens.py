"""What a picture takes in tokens, by the formulas that the providers publish.

Sources, read on 2026-11-21. OpenAI: the guide "Images and vision" (developers.openai.com/api/docs/guides/images-vision),
sizing rules of 2026-08, multipliers of 2026-10-05. Gemini: ai.google.dev/gemini-api/docs/image-understanding for 2.x, the
page media-resolution and the SDK's description of MediaResolution for the rest. A model that is not listed is unknown: its
multiplier is not guessed. Real usage goes beyond the formula at times, as in 6,010 tokens for 4,867 (a report of 2026 on
gpt-5.6), hence MARGIN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor, sqrt

from vlures.records import Parameters

MARGIN = 1.25
"""How far a real picture may go beyond the formula: 6,010 / 4,867 = 1.235 is the most that was reported."""

PATCH_PX = 32
MOST_PATCHES = 30_000
"""OpenAI answers a picture with more patches, after sizing, with an error and no charge (a live 400 of 2026-09-25)."""

LOW_SIDE_PX = 512
_SNAPSHOT = r"(-\d{4}-\d{2}-\d{2})?"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Budget:
    """Into what a picture is scaled down before its patches are counted. None: no such limit."""

    patches: int | None = None
    side_px: int | None = None


AS_IT_IS = Budget()
HIGH = Budget(2_500, 2_048)
SMALL_HIGH = Budget(1_536, 2_048)
LARGE_ORIGINAL = Budget(10_000, 6_000)


@dataclass(frozen=True, slots=True)
class PatchModel:
    """A family that counts patches of 32 × 32 pixels. pattern: of its names, whole, without the snapshot's date.
    original: None where the model has no such detail. auto: what `auto`, and saying nothing, means."""

    pattern: str
    multiplier: float
    high: Budget
    original: Budget | None
    auto: Budget


@dataclass(frozen=True, slots=True)
class TileModel:
    """A family that counts tiles of 512 × 512 pixels after sizing: base + per_tile × tiles; with `low` the base only."""

    pattern: str
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

GEMINI_TILED = re.compile(r"gemini-2\.[05]-(pro|flash|flash-lite)(-\d{3}|-exp|-preview.*)?")
GEMINI_BUDGETED = re.compile(r"gemini-3(\.\d+)?-(pro|flash|flash-lite)(-\d{3}|-preview.*)?")
GEMINI_TILE_TOKENS = 258
GEMINI_SMALL_PX = 384
GEMINI_LEAST_CROP_PX = 256
"""Our own guard: by the formula alone a strip of 10 × 4,000 pixels would take 1,334 tiles."""

TILED_RESOLUTIONS = {"low": 64, "medium": 256}
"""For 2.x. `high`, and saying nothing, is the rule of tiles."""

RESOLUTIONS = {"low": 280, "medium": 560, "high": 1_120}
"""For 3.x; a picture without a resolution is looked at as `high`."""

LARGEST_RESOLUTION = 2_240
"""`ultra_high`, the largest that any Gemini model has."""


def image_tokens(provider: str, model: str, width: int, height: int, parameters: Parameters) -> int | None:
    """Tokens of a picture of this size in pixels, by `image_detail` or `media_resolution` of the parameters.

    None for a model, or a detail of it, that no published formula covers. 0 for a picture that the provider refuses, and
    does not charge (`describe_refusal`).
    """
    if provider == "openai":
        return _openai_tokens(model, width, height, parameters.get("image_detail") or "auto")
    if provider == "gemini":
        return _gemini_tokens(model, width, height, parameters.get("media_resolution"))
    return None


def most_image_tokens(provider: str, model: str, width: int, height: int, parameters: Parameters) -> int:
    """A number of tokens that the picture will hardly pass, for a limit of cost: the formula with a margin; for a model
    without one its patches as they are, times the largest multiplier that was ever listed (OpenAI), or the largest
    resolution there is (Gemini)."""
    known = image_tokens(provider, model, width, height, parameters)
    if known:  # what should be refused, and is not, takes all that a picture can
        return ceil(known * MARGIN)
    if provider == "gemini":
        return LARGEST_RESOLUTION
    return ceil(min(_count_patches(width, height), MOST_PATCHES) * LARGEST_MULTIPLIER)


def describe_refusal(provider: str, model: str, width: int, height: int, parameters: Parameters) -> str | None:
    """A sentence if the provider is known to refuse a picture of this size, else None."""
    if image_tokens(provider, model, width, height, parameters) != 0:
        return None
    return (
        f"A picture of {width} × {height} pixels has {_count_patches(width, height):,} patches, and {model} refuses more than "
        f"{MOST_PATCHES:,}; add --image-detail high, or scale it down."
    )


@lru_cache(maxsize=65_536)
def _openai_tokens(model: str, width: int, height: int, detail: str) -> int | None:
    for patch_model in PATCH_MODELS:
        if re.fullmatch(f"({patch_model.pattern}){_SNAPSHOT}", model):
            return _patch_tokens(patch_model, width, height, detail)
    for tile_model in TILE_MODELS:
        if re.fullmatch(f"({tile_model.pattern}){_SNAPSHOT}", model):
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
    """Patches of a picture after it was scaled into the budget: first its longer side, then, if it has too many patches, by
    the root of what is too much and on to a whole number of patches along the tighter side."""
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


@lru_cache(maxsize=65_536)
def _gemini_tokens(model: str, width: int, height: int, resolution: str | None) -> int | None:
    if GEMINI_BUDGETED.fullmatch(model):
        return RESOLUTIONS.get(resolution or "high")
    if not GEMINI_TILED.fullmatch(model):
        return None
    if resolution in TILED_RESOLUTIONS:
        return TILED_RESOLUTIONS[resolution]
    if max(width, height) <= GEMINI_SMALL_PX:
        return GEMINI_TILE_TOKENS
    crop = max(GEMINI_LEAST_CROP_PX, floor(min(width, height) / 1.5))
    return ceil(width / crop) * ceil(height / crop) * GEMINI_TILE_TOKENS

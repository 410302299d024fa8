"""What an image costs in tokens by the providers' guides; good enough for a rehearsal.

https://platform.openai.com/docs/guides/images-vision · https://ai.google.dev/gemini-api/docs/tokens
"""

import math

PATCH_PX = 32
MAX_PATCHES = 30_000

_TILE_MODELS = (
    ("gpt-4o-mini", 2833, 5667),
    ("gpt-4o", 85, 170),
    ("gpt-4.1", 85, 170),
    ("o1", 75, 150),
    ("o3", 75, 150),
)
_ORIGINAL_MODELS = ("gpt-5.5", "gpt-5.6", "gpt-6")
_SMALL_BUDGET_MODELS = ("gpt-5.4-mini", "gpt-5.4-nano", "gpt-5-mini", "gpt-5-nano", "gpt-5.2", "o4-mini", "gpt-4.1-")


def openai_image_tokens(model: str, width: int, height: int, detail: str) -> int:
    """Tokens of one image: by tiles for older models, by 32-pixel patches for the others."""
    if not model.startswith(_SMALL_BUDGET_MODELS):
        for name, base, per_tile in _TILE_MODELS:
            if model.startswith(name):
                return base if detail == "low" else base + per_tile * _tiles(width, height)
    return round(1.2 * patches(model, width, height, detail))


def patches(model: str, width: int, height: int, detail: str) -> int:
    """The 32-pixel patches of an image after the model has resized it for this detail."""
    if detail == "low":
        return _fitted(width, height, 512, 256)
    if detail in ("auto", "original") and model.startswith(_ORIGINAL_MODELS) and not model.startswith("gpt-5.5"):
        return math.ceil(width / PATCH_PX) * math.ceil(height / PATCH_PX)
    if detail in ("auto", "original") and model.startswith("gpt-5.5"):
        return _fitted(width, height, 6000, 10_000)
    budget = 1536 if model.startswith(_SMALL_BUDGET_MODELS) else 2500
    return _fitted(width, height, 2048, budget)


def _fitted(width: int, height: int, longest_px: int, budget: int) -> int:
    scale = min(1.0, longest_px / max(width, height))
    w, h = width * scale, height * scale
    if math.ceil(w / PATCH_PX) * math.ceil(h / PATCH_PX) > budget:
        factor = math.sqrt(PATCH_PX**2 * budget / (w * h))
        columns, rows = w * factor / PATCH_PX, h * factor / PATCH_PX
        factor *= min(math.floor(columns) / columns, math.floor(rows) / rows)
        w, h = w * factor, h * factor
    return max(1, min(budget, math.ceil(round(w / PATCH_PX, 6)) * math.ceil(round(h / PATCH_PX, 6))))


def _tiles(width: int, height: int) -> int:
    scale = min(1.0, 2048 / max(width, height))
    scale *= min(1.0, 768 / (min(width, height) * scale))
    return math.ceil(width * scale / 512) * math.ceil(height * scale / 512)


_NEW_GEMINI_TOKENS = {"LOW": 280, "MEDIUM": 560, "HIGH": 1120, "ULTRA_HIGH": 2240}
_OLD_GEMINI_TOKENS = {"LOW": 64, "MEDIUM": 256}


def gemini_image_tokens(model: str, width: int, height: int, resolution: str = "") -> int:
    """Tokens of one image: by tiles up to generation 2, a fixed budget from generation 3 on.

    resolution: the requested media resolution without its prefix; empty for none.
    """
    if not model.startswith(("gemini-1", "gemini-2")):
        return _NEW_GEMINI_TOKENS.get(resolution, 1120)
    if resolution in _OLD_GEMINI_TOKENS:
        return _OLD_GEMINI_TOKENS[resolution]
    small_px = 384
    if max(width, height) <= small_px:
        return 258
    unit = max(1, math.floor(min(width, height) / 1.5))
    return math.ceil(width / unit) * math.ceil(height / unit) * 258

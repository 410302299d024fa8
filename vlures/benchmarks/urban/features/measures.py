"""Depths, classes and objects of an image → what is known about it. Arrays go in, one record comes out.

Thresholds that drawn streets have too are theirs, so that a street and its true depths give the street's own labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vlures.benchmarks.urban.scenes.facts import FEWEST_PIXELS, LEFT_ABOVE, RIGHT_BELOW, TOP_SHARE
from vlures.benchmarks.urban.synthesis.facts import DepthKind, SideLabel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels. The last two are just outside."""

FACTORS: Mapping[str, frozenset[str]] = {
    "greenery": frozenset({"vegetation", "terrain", "tree", "grass", "plant", "palm"}),
    "sky": frozenset({"sky"}),
    "building": frozenset({"building", "house", "skyscraper"}),
}
"""Factor → the classes whose pixels count, in the words of Cityscapes (terrain is grass, soil and sand) and ADE20K."""
SPREAD: Mapping[str, frozenset[str]] = {
    "building": FACTORS["building"],
    "car": frozenset({"car"}),
    "person": frozenset({"person", "rider"}),
}
"""What is said to be on the left or the right → the classes whose pixels count. A cyclist is a `rider`."""
SEEN_AS: Mapping[str, frozenset[str]] = {
    "person": SPREAD["person"],
    "stop sign": frozenset({"traffic sign"}),
    "tree": frozenset({"vegetation", "tree"}),
    "potted plant": FACTORS["greenery"],
}
"""Object → the classes of its pixels, where they are not called like it."""
NO_OBJECT = "N/A"
"""What COCO calls the numbers that it has skipped."""
LEAST_OWN_SHARE = 0.05
"""Where fewer of a box's pixels have its object's class, the whole box is taken."""
ZONES = 3
"""The foreground is the nearest one of so many equal parts of the pixels, the background the farthest."""
ZONED = ("car", "building")
ZONE_SHARE = 0.1
"""A thing is in a zone if so many of its pixels are."""
COLUMNS_OF_A_SKYLINE = 20
"""A skyline is clear if, in one of so many columns, a pixel of the sky is right above one of a building."""


@dataclass(frozen=True, slots=True)
class DepthMap:
    """How far everything is."""

    values: NDArray[np.float32]
    """Height × width, in the model's own units."""
    kind: DepthKind
    """distance: in metres, and the sky has none that means anything."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What class each pixel has."""

    indices: NDArray[np.integer[Any]]
    """Height × width: places in names."""
    names: tuple[str, ...]

    def mask(self, names: Collection[str]) -> NDArray[np.bool_]:
        """The pixels of these classes."""
        import numpy as np

        wanted = np.array([name in names for name in self.names], dtype=np.bool_)
        mask: NDArray[np.bool_] = wanted[self.indices]
        return mask


@dataclass(frozen=True, slots=True)
class Detection:
    """An object that a model has found."""

    label: str
    score: float
    box: Box
    """May reach beyond the image."""
    mask: NDArray[np.bool_] | None = None
    """Height × width: its own pixels, where they are known."""


def missing_factors(names: Collection[str]) -> list[str]:
    """The view factors that a model with these classes cannot tell: it would give each image a share of 0."""
    return [factor for factor, classes in FACTORS.items() if not classes.intersection(names)]


def describe_view(depth: DepthMap, segmentation: Segmentation, found: Sequence[Detection]) -> dict[str, Any]:
    """All of an image's record but its names.

    Raises ValueError, with the end of a sentence about the image, where the depths give nothing.
    """
    known = _find_known(depth, segmentation)
    found = sorted((each for each in found if each.label != NO_OBJECT), key=lambda each: -each.score)
    depths = [_measure(depth, segmentation, each) for each in found]
    nearest = _find_nearest(depth.kind, found, depths)
    closest = max if depth.kind == "inverse" else min
    return {
        "objects": dict(Counter(each.label for each in found)),
        "view_factors": {name: _share(segmentation.mask(classes)) for name, classes in FACTORS.items()},
        "depth": {"kind": "distance", "unit": "m"} if depth.kind == "distance" else {"kind": "inverse"},
        "depth_stats": {
            "range": round(float(depth.values[known].max()) - float(depth.values[known].min()), 2),
            "closest_object": closest(nearest, key=lambda label: nearest[label]) if nearest else None,
        },
        "spatial_distribution": dict(_find_sides(segmentation)),
        "vertical_layout": _describe_layout(segmentation),
        "depth_order": nearest,
        "depth_per_class": {**_average_depths(depth, segmentation), **_find_zones(depth, segmentation)},
        "raw_objects": [
            {
                "box": list(clip(each.box, depth.values.shape)),
                "label": each.label,
                "score": round(each.score, 4),
                "depth": round(value, 4),
            }
            for each, value in zip(found, depths, strict=True)
        ],
    }


def clip(box: Box, shape: tuple[int, ...]) -> Box:
    """The part of a box that is within an image of that height and width: at least one pixel."""
    height, width = shape
    left, top = min(max(box[0], 0), width - 1), min(max(box[1], 0), height - 1)
    return left, top, max(min(box[2], width), left + 1), max(min(box[3], height), top + 1)


def _find_known(depth: DepthMap, segmentation: Segmentation) -> NDArray[np.bool_]:
    """The pixels whose depth counts."""
    import numpy as np

    if not np.isfinite(depth.values).all():
        raise ValueError("the depth model gave values that are no numbers; try --dtype float32")
    known = depth.values > 0
    if depth.kind == "distance":
        known = known & ~segmentation.mask(FACTORS["sky"])
    if not known.any():
        raise ValueError("the depth model gave no depth above 0")
    return known


def _measure(depth: DepthMap, segmentation: Segmentation, found: Detection) -> float:
    """An object's depth: the median of its own pixels, which what stands before it or behind it does not shift."""
    import numpy as np

    left, top, right, bottom = clip(found.box, depth.values.shape)
    within = slice(top, bottom), slice(left, right)
    own = found.mask
    if own is None:
        own = segmentation.mask(SEEN_AS.get(found.label, {found.label}))
    pixels = depth.values[within][own[within]]
    if pixels.size < max(1, LEAST_OWN_SHARE * (right - left) * (bottom - top)):
        pixels = depth.values[within]
    return float(np.median(pixels))


def _find_nearest(kind: DepthKind, found: Sequence[Detection], depths: Sequence[float]) -> dict[str, float]:
    """Label → the depth of the nearest object of that label."""
    nearer = max if kind == "inverse" else min
    nearest: dict[str, float] = {}
    for each, value in zip(found, depths, strict=True):
        nearest[each.label] = nearer(round(value, 4), nearest.get(each.label, round(value, 4)))
    return nearest


def _find_sides(segmentation: Segmentation) -> Iterator[tuple[str, SideLabel]]:
    for name, classes in SPREAD.items():
        mask = segmentation.mask(classes)
        pixels = int(mask.sum())
        if pixels >= FEWEST_PIXELS:
            share = int(mask[:, : mask.shape[1] // 2].sum()) / pixels
            yield name, "left side" if share > LEFT_ABOVE else "right side" if share < RIGHT_BELOW else "even"


def _describe_layout(segmentation: Segmentation) -> dict[str, Any]:
    import numpy as np

    height, width = segmentation.indices.shape
    top = segmentation.indices[: max(1, round(height * TOP_SHARE))]
    entity = segmentation.names[int(np.bincount(top.ravel(), minlength=len(segmentation.names)).argmax())]
    sky, building = segmentation.mask(FACTORS["sky"]), segmentation.mask(FACTORS["building"])
    edges = int((sky[:-1] & building[1:]).sum())
    return {
        "top_entity": entity,
        "top_sky": entity in FACTORS["sky"],
        "skyline_clear": edges >= max(1, width // COLUMNS_OF_A_SKYLINE),
    }


def _average_depths(depth: DepthMap, segmentation: Segmentation) -> dict[str, float]:
    """Class → mean depth of its pixels, in the model's own units. The sky has none."""
    averages: dict[str, float] = {}
    for name in dict.fromkeys(segmentation.names):
        pixels = depth.values[segmentation.mask({name})]
        if pixels.size >= FEWEST_PIXELS and name not in FACTORS["sky"]:
            averages[name] = round(float(pixels.mean(dtype="float64")), 2)
    return averages


def _find_zones(depth: DepthMap, segmentation: Segmentation) -> dict[str, bool]:
    """Whether there are cars and buildings in the foreground and in the background.

    The zones are shares of the pixels: those of inverse depths and of the metres behind them are the same.
    """
    import numpy as np

    remoteness = -depth.values if depth.kind == "inverse" else depth.values
    ground = remoteness[~segmentation.mask(FACTORS["sky"])]
    zones: dict[str, bool] = {}
    for name in ZONED:
        pixels = remoteness[segmentation.mask(SPREAD[name])]
        for zone in ("foreground", "background"):
            zones[f"{name}_{zone}"] = False
            if pixels.size >= FEWEST_PIXELS:
                near, far = np.quantile(ground, [1 / ZONES, 1 - 1 / ZONES])
                inside = pixels <= near if zone == "foreground" else pixels >= far
                zones[f"{name}_{zone}"] = bool(inside.mean() >= ZONE_SHARE)
    return zones


def _share(mask: NDArray[np.bool_]) -> float:
    return round(float(mask.mean()), 9)  # a threshold must not hang on the rounding

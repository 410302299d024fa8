"""What is known about a street view: counted in a drawing, or read from metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SideLabel = Literal["left side", "right side", "even"]
DepthKind = Literal["distance", "inverse"]
"""distance: more is farther. inverse: more is nearer, as MiDaS estimates it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewFacts:
    """Facts about one street view. None, or a missing entry: not known."""

    image_id: str
    counts: Mapping[str, int]
    """Object → how many are visible; 0 for one that is known to be absent."""
    asked_objects: tuple[str, ...]
    """Those of counts whose presence and number are asked for."""
    factors: Mapping[str, float]
    """greenery, sky and building → share of the image."""
    depth_kind: DepthKind | None = None
    """How depth_order is to be read."""
    depth_range: float | None = None
    """Between the smallest and the greatest depth that is not sky's."""
    closest_object: str | None = None
    """With the smallest depth, whatever its kind."""
    depth_order: Mapping[str, float] = field(default_factory=dict)
    """Object → its depth."""
    clear_difference: float = 0.0
    """By how much the depths of two objects must differ for a question about them."""
    building_depth: float | None = None
    """Mean depth of the buildings."""
    foreground: Mapping[str, bool] = field(default_factory=dict)
    """Object → whether one is near the camera."""
    background: Mapping[str, bool] = field(default_factory=dict)
    """Object → whether one is far away."""
    occlusions: Mapping[tuple[str, str], bool] = field(default_factory=dict)
    """(object1, object2) → whether object1 is partly hidden behind object2."""
    sides: Mapping[str, SideLabel] = field(default_factory=dict)
    top_entity: str | None = None
    """The commonest class in the top fifth of the rows."""
    top_is_sky: bool | None = None
    """A flag of the metadata; top_entity says the same."""
    skyline_visible: bool | None = None

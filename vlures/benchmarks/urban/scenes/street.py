"""What stands where in a street: chosen by a seed, in metres, before anything is drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

ThingKind = Literal["car", "person", "tree", "bus", "bench", "traffic light"]
THING_KINDS: tuple[ThingKind, ...] = get_args(ThingKind)
Side = Literal["building", "hedge", "meadow"]
SIDES: tuple[Side, ...] = get_args(Side)

SIZES: dict[ThingKind, tuple[float, float]] = {
    "car": (1.9, 1.5),
    "person": (0.6, 1.75),
    "tree": (3.2, 6.0),
    "bus": (2.6, 3.1),
    "bench": (1.8, 0.9),
    "traffic light": (0.5, 3.6),
}
"""Width and height in metres."""
ON_ROAD: frozenset[ThingKind] = frozenset({"car", "bus"})
MOST: dict[ThingKind, int] = {"car": 4, "person": 5, "tree": 4, "bus": 1, "bench": 1, "traffic light": 1}
NONE_SHARE: dict[ThingKind, float] = {
    "car": 0.25,
    "person": 0.25,
    "tree": 0.35,
    "bus": 0.6,
    "bench": 0.5,
    "traffic light": 0.6,
}
"""How often there is none, so that no label is nearly always the same."""

ROAD_M = 4.0
"""Half the width of the road."""
KERB_M = 6.5
"""Where the pavements end."""
FACADE_M = 7.0
"""How far from the middle of the road the fronts of the buildings stand."""
NEAREST_M, FARTHEST_M = 6.0, 22.0
"""Where things may stand."""
DEPTHS_M = ((14.0, 20.0), (26.0, 38.0), (50.0, 75.0))
"""Where the street ends: each of low, moderate and high depth is as likely, and none is near a threshold."""

HORIZONS = (0.42, 0.7)
"""Between which the camera's pitch puts the horizon, so that road, buildings or sky may prevail."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that stands in the street."""

    kind: ThingKind
    x_m: float
    """Of its middle, to the right of the camera."""
    depth_m: float
    shade: int
    """Chooses one of its kind's colours."""

    @property
    def width_m(self) -> float:
        return SIZES[self.kind][0]

    @property
    def height_m(self) -> float:
        return SIZES[self.kind][1]


@dataclass(frozen=True, slots=True)
class Street:
    """All of a scene."""

    left: Side
    right: Side
    left_height_m: float
    """Of the buildings or the hedge there; a meadow has none."""
    right_height_m: float
    end: Literal["building", "hedge"]
    end_height_m: float
    end_depth_m: float
    horizon: float
    """Row of the horizon, as a share of the image's side."""
    shade: int
    things: tuple[Thing, ...]
    """From far to near."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a street has, before its things have places: a place that does not work is chosen anew, a plan is not, or
    streets would become emptier and longer than they were meant to be."""

    depths_m: tuple[float, float]
    """Between which the street ends."""
    counts: dict[ThingKind, int]


def choose_plan(chance: random.Random) -> Plan:
    """A plan by chance. Only `Random.random` is used, here and below: it gives the same numbers in every version of
    Python."""
    depths = _pick(chance, DEPTHS_M)
    counts = {
        kind: 0 if chance.random() < NONE_SHARE[kind] else 1 + int(chance.random() * MOST[kind]) for kind in THING_KINDS
    }
    return Plan(depths, counts)


def choose_street(plan: Plan, chance: random.Random) -> Street:
    """A street of this plan."""
    end_depth = _between(chance, *plan.depths_m)
    things = [_choose_thing(chance, kind, end_depth) for kind, count in plan.counts.items() for _ in range(count)]
    end: Literal["building", "hedge"] = "building" if chance.random() < 0.6 else "hedge"
    return Street(
        left=_pick(chance, SIDES),
        right=_pick(chance, SIDES),
        left_height_m=_between(chance, 4, 22),
        right_height_m=_between(chance, 4, 22),
        end=end,
        end_height_m=_between(chance, 4, 24) if end == "building" else _between(chance, 2.5, 8),
        end_depth_m=end_depth,
        horizon=_between(chance, *HORIZONS),
        shade=int(chance.random() * 1000),
        things=tuple(sorted(things, key=lambda thing: -thing.depth_m)),
    )


def _choose_thing(chance: random.Random, kind: ThingKind, end_depth_m: float) -> Thing:
    depth = _between(chance, NEAREST_M, min(FARTHEST_M, end_depth_m - 2))
    if kind in ON_ROAD or (kind == "person" and chance.random() < 0.4):
        edge = ROAD_M - SIZES[kind][0] / 2
        x = _between(chance, -edge, edge)
    else:
        x = _between(chance, ROAD_M + 0.3, KERB_M - 0.3) * (1 if chance.random() < 0.5 else -1)
    return Thing(kind, x, depth, int(chance.random() * 1000))


def _between(chance: random.Random, low: float, high: float) -> float:
    return low + (high - low) * chance.random()


def _pick(chance: random.Random, items: Sequence[Item]) -> Item:
    return items[int(chance.random() * len(items))]

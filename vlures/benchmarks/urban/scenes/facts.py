"""What is true of a drawn street, counted in its pixels."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from vlures.benchmarks.urban.scenes.drawing import (
    CLASSES,
    Drawn,
    PixelClass,
    count_pixels,
    draw_street,
    is_within,
)
from vlures.benchmarks.urban.scenes.street import THING_KINDS, Street, choose_plan, choose_street
from vlures.benchmarks.urban.synthesis.facts import SideLabel, ViewFacts
from vlures.benchmarks.urban.synthesis.rules import CLEARLY_NEARER_M

FEWEST_PIXELS = 12
SEEN_SHARE = 0.6
"""A thing of which less is seen is no label's business: the street is chosen anew."""
TRIES_OF_A_PLAN = 300
CLOSER_M = 0.5
"""By how much the closest thing is closer than the next."""
MOST_TRIES = 30_000
TOP_SHARE = 0.2
LEFT_ABOVE, RIGHT_BELOW = 0.6, 0.4
"""Share of a class's pixels in the left half."""
CLEAR_SHARE = 0.02
"""Distance from a threshold below which a label would hang on single pixels."""
THRESHOLDS = (0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Scene:
    """A drawn street and what is true of it."""

    street: Street
    drawn: Drawn
    facts: ViewFacts


def make_scene(image_id: str, size: int, chance: random.Random) -> Scene:
    """A street in which every thing can be seen, and no label is a matter of a few pixels.

    size: the image's side in pixels. Raises RuntimeError if chance gives none, which is a fault of the numbers above.
    """
    plan = choose_plan(chance)
    for attempt in range(MOST_TRIES):
        if attempt and attempt % TRIES_OF_A_PLAN == 0:
            plan = choose_plan(chance)
        street = choose_street(plan, chance)
        if not _is_clear(street, size):
            continue
        drawn = draw_street(street, size)
        facts = find_facts(image_id, street, drawn)
        if not any(abs(share - edge) < CLEAR_SHARE for share in facts.factors.values() for edge in THRESHOLDS):
            return Scene(street, drawn, facts)
    raise RuntimeError("no street is clear")


def find_facts(image_id: str, street: Street, drawn: Drawn) -> ViewFacts:
    size = drawn.classes.width
    pixels = _count_classes(drawn, (0, 0, size, size))
    depths: dict[str, float] = {}
    for thing in street.things:  # from far to near
        depths[thing.kind] = thing.depth_m
    top = _count_classes(drawn, (0, 0, size, round(size * TOP_SHARE)))
    return ViewFacts(
        image_id=image_id,
        counts={kind: sum(thing.kind == kind for thing in street.things) for kind in THING_KINDS},
        asked_objects=THING_KINDS,
        factors={
            "greenery": pixels["vegetation"] / size**2,
            "sky": pixels["sky"] / size**2,
            "building": pixels["building"] / size**2,
        },
        depth_kind="distance",
        depth_range=_depth_range(drawn),
        closest_object=min(depths, key=lambda kind: depths[kind]) if depths else None,
        sides=dict(_find_sides(drawn, pixels)),
        top_entity=max(CLASSES, key=lambda name: top[name]),
        depth_order=depths,
        clear_difference=CLEARLY_NEARER_M,
        skyline_visible=_has_skyline(drawn),
    )


def _is_clear(street: Street, size: int) -> bool:
    """Whether every thing can be seen, and which one is closest."""
    things = street.things
    if len(things) > 1 and things[-2].depth_m - things[-1].depth_m < CLOSER_M:
        return False
    if not all(is_within(thing, size) for thing in things):
        return False
    for thing, seen in zip(things, count_pixels(things, size, street.horizon), strict=True):
        if seen < FEWEST_PIXELS or seen < SEEN_SHARE * count_pixels([thing], size, street.horizon)[0]:
            return False
    return True


def _count_classes(drawn: Drawn, box: tuple[int, int, int, int]) -> dict[PixelClass, int]:
    counts = drawn.classes.crop(box).histogram()
    return {name: counts[number] for number, name in enumerate(CLASSES)}


def _depth_range(drawn: Drawn) -> float:
    farthest = drawn.depths.getextrema()[1]
    is_sky = drawn.classes.point([255 if number == CLASSES.index("sky") else 0 for number in range(256)])
    filled = drawn.depths.copy()
    filled.paste(farthest, mask=is_sky)
    nearest = filled.getextrema()[0]
    assert isinstance(farthest, float)
    assert isinstance(nearest, float)
    return farthest - nearest


def _find_sides(drawn: Drawn, pixels: Mapping[PixelClass, int]) -> Iterator[tuple[str, SideLabel]]:
    size = drawn.classes.width
    left = _count_classes(drawn, (0, 0, size // 2, size))
    kinds: tuple[PixelClass, ...] = ("building", "car", "person")
    for kind in kinds:
        if pixels[kind] == 0:
            continue
        share = left[kind] / pixels[kind]
        if min(abs(share - LEFT_ABOVE), abs(share - RIGHT_BELOW)) < CLEAR_SHARE:
            continue
        yield kind, "left side" if share > LEFT_ABOVE else "right side" if share < RIGHT_BELOW else "even"


def _has_skyline(drawn: Drawn) -> bool:
    """Whether a building ends against the sky: in some column a pixel of the sky is right above one of a building."""
    size = drawn.classes.width
    pixels = drawn.classes.tobytes()
    sky, building = CLASSES.index("sky"), CLASSES.index("building")
    edges = sum(pixels[at] == sky and pixels[at + size] == building for at in range(size * (size - 1)))
    return edges >= size // 20

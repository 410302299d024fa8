"""The label rules of the subtypes: facts about a street view → questions with their answers. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vlures.benchmarks.urban.subtypes import read_wordings
from vlures.benchmarks.urban.synthesis.facts import ViewFacts

COMPLEX_RANGE, HIGH_RANGE = 20, 40
DOMINANT, SPARSE = 0.5, 0.2
FACTORS = ("greenery", "sky", "building")
EXCLUSION_CHOICES = ("tree", "car", "bench")
NEARER_PAIRS = (("car", "person"), ("tree", "person"), ("bench", "tree"), ("tree", "building"), ("car", "pedestrian"))
CLEARLY_NEARER_M = 1.5
"""By how much one thing must be nearer than another for a question about it, where depth is in metres."""
PEOPLE_ADDED, PEOPLE_ENOUGH = 2, 5

NOT_ASKED = "it is asked only where one answer is certain"
UNKNOWN_DIRECTION = "the metadata do not say whether depth is distance or inverse depth"

_CONSTANT_SHARES = {
    "negation.conjunction": ("greenery", "sky"),
    "negation.composite_conjunction_1": ("greenery", "building"),
    "negation.composite_conjunction_2": ("sky", "greenery"),
    "negation.composite_conjunction_3": ("building", "sky"),
    "counterfactual.absence_viewfactor": ("building",),
    "counterfactual.attribute_substitution": ("sky",),
}
"""Subtype with a constant answer → the view factors that decide whether it is asked."""


@dataclass(frozen=True, slots=True)
class Made:
    """A question with its answer, before it has words."""

    subtype: str
    answer: str
    slots: Mapping[str, str]
    source: Mapping[str, Any]
    """Field of the metadata → its value: what the answer follows from."""
    told: Mapping[str, str] = field(default_factory=dict)
    """What the reasons for the answer mention besides the slots, by the names in texts.toml."""


@dataclass(frozen=True, slots=True)
class NotMade:
    """A subtype that is not asked about an image, and why: the end of a sentence."""

    subtype: str
    reason: str


def make_questions(facts: ViewFacts) -> Iterator[Made | NotMade]:
    """All questions that the facts answer, those with a constant answer too."""
    yield from _about_objects(facts)
    yield from _about_shares(facts)
    yield from _about_depth_range(facts)
    yield find_closest(facts)
    yield from _about_depth_order(facts)
    yield from _about_layers(facts)
    yield from _about_layout(facts)
    yield from _about_several(facts)
    yield from _about_constants(facts)


def _about_objects(facts: ViewFacts) -> Iterator[Made | NotMade]:
    for name in facts.asked_objects:
        count = facts.counts[name]
        slots, source, told = {"object": name}, {f"objects.{name}": count}, {"count": str(count)}
        yield Made("presence.binary", _yes(count > 0), slots, source, told)
        yield Made("negation.absence", _yes(count == 0), slots, source, told)
        yield Made("count", str(count), slots, source, told)
    if not facts.asked_objects:
        for subtype in ("presence.binary", "negation.absence", "count"):
            yield NotMade(subtype, "the metadata have no objects")
    yield from _exclusion(facts)


def _exclusion(facts: ViewFacts) -> Iterator[Made | NotMade]:
    """The first of several that is absent: known only where it is known of all."""
    subtype = "negation.exclusion_choice"
    if unknown := [name for name in EXCLUSION_CHOICES if name not in facts.counts]:
        yield NotMade(subtype, f"{unknown[0]} is no object that the metadata would name")
        return
    source = {f"objects.{name}": facts.counts[name] for name in EXCLUSION_CHOICES}
    absent = [name for name in EXCLUSION_CHOICES if facts.counts[name] == 0]
    yield Made(subtype, absent[0], {}, source) if absent else NotMade(subtype, "none of the choices is absent")


def _about_shares(facts: ViewFacts) -> Iterator[Made | NotMade]:
    for name in FACTORS:
        value = facts.factors.get(name)
        if value is None:
            for subtype in ("viewfactor.scalar", "viewfactor.dominance", "viewfactor.sparsity"):
                yield NotMade(subtype, f"the metadata have no view_factors.{name}")
            continue
        slots, source, told = {"factor": name}, {f"view_factors.{name}": value}, {"share": _percent(value)}
        yield Made("viewfactor.scalar", f"{value:.2f}", slots, source, told)
        yield Made("viewfactor.dominance", _yes(value > DOMINANT), slots, source, told)
        yield Made("viewfactor.sparsity", _yes(value <= SPARSE), slots, source, told)


def _about_depth_range(facts: ViewFacts) -> Iterator[Made | NotMade]:
    value = facts.depth_range
    if value is None:
        for subtype in ("depth.range", "depth.variation", "depth.range.label"):
            yield NotMade(subtype, "the metadata have no depth_stats.range")
        return
    source = {"depth_stats.range": value}
    is_complex = value > COMPLEX_RANGE
    yield Made("depth.range", "Complex" if is_complex else "Simple", {}, source)
    yield Made("depth.variation", _yes(is_complex), {}, source)
    yield Made("depth.range.label", "high" if value > HIGH_RANGE else "moderate" if is_complex else "low", {}, source)


def find_closest(facts: ViewFacts) -> Made | NotMade:
    """The object closest to the camera. The smallest inverse depth is the farthest: there only a depth_order with all
    objects tells."""
    subtype, closest = "depth.closest_object", facts.closest_object
    if closest is None and not facts.depth_order:
        return NotMade(subtype, "the metadata have no depth_stats.closest_object")
    if facts.depth_kind is None:
        return NotMade(subtype, UNKNOWN_DIRECTION)
    if facts.depth_kind == "distance" and closest is not None:
        own = facts.depth_order.get(closest)
        if own is not None and own > min(facts.depth_order.values()):
            return NotMade(subtype, "depth_order and depth_stats.closest_object disagree")
        return Made(subtype, closest, {}, {"depth.kind": "distance", "depth_stats.closest_object": closest})
    visible = {name for name, count in facts.counts.items() if count}
    if not visible or not visible <= facts.depth_order.keys():
        farthest = ", and depth_stats.closest_object is the farthest one in inverse depth"
        return NotMade(subtype, f"depth_order does not have all objects{farthest if closest is not None else ''}")
    nearest = _find_nearest(facts)
    if nearest is None:
        return NotMade(subtype, "two objects are equally close")
    source = {"depth.kind": facts.depth_kind, f"depth_order.{nearest}": facts.depth_order[nearest]}
    return Made(subtype, nearest, {}, source)


def _find_nearest(facts: ViewFacts) -> str | None:
    """The nearest object of a depth order that has some; None if two are equally near."""
    choose = min if facts.depth_kind == "distance" else max
    depth = choose(facts.depth_order.values())
    nearest = [name for name, value in facts.depth_order.items() if value == depth]
    return nearest[0] if len(nearest) == 1 else None


def _about_depth_order(facts: ViewFacts) -> Iterator[Made | NotMade]:
    pairs = [pair for pair in NEARER_PAIRS if facts.depth_order.keys() >= set(pair)]
    reason = UNKNOWN_DIRECTION if facts.depth_kind is None else ""
    if not pairs:
        reason = "depth_order has no two objects that are compared"
    if reason:
        yield NotMade("spatial.relation", reason)
        yield NotMade("negation.spatial_refute", reason)
        return
    for first, second in pairs:
        one, other = facts.depth_order[first], facts.depth_order[second]
        if one == other or abs(one - other) < facts.clear_difference:
            yield NotMade("spatial.relation", "the two are about equally far away")
            yield NotMade("negation.spatial_refute", "the two are about equally far away")
            continue
        is_nearer = one < other if facts.depth_kind == "distance" else one > other
        slots = {"object1": first, "object2": second}
        source = {"depth.kind": facts.depth_kind, f"depth_order.{first}": one, f"depth_order.{second}": other}
        yield Made("spatial.relation", _yes(is_nearer), slots, source)
        yield Made("negation.spatial_refute", _yes(not is_nearer), slots, source)


def _about_layers(facts: ViewFacts) -> Iterator[Made | NotMade]:
    """About front and back, and what hides what."""
    for layer, flags in (("foreground", facts.foreground), ("background", facts.background)):
        for name, is_there in flags.items():
            source = {f"depth_per_class.{name}_{layer}": is_there}
            yield Made(f"depth.{layer}_presence", _yes(is_there), {"object": name}, source)
        if not flags:
            yield NotMade(f"depth.{layer}_presence", f"the metadata have no depth_per_class.…_{layer}")
    for (first, second), is_hidden in facts.occlusions.items():
        slots = {"object1": first, "object2": second}
        yield Made("occlusion.binary", _yes(is_hidden), slots, {f"occlusion_pairs.{first},{second}": is_hidden})
    if not facts.occlusions:
        yield NotMade("occlusion.binary", "the metadata have no occlusion_pairs")
    yield _average_depth(facts)


def _average_depth(facts: ViewFacts) -> Made | NotMade:
    subtype, value = "depth.average_per_object", facts.building_depth
    if value is None:
        return NotMade(subtype, "the metadata have no depth_per_class.building")
    if facts.depth_kind != "distance":
        reason = UNKNOWN_DIRECTION if facts.depth_kind is None else "inverse depth is no distance"
        return NotMade(subtype, reason)
    source = {"depth.kind": "distance", "depth_per_class.building": value}
    return Made(subtype, f"{value:.2f}", {"object": "building"}, source)


def _about_layout(facts: ViewFacts) -> Iterator[Made | NotMade]:
    for name, side in facts.sides.items():
        slots = {"object": name}
        source: dict[str, Any] = {f"spatial_distribution.{name}": side}
        yield Made("spatial.distribution", _yes(side == "left side"), slots, source)
        yield Made("spatial.distribution.label", side, slots, source)
    if not facts.sides:
        yield NotMade("spatial.distribution", "the metadata have no spatial_distribution")
        yield NotMade("spatial.distribution.label", "the metadata have no spatial_distribution")
    yield _top_is_sky(facts)
    subtype = "segmentation.vertical_layout.entity"
    if facts.top_entity is None:
        yield NotMade(subtype, "the metadata have no vertical_layout.top_entity")
    else:
        yield Made(subtype, facts.top_entity, {}, {"vertical_layout.top_entity": facts.top_entity})
    subtype = "scene.skyline_visibility"
    if facts.skyline_visible is None:
        yield NotMade(subtype, "the metadata have no vertical_layout.skyline_clear")
    else:
        source = {"vertical_layout.skyline_clear": facts.skyline_visible}
        yield Made(subtype, _yes(facts.skyline_visible), {}, source)


def _top_is_sky(facts: ViewFacts) -> Made | NotMade:
    subtype = "segmentation.vertical_layout"
    if facts.top_entity is None and facts.top_is_sky is None:
        return NotMade(subtype, "the metadata have neither vertical_layout.top_entity nor vertical_layout.top_sky")
    if facts.top_entity is None:
        return Made(subtype, _yes(facts.top_is_sky is True), {}, {"vertical_layout.top_sky": facts.top_is_sky})
    is_sky = facts.top_entity == "sky"
    if facts.top_is_sky not in (None, is_sky):
        return NotMade(subtype, "vertical_layout.top_entity and vertical_layout.top_sky disagree")
    return Made(subtype, _yes(is_sky), {}, {"vertical_layout.top_entity": facts.top_entity})


def _about_several(facts: ViewFacts) -> Iterator[Made | NotMade]:
    cars, people = facts.counts.get("car"), facts.counts.get("person")
    if cars is None or people is None:
        missing = "car" if cars is None else "person"
        for subtype in ("object.cooccurrence", "multi_hop.count_compare", "multi_hop.which_is_more"):
            yield NotMade(subtype, f"{missing} is no object that the metadata would name")
    else:
        source, told = {"objects.car": cars, "objects.person": people}, {"cars": str(cars), "people": str(people)}
        yield Made("object.cooccurrence", _yes(cars > 0 and people > 0), {}, source, told)
        yield Made("multi_hop.count_compare", _yes(people > cars), {}, source, told)
        yield Made("multi_hop.which_is_more", "people" if people > cars else "cars", {}, source, told)
    subtype = "counterfactual.count_perturbation"
    if people is None:
        yield NotMade(subtype, "person is no object that the metadata would name")
        return
    told = {"people": str(people), "sum": str(people + PEOPLE_ADDED)}
    yield Made(subtype, _yes(people + PEOPLE_ADDED >= PEOPLE_ENOUGH), {}, {"objects.person": people}, told)


def _about_constants(facts: ViewFacts) -> Iterator[Made | NotMade]:
    """Those that are asked only where one answer is right."""
    greenery, sky, building = (facts.factors.get(name) for name in FACTORS)
    if greenery is None or sky is None or building is None:
        for subtype in _CONSTANT_SHARES:
            yield NotMade(subtype, "the metadata do not have all view_factors")
    else:
        shares = {"greenery": greenery, "sky": sky, "building": building}
        asked = {
            "negation.conjunction": greenery < 0.2 or sky < 0.2,
            "negation.composite_conjunction_1": greenery >= 0.4 and building >= 0.4,
            "negation.composite_conjunction_2": sky >= 0.5 and greenery <= 0.3,
            "negation.composite_conjunction_3": building <= 0.3 and sky <= 0.3,
            "counterfactual.absence_viewfactor": building > 0.3,
            "counterfactual.attribute_substitution": sky > 0.4,
        }
        told = {name: _percent(share) for name, share in shares.items()}
        for subtype, is_asked in asked.items():
            if not is_asked:
                yield NotMade(subtype, NOT_ASKED)
                continue
            source = {f"view_factors.{name}": shares[name] for name in _CONSTANT_SHARES[subtype]}
            yield Made(subtype, _constant(subtype), {}, source, told)
    yield _occlusion_movement(facts)


def _occlusion_movement(facts: ViewFacts) -> Made | NotMade:
    subtype = "counterfactual.occlusion_movement"
    people = next((name for name in ("person", "pedestrian") if facts.counts.get(name)), None)
    if people is None or not facts.counts.get("bus"):
        return NotMade(subtype, NOT_ASKED)
    source = {f"objects.{name}": facts.counts[name] for name in ("bus", people)}
    return Made(subtype, _constant(subtype), {}, source)


def _constant(subtype: str) -> str:
    return read_wordings().subtypes[subtype].constant


def _yes(is_so: bool) -> str:
    return "Yes" if is_so else "No"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share == round(share, 2) else f"{share:.1%}"

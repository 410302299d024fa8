"""Question-answer pairs from what is known about a street view, by the label rules of the subtypes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vlures.benchmarks.urban.prompts import fill
from vlures.benchmarks.urban.subtypes import read_wordings

SideLabel = Literal["left side", "right side", "even"]

COMPLEX_RANGE, HIGH_RANGE = 20, 40
DOMINANT, SPARSE = 0.5, 0.2
FACTORS = ("greenery", "sky", "building")
EXCLUSION_CHOICES = ("tree", "car", "bench")
NEARER_PAIRS = (("car", "person"), ("tree", "person"), ("bench", "tree"))
CLEARLY_NEARER_M = 1.5
"""By how much one thing must be nearer than another for a question about it."""
PEOPLE_ADDED, PEOPLE_ENOUGH = 2, 5
BASIC = ("presence", "count", "viewfactor", "depth", "spatial", "segmentation", "scene", "object", "occlusion")
"""Begin the subtypes whose qtype is perceptual; the others' is reasoning."""


@dataclass(frozen=True, slots=True)
class ViewFacts:
    """What is known about a street view."""

    image_id: str
    counts: Mapping[str, int]
    """Object → how many are visible; 0 for one that is known to be absent."""
    factors: Mapping[str, float]
    """greenery, sky and building → share of the image."""
    depth_range: float
    """Between the nearest and the farthest pixel that is not sky."""
    closest_object: str | None
    sides: Mapping[str, SideLabel]
    top_entity: str
    """The commonest class in the top fifth of the rows."""
    depth_order: Mapping[str, float]
    """Object → distance of its nearest one."""
    skyline_visible: bool


@dataclass(frozen=True, slots=True)
class Made:
    """A question with its answer."""

    subtype: str
    answer: str
    slots: Mapping[str, str]


def make_rows(facts: ViewFacts) -> Iterator[dict[str, Any]]:
    """Rows of a QA file. The question is the wording of its subtype."""
    for made in make_questions(facts):
        subtype = read_wordings().subtypes[made.subtype]
        yield {
            "image_id": facts.image_id,
            "question": fill(subtype.wording, made.slots),
            "answer": made.answer,
            "qtype": "perceptual" if made.subtype.startswith(BASIC) else "reasoning",
            "subtype": made.subtype,
            **made.slots,
        }


def make_questions(facts: ViewFacts) -> Iterator[Made]:
    """All questions that the facts answer. Those whose answer would always be the same are not asked."""
    yield from _about_objects(facts)
    yield from _about_shares(facts)
    yield from _about_depth(facts)
    yield from _about_layout(facts)
    yield from _about_several(facts)


def _about_objects(facts: ViewFacts) -> Iterator[Made]:
    for name, count in facts.counts.items():
        yield Made("presence.binary", _yes(count > 0), {"object": name})
        yield Made("negation.absence", _yes(count == 0), {"object": name})
        yield Made("count", str(count), {"object": name})
    absent = [name for name in EXCLUSION_CHOICES if facts.counts.get(name) == 0]
    if absent:
        yield Made("negation.exclusion_choice", absent[0], {})


def _about_shares(facts: ViewFacts) -> Iterator[Made]:
    for name in FACTORS:
        value, slots = facts.factors[name], {"factor": name}
        yield Made("viewfactor.scalar", f"{value:.2f}", slots)
        yield Made("viewfactor.dominance", _yes(value > DOMINANT), slots)
        yield Made("viewfactor.sparsity", _yes(value <= SPARSE), slots)


def _about_depth(facts: ViewFacts) -> Iterator[Made]:
    is_complex = facts.depth_range > COMPLEX_RANGE
    yield Made("depth.range", "Complex" if is_complex else "Simple", {})
    yield Made("depth.variation", _yes(is_complex), {})
    level = "high" if facts.depth_range > HIGH_RANGE else "moderate" if is_complex else "low"
    yield Made("depth.range.label", level, {})
    if facts.closest_object is not None:
        yield Made("depth.closest_object", facts.closest_object, {})
    for first, second in NEARER_PAIRS:
        near, far = facts.depth_order.get(first), facts.depth_order.get(second)
        if near is not None and far is not None and abs(near - far) >= CLEARLY_NEARER_M:
            slots = {"object1": first, "object2": second}
            yield Made("spatial.relation", _yes(near < far), slots)
            yield Made("negation.spatial_refute", _yes(near >= far), slots)


def _about_layout(facts: ViewFacts) -> Iterator[Made]:
    for name, side in facts.sides.items():
        yield Made("spatial.distribution", _yes(side == "left side"), {"object": name})
        yield Made("spatial.distribution.label", side, {"object": name})
    yield Made("segmentation.vertical_layout", _yes(facts.top_entity == "sky"), {})
    yield Made("segmentation.vertical_layout.entity", facts.top_entity, {})
    yield Made("scene.skyline_visibility", _yes(facts.skyline_visible), {})


def _about_several(facts: ViewFacts) -> Iterator[Made]:
    cars, people = facts.counts["car"], facts.counts["person"]
    yield Made("object.cooccurrence", _yes(cars > 0 and people > 0), {})
    yield Made("multi_hop.count_compare", _yes(people > cars), {})
    yield Made("multi_hop.which_is_more", "people" if people > cars else "cars", {})
    yield Made("counterfactual.count_perturbation", _yes(people + PEOPLE_ADDED >= PEOPLE_ENOUGH), {})


def _yes(is_so: bool) -> str:
    return "Yes" if is_so else "No"

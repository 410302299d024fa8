"""Whether a judge uses the image: what happens to its scores when the answer's image is replaced or left out.

For an answer i with the overall score x_i, and y_i where the image was another one or none, the index is the mean of
the drops d_i = x_i - y_i, in points. Several answers about one image are not independent, so its standard error is that
of a mean over clusters of unequal size (Cochran, Sampling Techniques, 3rd ed., 1977, section 9A.2), and Student's t has
C - 1 degrees of freedom for C images.

The rule. A judge is *blind* if the index is below MEANINGFUL_DROP, and either nothing shows that it is above 0 (its
lower one-sided 99 % bound is not) or its upper one shows that it is below MEANINGFUL_DROP. It *sees* if the index is at
least that large and its lower bound above 0. Otherwise there are too few to tell; so there are with fewer than
FEWEST_PAIRS scores or FEWEST_IMAGES images, and where the answers' own scores are so low that nothing could drop.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from vlures.judge.verdicts import Verdict, about
from vlures.metrics.distributions import t_quantile

MEANINGFUL_DROP = 10.0
"""Points of 100. Noise between two judgements of one answer is smaller."""
FEWEST_PAIRS = 4
FEWEST_IMAGES = 3
LOWEST_MEAN = 25.0
"""Of the answers' own scores, below which an unused image cannot be told from a worthless answer."""
CONFIDENCE = 0.99
"""Of each one-sided bound."""

Finding = Literal["sees", "blind", "too few to tell"]
IMAGE_CONTROLS = ("wrong image", "no image")


@dataclass(frozen=True, slots=True)
class Drop:
    """An answer's score, and what was left of it without its image."""

    score: int
    without: int
    image_digest: str


@dataclass(frozen=True, slots=True)
class ImageUse:
    """What the controls with another image, or none, have shown."""

    finding: Finding
    pairs: int
    images: int
    index: float | None
    """Mean drop in points; None without pairs."""
    low: float | None
    """Lower bound of the index, one-sided; None where it cannot be told."""
    high: float | None


def pair_drops(verdicts: Iterable[Verdict]) -> list[Drop]:
    """The drops of one judge's verdicts: both scores must be there."""
    scores: dict[tuple[str, str, str, str], int] = {}
    controls: list[Verdict] = []
    for verdict in verdicts:
        if verdict.overall is None:
            continue
        if verdict.control is None:
            scores[about(verdict)] = verdict.overall
        elif verdict.control in IMAGE_CONTROLS:
            controls.append(verdict)
    return [
        Drop(scores[about(control)], control.overall, control.image_digest)
        for control in controls
        if control.overall is not None and about(control) in scores
    ]


def find_image_use(drops: Sequence[Drop]) -> ImageUse:
    """Whether the judge that gave these scores uses the image."""
    pairs, images = len(drops), len({drop.image_digest for drop in drops})
    if not drops:
        return ImageUse("too few to tell", 0, 0, None, None, None)
    index = math.fsum(drop.score - drop.without for drop in drops) / pairs
    if images < 2:
        return ImageUse("too few to tell", pairs, images, index, None, None)
    spread = t_quantile(CONFIDENCE, images - 1) * _standard_error(drops, index)
    low, high = index - spread, index + spread
    return ImageUse(_find(drops, images, index, low, high), pairs, images, index, low, high)


def _find(drops: Sequence[Drop], images: int, index: float, low: float, high: float) -> Finding:
    mean = math.fsum(drop.score for drop in drops) / len(drops)
    if len(drops) < FEWEST_PAIRS or images < FEWEST_IMAGES or mean < LOWEST_MEAN:
        return "too few to tell"
    if index >= MEANINGFUL_DROP:
        return "sees" if low > 0 else "too few to tell"
    return "blind" if low <= 0 or high < MEANINGFUL_DROP else "too few to tell"


def _standard_error(drops: Sequence[Drop], mean: float) -> float:
    """Of a mean over clusters: C / (C - 1) · Σ (y_c - m_c · mean)² / n² is its square."""
    sums: dict[str, float] = defaultdict(float)
    for drop in drops:
        sums[drop.image_digest] += drop.score - drop.without - mean
    clusters = len(sums)
    return math.sqrt(clusters / (clusters - 1) * math.fsum(value**2 for value in sums.values())) / len(drops)

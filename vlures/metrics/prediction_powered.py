"""A judge's mean, corrected by the people who rated some of the same answers. Numbers need numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vlures.metrics.clusters import LEVEL, Codes, Estimate, Numbers, sums_of
from vlures.metrics.distributions import t_quantile


@dataclass(frozen=True, slots=True)
class Corrected:
    """What the mean of people's ratings of all answers would be, and what that is made of."""

    value: float
    shares: Numbers
    """Of its deviation, by cluster, as vlures.metrics.clusters has them; corrected for few rated clusters."""
    rated: frozenset[int]
    """Clusters in which people rated an answer."""
    count: int
    """Answers that it stands on, rated by people or not."""
    weight: float
    """How far the judge is trusted: 0 leaves the people alone."""

    @property
    def estimate(self) -> Estimate:
        """This mean by itself."""
        return combine_corrected([(1, self)])


def corrected_mean(
    people: Numbers,
    judged: Numbers,
    clusters: Codes,
    judged_only: Numbers,
    clusters_only: Codes,
    probabilities: Numbers | None = None,
) -> Corrected | None:
    """The mean of people's ratings over all answers, from a random sample that people and judge have both rated and the
    judge's scores of all others. None with fewer than two rated answers.

    people, judged: of the sample. judged_only: of the answers outside it. clusters, clusters_only: images, the same
    numbers in both. probabilities: with which each answer of the sample was drawn; None where they are equal.

    θ = λ·J̄ + mean(H - λJ), where J̄ is over the answers outside the sample and the second mean over it, and
    λ = cov(H, J) / (var(J)·(1 + n/N)), var(J) over all answers (Angelopoulos, Duchi and Zrnic, PPI++, 2023, https://arxiv.org/abs/2311.01453,
    example 6.1). λ is not held below 1: a judge whose scores are pressed together needs more. Answers drawn with
    unequal probabilities weigh their inverse.
    """
    if len(people) < 2:
        return None
    weights = np.full(len(people), 1 / len(people))
    if probabilities is not None:
        weights = 1 / probabilities / (1 / probabilities).sum()
    trust = _find_weight(people, judged, judged_only, weights)
    rest = people - trust * judged
    value = float(weights @ rest) + (trust * float(judged_only.mean()) if len(judged_only) else 0.0)
    count = int(max(clusters.max(), clusters_only.max() if len(clusters_only) else 0)) + 1
    shares = sums_of(weights * (rest - float(weights @ rest)), clusters, count)
    if len(judged_only):
        off = trust * (judged_only - judged_only.mean()) / len(judged_only)
        shares += sums_of(off, clusters_only, count)
    rated = frozenset(clusters.tolist())
    few = math.sqrt(len(rated) / (len(rated) - 1)) if len(rated) > 1 else 1.0
    return Corrected(value, few * shares, rated, len(people) + len(judged_only), trust)


def combine_corrected(parts: Sequence[tuple[float, Corrected]], level: float = LEVEL) -> Estimate:
    """A sum of corrected means, each times its weight: one mean (1), a macro mean (1/K each), a difference (1 and -1).

    The variance is over clusters, which are the same ones in all parts: an image that occurs in two counts once.
    Student's t has degrees of freedom by Satterthwaite (An approximate distribution of estimates of variance
    components, Biometrics Bulletin 2, 1946, 110-114), where each part has as many as it has rated clusters less 1, and
    no more than all rated clusters less 1. Raises ValueError without parts.
    """
    if not parts:
        raise ValueError("there must be parts")
    shares = np.zeros(max(len(part.shares) for _, part in parts))
    for weight, part in parts:
        shares[: len(part.shares)] += weight * part.shares
    value = sum(weight * part.value for weight, part in parts)
    count, rated = sum(part.count for _, part in parts), frozenset[int]().union(*(part.rated for _, part in parts))
    squares = float(shares @ shares)
    if squares <= 1e-24 or any(len(part.rated) < 2 for _, part in parts):
        return Estimate(value, None, None, count, len(rated), None, 0)
    of_parts = np.array([weight**2 * float(part.shares @ part.shares) for weight, part in parts])
    own = np.array([len(part.rated) - 1 for _, part in parts])
    degrees = min(float(of_parts.sum() ** 2 / (of_parts**2 / own).sum()), len(rated) - 1)
    error = math.sqrt(squares)
    spread = t_quantile((1 + level) / 2, degrees) * error
    return Estimate(value, value - spread, value + spread, count, len(rated), error, degrees)


def _find_weight(people: Numbers, judged: Numbers, judged_only: Numbers, weights: Numbers) -> float:
    if len(judged_only) == 0:
        return 0.0
    variance = float(np.concatenate([judged, judged_only]).var(ddof=1))
    if variance < 1e-12:
        return 0.0
    covariance = float(weights @ ((judged - float(weights @ judged)) * (people - float(weights @ people))))
    return covariance / variance / (1 + len(people) / len(judged_only))

"""A judge's mean, corrected by the people who rated some of the same answers. Numbers need numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vlures.metrics.clusters import LEVEL, Codes, Estimate, Numbers, sums_of
from vlures.metrics.distributions import t_quantile


@dataclass(frozen=True, slots=True)
class Corrected:
    """What the mean of people's ratings of all answers would be."""

    estimate: Estimate
    weight: float
    """How far the judge is trusted: 0 leaves the people alone."""


def corrected_mean(
    people: Numbers,
    judged: Numbers,
    clusters: Codes,
    judged_only: Numbers,
    clusters_only: Codes,
    probabilities: Numbers | None = None,
    level: float = LEVEL,
) -> Corrected | None:
    """The mean of people's ratings over all answers, from a random sample that people and judge have both rated and the
    judge's scores of all others. None with fewer than two rated answers.

    people, judged: of the sample. judged_only: of the answers outside it. clusters, clusters_only: images, the same
    numbers in both. probabilities: with which each answer of the sample was drawn; None where they are equal.

    θ = λ·J̄ + mean(H - λJ), where J̄ is over the answers outside the sample and the second mean over it, and
    λ = cov(H, J) / (var(J)·(1 + n/N)), var(J) over all answers (Angelopoulos, Duchi and Zrnic, PPI++, 2023, https://arxiv.org/abs/2311.01453,
    example 6.1). λ is not held below 1: a judge whose scores are pressed together needs more. Answers drawn with
    unequal probabilities weigh their inverse. The variance is over clusters, with Student's t and as many degrees of
    freedom as the sample has clusters less 1.
    """
    found = len(np.unique(clusters))
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
    squares = float(shares @ shares)
    rated = len(people) + len(judged_only)
    if found < 2 or squares <= 1e-24:
        return Corrected(Estimate(value, None, None, rated, found, None, 0), trust)
    error = math.sqrt(found / (found - 1) * squares)
    spread = t_quantile((1 + level) / 2, found - 1) * error
    return Corrected(Estimate(value, value - spread, value + spread, rated, found, error, found - 1), trust)


def _find_weight(people: Numbers, judged: Numbers, judged_only: Numbers, weights: Numbers) -> float:
    if len(judged_only) == 0:
        return 0.0
    variance = float(np.concatenate([judged, judged_only]).var(ddof=1))
    if variance < 1e-12:
        return 0.0
    covariance = float(weights @ ((judged - float(weights @ judged)) * (people - float(weights @ people))))
    return covariance / variance / (1 + len(people) / len(judged_only))

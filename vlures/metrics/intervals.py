"""95 % intervals of means over questions that come in clusters: several about one image are not independent.

For answers that are right or wrong, without numpy; vlures.metrics.clusters is for scores.

Both rest on the variance of a ratio over clusters of unequal size: with C clusters, m_c questions and a sum of y_c in
cluster c, and the mean r = Σy_c / Σm_c,

    var(r) = C / (C - 1) · Σ (y_c - r·m_c)² / (Σm_c)²

(Cochran, Sampling Techniques, 3rd ed., 1977, section 9A.2; for evaluations of language models: Miller, Adding Error
Bars to Evals, 2024, section 2.2, https://arxiv.org/abs/2411.00640).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence

from vlures.metrics.distributions import t_quantile

LEVEL = 0.95


def proportion_interval(hits: Sequence[bool], clusters: Sequence[Hashable]) -> tuple[float, float] | None:
    """Bounds of the share of hits, from 0 to 1. clusters: the image of each question. None with fewer than two images.

    Wilson's score interval with the effective sample size n* = p(1 - p) / var(p), at most n, and Student's t with C - 1
    degrees of freedom. Where all or none are hits, the variance says nothing, and n* is the number of clusters: the
    most cautious reading, as if the questions about an image were one. Sources: Wilson (1927), Probable inference, the
    law of succession, and statistical inference, JASA 22, 209-212; Dean and Pagano (2015), Evaluating confidence
    interval methods for binomial proportions in clustered surveys, J. Surv. Stat. Methodol. 3, 484-503.
    """
    sums = _sum_up([float(hit) for hit in hits], clusters)
    if len(sums) < 2:
        return None
    count = len(hits)
    share = sum(map(bool, hits)) / count
    variance = _variance(sums)
    effective = float(len(sums)) if share in (0, 1) else count
    if variance > 0:
        effective = min(effective, share * (1 - share) / variance)
    quantile = _quantile(len(sums) - 1)
    square = quantile**2
    middle = (share + square / (2 * effective)) / (1 + square / effective)
    spread = (
        quantile * math.sqrt(share * (1 - share) / effective + square / (4 * effective**2)) / (1 + square / effective)
    )
    return max(0.0, middle - spread), min(1.0, middle + spread)


def mean_interval(values: Sequence[float], clusters: Sequence[Hashable]) -> tuple[float, float] | None:
    """Bounds of a mean, by Student's t with C - 1 degrees of freedom. None with fewer than two clusters, and where the
    clusters' means are all the same: that says nothing of how sure the mean is, least of all that it is certain."""
    sums = _sum_up(values, clusters)
    if len(sums) < 2 or _are_equal([value / size for value, size in sums]):
        return None
    mean = math.fsum(values) / len(values)
    spread = _quantile(len(sums) - 1) * math.sqrt(_variance(sums))
    return mean - spread, mean + spread


def _are_equal(numbers: Sequence[float]) -> bool:
    return all(math.isclose(number, numbers[0], rel_tol=1e-9, abs_tol=1e-12) for number in numbers)


def _sum_up(values: Sequence[float], clusters: Sequence[Hashable]) -> list[tuple[float, int]]:
    """Of each cluster: the sum of its values, and how many they are."""
    if len(values) != len(clusters):
        raise ValueError("each value needs its cluster")
    found: dict[Hashable, list[float]] = defaultdict(list)
    for value, cluster in zip(values, clusters, strict=True):
        found[cluster].append(value)
    return [(math.fsum(members), len(members)) for members in found.values()]


def _variance(sums: Sequence[tuple[float, int]]) -> float:
    """var(r) of the module's docstring."""
    total = sum(size for _, size in sums)
    mean = math.fsum(value for value, _ in sums) / total
    squares = math.fsum((value - mean * size) ** 2 for value, size in sums)
    return len(sums) / (len(sums) - 1) * squares / total**2


def _quantile(degrees: int) -> float:
    return t_quantile((1 + LEVEL) / 2, degrees)

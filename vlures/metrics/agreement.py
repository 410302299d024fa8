"""How far raters agree on the scores themselves, corrected for chance. Numbers need numpy.

All intervals resample clusters (images), not scores. A low agreement has two causes: raters that differ, and answers
that do not; so it is read beside the scores' standard deviation and the raters' mean absolute difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from vlures.metrics.clusters import LEVEL, Codes, Estimate, Numbers, clustered_mean

RESAMPLES = 2_000
_PIECE = 5_000_000
"""Draws held in memory at a time."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient, at most 1, with its interval."""

    value: float
    low: float | None
    """None, like high, with fewer than two clusters."""
    high: float | None


def krippendorff_alpha(
    units: Codes,
    values: Numbers,
    clusters: Codes | None = None,
    *,
    scale: Literal["interval", "ordinal"] = "interval",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Agreement | None:
    """Krippendorff's alpha over any number of raters; a rating that is missing is left out of the lists.

    units: the sample that each rating is of. clusters: its image; without them there is no interval. None where no
    sample has two ratings, or where all ratings are the same.

    In closed form, without a table of coincidences: with n_u ratings of unit u, their sum S_u and sum of squares Q_u,
    D_o = Σ_u 2(n_u·Q_u - S_u²)/(n_u - 1)/n, D_e = 2(n·Q - S²)/(n(n - 1)), alpha = 1 - D_o/D_e (Krippendorff, Computing
    Krippendorff's Alpha-Reliability, 2011, for the metric of intervals). Ordinal is the same on cumulative midpoints:
    the number of ratings below a value and half of those at it.
    """
    counts = np.bincount(units)
    kept = counts[units] > 1
    units, values = units[kept], values[kept]
    if len(units) == 0:
        return None
    scores = values if scale == "interval" else _midpoints(values)
    scores = scores - scores.mean()  # squares of large numbers would lose digits
    sums = np.bincount(units, weights=scores)
    squares = np.bincount(units, weights=scores**2)
    used = np.flatnonzero(counts > 1)
    parts = 2 * (counts[used] * squares[used] - sums[used] ** 2) / (counts[used] - 1)
    table = np.column_stack([counts[used], sums[used], squares[used], parts])
    value = float(_alpha(table.sum(axis=0)[None])[0])
    if math.isnan(value):
        return None
    if clusters is None:
        return Agreement(value, None, None)
    of_unit = np.zeros(len(counts), dtype=np.intp)
    of_unit[units] = clusters[kept]
    return _with_interval(table, of_unit[used], _alpha, resamples, seed)


def _alpha(sums: Numbers) -> Numbers:
    """sums: rows of n, S, Q and n·D_o."""
    n, total, squares, observed = sums.T
    expected = 2 * (n * squares - total**2) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(expected > 1e-12 * n, 1 - observed / expected, np.nan)


def _midpoints(values: Numbers) -> Numbers:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: Numbers = np.cumsum(counts) - counts / 2
    return middles[place]


def quadratic_kappa(
    first: Numbers, second: Numbers, clusters: Codes | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Agreement | None:
    """Cohen's kappa with quadratic weights, which is Lin's concordance correlation coefficient:
    1 - mean((a - b)²) / (var(a) + var(b) + (ā - b̄)²), with the variances of all, not of a sample.

    Sources: Cohen (1968), Weighted kappa, Psychol. Bull. 70, 213-220; Lin (1989), Biometrics 45, 255-268. None without
    ratings, or where all are the same.
    """
    if len(first) == 0:
        return None
    middle = (first.mean() + second.mean()) / 2
    a, b = first - middle, second - middle
    table = np.column_stack([np.ones(len(a)), a, b, a * a, b * b, a * b])
    value = float(_kappa(table.sum(axis=0)[None])[0])
    if math.isnan(value):
        return None
    return (
        Agreement(value, None, None) if clusters is None else _with_interval(table, clusters, _kappa, resamples, seed)
    )


def _kappa(sums: Numbers) -> Numbers:
    n, a, b, aa, bb, ab = sums.T
    apart = (aa + bb - 2 * ab) / n
    by_chance = aa / n - (a / n) ** 2 + bb / n - (b / n) ** 2 + ((a - b) / n) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(by_chance > 1e-12, 1 - apart / by_chance, np.nan)


def _with_interval(
    table: Numbers, clusters: Codes, coefficient: Callable[[Numbers], Numbers], resamples: int, seed: int
) -> Agreement:
    """The coefficient of the table's sums, with a percentile interval: clusters are drawn with replacement, and their
    sums add up."""
    _, place = np.unique(clusters, return_inverse=True)
    found = int(place.max()) + 1
    sums = np.column_stack([np.bincount(place, weights=column) for column in table.T])
    value = float(coefficient(sums.sum(axis=0)[None])[0])
    if found < 2:
        return Agreement(value, None, None)
    chance = np.random.default_rng(seed)
    rows = max(1, _PIECE // found)
    drawn = []
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        picks = chance.integers(found, size=(count, found)) + np.arange(count)[:, None] * found
        weights = np.bincount(picks.ravel(), minlength=count * found).reshape(count, found)
        drawn.append(coefficient(weights.astype(np.float64) @ sums))
    coefficients = np.concatenate(drawn)
    coefficients = coefficients[~np.isnan(coefficients)]
    if len(coefficients) < resamples / 2:
        return Agreement(value, None, None)
    low, high = np.quantile(coefficients, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Agreement(value, float(low), float(high))


@dataclass(frozen=True, slots=True)
class BlandAltman:
    """How two raters differ, the first less the second, in the unit of their scores."""

    bias: Estimate
    """The mean difference, with its interval over clusters."""
    spread: float
    """Standard deviation of the differences."""
    low: float
    """Limits of agreement: 95 % of differences lie between them, if they are normal."""
    high: float
    slope: float | None
    """Of the difference on the mean of both: above 0, the first rater spreads scores wider. None where the means are
    all the same."""
    mean_absolute: float


def bland_altman(first: Numbers, second: Numbers, clusters: Codes) -> BlandAltman | None:
    """Bland and Altman (1986), Statistical methods for assessing agreement, Lancet 327, 307-310; the slope: the same
    (1999), Stat. Methods Med. Res. 8, 135-160, section 3.2. None with fewer than two ratings."""
    if len(first) < 2:
        return None
    differences, means = first - second, (first + second) / 2
    spread = float(differences.std(ddof=1))
    bias = clustered_mean(differences, clusters, skewed=False)
    off = means - means.mean()
    square = float(off @ off)
    slope = float(off @ differences) / square if square > 1e-12 * len(first) else None
    limits = bias.value - 1.96 * spread, bias.value + 1.96 * spread
    return BlandAltman(bias, spread, *limits, slope, float(np.abs(differences).mean()))


def intraclass_correlation(ratings: Numbers) -> tuple[float, float] | None:
    """ICC(A,1) and ICC(A,k): absolute agreement of one rater, and of the mean of all k, each of whom rated all samples.

    ratings: samples × raters. None with fewer than two of either, or where all ratings are the same. Source: McGraw and
    Wong (1996), Forming inferences about some intraclass correlation coefficients, Psychol. Methods 1, 30-46, table 4.
    """
    samples, raters = ratings.shape
    if samples < 2 or raters < 2:
        return None
    middle = ratings.mean()
    between_samples = raters * float(((ratings.mean(axis=1) - middle) ** 2).sum()) / (samples - 1)
    between_raters = samples * float(((ratings.mean(axis=0) - middle) ** 2).sum()) / (raters - 1)
    rest = ratings - ratings.mean(axis=1, keepdims=True) - ratings.mean(axis=0, keepdims=True) + middle
    error = float((rest**2).sum()) / ((samples - 1) * (raters - 1))
    excess = between_samples - error
    one = between_samples + (raters - 1) * error + raters * (between_raters - error) / samples
    all_of_them = between_samples + (between_raters - error) / samples
    if abs(one) < 1e-12 or abs(all_of_them) < 1e-12:
        return None
    return excess / one, excess / all_of_them

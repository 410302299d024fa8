"""Differences between means, and how likely chance alone makes them. Numbers need numpy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from vlures.metrics.clusters import LEVEL, Codes, Estimate, Numbers, clustered_mean, sums_of
from vlures.metrics.distributions import t_quantile, t_two_sided

FLIPS = 10_000
_EXACT_UP_TO = 13
"""Clusters: 2¹³ flips are all there are."""
_TOO_FEW = 20
"""Flips at least as extreme: with fewer, their share says little, and the tail is computed."""
_PIECE = 500
_STEP = 32
_MOST_HELD = 20_000_000
"""Coins: four bytes each."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two means, the first less the second."""

    estimate: Estimate
    p: float | None
    """Two-sided; None where nothing says how sure the difference is."""


def paired_difference(first: Numbers, second: Numbers, clusters: Codes, *, seed: int = 0) -> Difference:
    """Of two values of each sample, in their unit. The interval is Student's t over clusters, p from sign flips."""
    differences = first - second
    return Difference(
        clustered_mean(differences, clusters, skewed=False), sign_flip_p(differences, clusters, seed=seed)
    )


def unpaired_difference(first: Estimate, second: Estimate, level: float = LEVEL) -> Difference:
    """Of two means over different clusters: Welch's t test, on cluster means where clusters are of equal size.

    Degrees of freedom by Welch (1947), The generalization of Student's problem, Biometrika 34, 28-35.
    """
    value, count = first.value - second.value, first.count + second.count
    clusters = first.clusters + second.clusters
    if first.error is None or second.error is None:
        return Difference(Estimate(value, None, None, count, clusters, None, 0), None)
    squares = first.error**2 + second.error**2
    degrees = squares**2 / (first.error**4 / first.degrees + second.error**4 / second.degrees)
    error = math.sqrt(squares)
    spread = t_quantile((1 + level) / 2, degrees) * error
    found = Estimate(value, value - spread, value + spread, count, clusters, error, degrees)
    return Difference(found, t_two_sided(value / error, degrees))


def sign_flip_p(differences: Numbers, clusters: Codes, *, flips: int = FLIPS, seed: int = 0) -> float:
    """How often the mean difference would be at least this large if each cluster's sign were a coin's: two-sided, from
    the clusters' sums, exact where differences are symmetric about 0.

    All flips where there are at most 2¹³, otherwise so many at random, and p = (1 + hits) / (1 + flips) (Phipson and
    Smyth, Permutation p-values should never be zero, 2010). Where fewer than 20 flips hit, the tail of the same
    distribution is computed instead (Lugannani and Rice, Saddle point approximation for the distribution of the sum of
    independent random variables, Adv. Appl. Prob. 12, 1980): with 10,000 flips no p is below 0.0001, and a family of
    1,000 comparisons would find nothing.
    """
    sums = sums_of(differences, clusters)
    sums = sums[np.abs(sums) > 1e-12]
    if len(sums) == 0:
        return 1.0
    reached = abs(float(sums.sum())) * (1 - 1e-12)
    if len(sums) <= _EXACT_UP_TO:
        signs = (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1
        return float((np.abs((2 * signs - 1) @ sums) >= reached).mean())
    hits = _count_hits(sums, reached, flips, seed)
    return (1 + hits) / (1 + flips) if hits >= _TOO_FEW else flip_tail(sums)


def _count_hits(sums: Numbers, reached: float, flips: int, seed: int) -> int:
    """How many of so many random flips have a sum at least that far from 0."""
    step = _STEP if len(sums) <= 8 * _STEP else 8 * _STEP
    padded = np.zeros(-(-len(sums) // step) * step, dtype=np.float32)
    padded[: len(sums)] = sums
    least = reached - 1e-6 * float(np.abs(sums).sum())  # a tie is a hit, whatever single precision makes of it
    if flips * len(padded) <= _MOST_HELD:
        return int((np.abs(_draw_signs(flips, len(padded), seed, 0) @ padded) >= least).sum())
    hits = 0
    for start in range(0, flips, _PIECE):
        signs = _draw(min(_PIECE, flips - start), len(padded), seed, start)
        hits += int((np.abs(signs @ padded) >= least).sum())
    return hits


def _draw(flips: int, width: int, seed: int, start: int) -> npt.NDArray[np.float32]:
    """Coins of 1 and -1. width: a multiple of 8."""
    chance = np.random.default_rng((seed, start))
    drawn = np.frombuffer(chance.bytes(flips * width // 8), dtype=np.uint8).reshape(flips, width // 8)
    return 2 * np.unpackbits(drawn, axis=1).astype(np.float32) - 1


_draw_signs = lru_cache(maxsize=1)(_draw)
"""The same coins serve all comparisons of one size, which saves most of the time."""


def flip_tail(sums: Numbers) -> float:
    """The share of all sign flips whose sum is at least as far from 0, by the saddlepoint; see sign_flip_p."""
    scaled = np.abs(sums) / math.sqrt(float((sums**2).mean()))
    reached = abs(float(sums.sum())) / math.sqrt(float((sums**2).mean()))
    least = 2.0 ** (1 - len(sums))
    if reached >= float(scaled.sum()) * (1 - 1e-9):
        return least
    low, high = 0.0, 1.0
    while float(scaled @ np.tanh(high * scaled)) < reached:
        low, high = high, high * 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if float(scaled @ np.tanh(middle * scaled)) < reached else (low, middle)
    at = (low + high) / 2
    grown = at * scaled
    logs = grown + np.log1p(np.exp(-2 * grown)) - math.log(2)  # of cosh, which would overflow
    depth = 2 * (at * reached - float(logs.sum()))
    width = at * math.sqrt(float((scaled**2 * (1 - np.tanh(grown) ** 2)).sum()))
    if depth < 1e-6 or width < 1e-6:
        return 1.0
    root = math.sqrt(depth)
    density = math.exp(-depth / 2) / math.sqrt(2 * math.pi)
    tail = math.erfc(root / math.sqrt(2)) / 2 + density * (1 / width - 1 / root)
    return min(1.0, max(least, 2 * tail))


def holm(chances: Sequence[float]) -> list[float]:
    """p-values adjusted for being one family: below 0.05 where, at most once in 20 families without any difference, one
    is found. Holm (1979), A simple sequentially rejective multiple test procedure, Scand. J. Stat. 6, 65-70."""
    adjusted = [0.0] * len(chances)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=chances.__getitem__)):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[place]))
        adjusted[place] = highest
    return adjusted


def smallest_detectable(figure: Estimate, *, level: float = 0.05, power: float = 0.8) -> float | None:
    """The true difference that a comparison with this standard error finds with that chance, in the unit of its values:
    (t of 1 - level/2 + t of power) · SE (Bloom, Minimum detectable effects, Eval. Rev. 19, 1995, 547-556). None where
    there is no standard error."""
    if figure.error is None:
        return None
    return (t_quantile(1 - level / 2, figure.degrees) + t_quantile(power, figure.degrees)) * figure.error


def equivalence_p(figure: Estimate, margin: float) -> float | None:
    """Two one-sided tests: the chance of a difference this close to 0 if the true one were as far as the margin
    (Schuirmann, J. Pharmacokinet. Biopharm. 15, 1987, 657-680). Below 0.05 the 90 % interval lies within the margin.
    None where there is no standard error. Raises ValueError for a margin that is not above 0."""
    if margin <= 0:
        raise ValueError("the margin must be above 0")
    if figure.error is None:
        return None
    reached = (margin - abs(figure.value)) / figure.error
    outside = t_two_sided(reached, figure.degrees) / 2
    return outside if reached > 0 else 1 - outside


def tiers(means: Sequence[float], differs: Sequence[Sequence[bool]]) -> list[int]:
    """The tier of each model, from 1: all whose difference to the best of what is left was not shown share its tier.

    differs: whether the difference between two models was shown.
    """
    found = [0] * len(means)
    left = sorted(range(len(means)), key=lambda place: -means[place])
    tier = 0
    while left:
        tier += 1
        best = left[0]
        same = [place for place in left if place == best or not differs[best][place]]
        for place in same:
            found[place] = tier
        left = [place for place in left if place not in same]
    return found

"""How far two raters order the same samples in the same way. All are from -1 to 1 or from 0 to 1, without a unit.

Numbers need numpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vlures.metrics.clusters import Numbers


def spearman(first: Numbers, second: Numbers) -> float | None:
    """Spearman's rank correlation, the mean rank for values that are tied. None where one rater always says the same.

    Source: Kendall and Gibbons, Rank Correlation Methods, 5th ed., 1990, section 3.8.
    """
    a, b = _mean_ranks(first), _mean_ranks(second)
    a, b = a - a.mean(), b - b.mean()
    spread = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / spread if spread > 0 else None


@dataclass(frozen=True, slots=True)
class Pairs:
    """How all pairs of samples are ordered by two raters."""

    total: int
    discordant: int
    """Ordered one way by the first rater and the other way by the second."""
    tied_first: int
    """Tied by the first rater, whatever the second says."""
    tied_second: int
    tied_both: int

    @property
    def concordant(self) -> int:
        return self.total - self.tied_first - self.tied_second + self.tied_both - self.discordant


def count_pairs(first: Numbers, second: Numbers) -> Pairs:
    """All pairs, in n·log(n) time: Knight (1966), A computer method for calculating Kendall's tau with ungrouped data,
    JASA 61, 436-439."""
    order = np.lexsort((second, first))
    a, b = _dense(first)[order], _dense(second)[order]
    both = _dense(a * (int(b.max()) + 1) + b) if len(b) else b
    total = len(a) * (len(a) - 1) // 2
    return Pairs(total, _count_inversions(b), _count_ties(a), _count_ties(b), _count_ties(both))


def kendall_tau_b(pairs: Pairs) -> float | None:
    """Kendall's tau with its correction for ties. None where one rater always says the same.

    Source: Kendall (1945), The treatment of ties in ranking problems, Biometrika 33, 239-251.
    """
    spread = math.sqrt((pairs.total - pairs.tied_first) * (pairs.total - pairs.tied_second))
    return (pairs.concordant - pairs.discordant) / spread if spread > 0 else None


def pairwise_accuracy(pairs: Pairs) -> float | None:
    """The share of pairs that both raters order in the same way or both call tied, from 0 to 1. None without pairs.

    Source: Deutsch, Foster and Freitag (2023), Ties Matter, https://arxiv.org/abs/2305.14324.
    """
    return (pairs.concordant + pairs.tied_both) / pairs.total if pairs.total else None


def _dense(values: npt.NDArray[np.float64] | npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    return np.unique(values, return_inverse=True)[1].astype(np.intp)


def _mean_ranks(values: Numbers) -> Numbers:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    means: Numbers = ends - (counts - 1) / 2
    return means[place]


def _count_ties(codes: npt.NDArray[np.intp]) -> int:
    counts = np.bincount(codes)
    return int((counts * (counts - 1) // 2).sum())


def _count_inversions(codes: npt.NDArray[np.intp]) -> int:
    """Pairs of places whose earlier one has the larger value: bit by bit, among values whose higher bits agree."""
    found = 0
    for bit in range(int(codes.max()).bit_length() if len(codes) else 0):
        order = np.argsort(codes >> (bit + 1), kind="stable")
        groups, ones = (codes >> (bit + 1))[order], ((codes >> bit) & 1)[order]
        before = np.cumsum(ones) - ones
        starts = np.flatnonzero(np.r_[True, groups[1:] != groups[:-1]])
        within = before - np.repeat(before[starts], np.diff(np.r_[starts, len(groups)]))
        found += int(within[ones == 0].sum())
    return found

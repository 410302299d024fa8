"""Whether one group of values lies below another: the rank-sum test, without numpy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def is_below(lower: Sequence[float], upper: Sequence[float]) -> float | None:
    """One-sided p-value that the values of `lower` are not below those of `upper`. None where a group is empty or all
    values are equal.

    The test of Wilcoxon (1945) and Mann and Whitney (1947), On a test of whether one of two random variables is
    stochastically larger than the other, Ann. Math. Stat. 18, 50-60, by the normal distribution with corrections for
    ties and for continuity (Lehmann, Nonparametrics, 1975, section 1.4).
    """
    first, second = len(lower), len(upper)
    total = first + second
    counts = Counter([*lower, *upper])
    if not first or not second or len(counts) == 1:
        return None
    ranks: dict[float, float] = {}
    below = 0
    for value in sorted(counts):
        ranks[value] = below + (counts[value] + 1) / 2
        below += counts[value]
    statistic = math.fsum(ranks[value] for value in lower) - first * (first + 1) / 2
    ties = sum(count**3 - count for count in counts.values())
    variance = first * second / 12 * (total + 1 - ties / (total * (total - 1)))
    z = (statistic - first * second / 2 + 0.5) / math.sqrt(variance)
    return math.erfc(-z / math.sqrt(2)) / 2

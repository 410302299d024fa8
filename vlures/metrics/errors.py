"""How far off answers that are numbers are."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from vlures.metrics.classes import load_scikit_learn


def mean_absolute_error(labels: Sequence[float], answers: Sequence[float]) -> float:
    """In the unit of the labels. Raises ValueError without labels."""
    if not labels or len(labels) != len(answers):
        raise ValueError("there must be labels, and as many answers")
    return float(load_scikit_learn().mean_absolute_error(list(labels), list(answers)))


def median_error(labels: Sequence[float]) -> float:
    """The mean absolute error of giving the labels' median every time: no other constant has a smaller one."""
    if not labels:
        raise ValueError("there must be labels")
    middle = statistics.median(labels)
    return statistics.fmean(abs(label - middle) for label in labels)

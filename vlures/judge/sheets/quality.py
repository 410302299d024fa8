"""How reliable each rater is. Nobody is left out because of it: that is for the researcher to decide, and is recorded.

Measures, as campaigns of direct assessment have them: does a rater give a repeated answer nearly the same score, and
does it give answers about another image lower scores than real ones?
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from vlures.judge.sheets.matching import Rating
from vlures.metrics.rank_sums import is_below

NEAR = 10
"""Points between two scores of a repeat that is called the same."""
FEWEST_PAIRS = 3
"""Answers that a rater shares with others, for a correlation."""


@dataclass(frozen=True, slots=True)
class Quality:
    """One rater. None wherever there is too little to say it."""

    rater: str
    scored: int
    """Real answers with a score."""
    rows: int
    """Real answers on the sheet."""
    repeats: int
    """Pairs of which both have a score."""
    near: int
    """Of those, with at most NEAR points between them."""
    bad: int
    """Bad items with a score."""
    bad_mean: float | None
    mean: float | None
    """Of real answers."""
    p: float | None
    """One-sided, that bad items are not scored below real answers."""
    commonest: float | None
    """Share of the score that the rater gives most often."""
    bias: float | None
    """Mean difference to the mean of the others, on the answers that they share."""
    correlation: float | None
    """Pearson's, with the mean of the others."""


def assess(ratings: Sequence[Rating]) -> list[Quality]:
    """All raters, in order. Others are those who rated the same answers."""
    by_rater: dict[str, list[Rating]] = {}
    for rating in ratings:
        by_rater.setdefault(rating.sheet.rater, []).append(rating)
    scores = {rater: _real_scores(own) for rater, own in by_rater.items()}
    return [_assess(rater, own, scores) for rater, own in by_rater.items()]


def _assess(rater: str, own: Sequence[Rating], scores: Mapping[str, Mapping[Hashable, int]]) -> Quality:
    real = list(scores[rater].values())
    bad = [rating.score for rating in own if rating.row.control == "other answer" and rating.score is not None]
    again = [
        abs(rating.score - scores[rater][_answer(rating)])
        for rating in own
        if rating.row.control == "repeat" and rating.score is not None and _answer(rating) in scores[rater]
    ]
    bias, correlation = _compare(rater, scores)
    return Quality(
        rater,
        len(real),
        sum(rating.row.control is None for rating in own),
        len(again),
        sum(difference <= NEAR for difference in again),
        len(bad),
        _mean(bad),
        _mean(real),
        is_below(bad, real),
        max(Counter(real).values()) / len(real) if real else None,
        bias,
        correlation,
    )


def _answer(rating: Rating) -> Hashable:
    row = rating.row
    return row.run, row.variant, row.cell, row.sample_id


def _real_scores(own: Sequence[Rating]) -> dict[Hashable, int]:
    return {_answer(rating): rating.score for rating in own if rating.row.control is None and rating.score is not None}


def _compare(rater: str, scores: Mapping[str, Mapping[Hashable, int]]) -> tuple[float | None, float | None]:
    """A rater's mean difference to the others' mean, and the correlation with it."""
    others: dict[Hashable, list[int]] = {}
    for other, theirs in scores.items():
        if other != rater:
            for answer, score in theirs.items():
                others.setdefault(answer, []).append(score)
    shared = [
        (score, math.fsum(others[key]) / len(others[key])) for key, score in scores[rater].items() if key in others
    ]
    if not shared:
        return None, None
    own, theirs_mean = [float(one) for one, _ in shared], [two for _, two in shared]
    return _mean([one - two for one, two in shared]), _correlate(own, theirs_mean)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _correlate(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Pearson's correlation; None for few pairs, and where one side always says the same."""
    if len(first) < FEWEST_PAIRS:
        return None
    one, two = math.fsum(first) / len(first), math.fsum(second) / len(second)
    a, b = [value - one for value in first], [value - two for value in second]
    spread = math.sqrt(math.fsum(value * value for value in a) * math.fsum(value * value for value in b))
    return math.fsum(x * y for x, y in zip(a, b, strict=True)) / spread if spread > 0 else None

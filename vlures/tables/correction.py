"""A judge's means, corrected by people who rated a random sample of the same answers."""

from __future__ import annotations

import numpy as np

from vlures.metrics.prediction_powered import Corrected, corrected_mean
from vlures.tables.scores import CellScores, align

FEWEST_RATED = 15
"""Answers of a cell that people have rated: with fewer, an interval by Student's t misleads."""


def correct_cell(judge: CellScores, people: CellScores | None) -> tuple[Corrected | None, str | None]:
    """The corrected mean, or why there is none (None where nobody rated anything)."""
    if people is None or len(people.keys) == 0:
        return None, None
    in_judge, in_people = align(judge, people)
    if len(in_judge) < FEWEST_RATED:
        return None, f"people rated fewer than {FEWEST_RATED} of a cell's answers"
    probabilities = people.probabilities[in_people]
    others = np.ones(len(judge.keys), dtype=bool)
    others[in_judge] = False
    if bool(np.isnan(probabilities).any()):
        if others.any():
            return None, "it is not known that the rated answers were drawn at random"
        probabilities = np.ones(len(in_people))
    found = corrected_mean(
        people.values[in_people],
        judge.values[in_judge],
        judge.images[in_judge],
        judge.values[others],
        judge.images[others],
        probabilities,
    )
    return found, None

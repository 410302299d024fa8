"""A judge's means, corrected by people who rated a random sample of the same answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vlures.metrics.prediction_powered import Corrected, combine_corrected, corrected_mean
from vlures.tables.reading import Place
from vlures.tables.scores import CellScores, Rater, align
from vlures.tables.table import Column, Value, interval

FEWEST_RATED = 15
"""Answers of a cell that people have rated: with fewer, an interval by Student's t misleads."""


COLUMNS = (Column("corrected", "number"), Column("95 % corrected", "interval"), Column("rated by people", "count"))
"""Of what `correct` gives."""
NOTE = (
    "corrected: what people would give, from a random sample of every cell's answers that they rated (PPI++); empty "
    "where a cell has no sample of 15 or more."
)


def correct(parts: Sequence[tuple[float, Place, CellScores]], people: Rater | None) -> list[Value]:
    """A sum of cells' means, each times its weight, as people would give them: the values of COLUMNS; None where people
    have not rated a random sample of every cell."""
    if people is None:
        return [None] * len(COLUMNS)
    found = [(weight, correct_cell(scores, people.cells.get(place))[0]) for weight, place, scores in parts]
    known = [(weight, part) for weight, part in found if part is not None]
    if len(known) < len(found):
        return [None] * len(COLUMNS)
    figure = combine_corrected(known)
    rated = sum(len(people.cells[place].keys) for _, place, _ in parts)
    return [figure.value, interval(figure.low, figure.high), rated]


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

"""Which answers are rated: drawn at random within strata, each with a known probability.

Only so can people's scores correct a judge's: a sample that was picked by hand breaks every such correction.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vlures.judge.sheets.candidates import Candidate

Third = Literal["low", "middle", "high", "no score", "all"]
"""Of a judge's scores in a cell. all: it is not divided, because no judge has scored it or few are drawn."""

FEWEST_FOR_THIRDS = 12
"""Answers drawn from a cell; below that, thirds would say nothing."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A candidate that is rated."""

    candidate: Candidate
    third: Third
    probability: float
    """With which it was drawn: the same for all of its stratum."""


def draw(candidates: Sequence[Candidate], per_cell: int, seed: int) -> list[Drawn]:
    """Draw from each run's variant and cell, as evenly as can be from the thirds of a judge's scores.

    Every answer has a chance: each stratum gives at least one. The same seed and answers give the same draw.
    """
    cells: dict[tuple[str, str, str], list[Candidate]] = {}
    for candidate in candidates:
        cells.setdefault((candidate.run, candidate.variant, candidate.cell), []).append(candidate)
    drawn: list[Drawn] = []
    for key in sorted(cells):
        chance = random.Random(f"{seed} {key}")  # noqa: S311 (a sample, not a secret)
        members = sorted(cells[key], key=lambda candidate: (len(candidate.sample_id), candidate.sample_id))
        strata = _divide(members, min(per_cell, len(members)))
        shares = _share(min(per_cell, len(members)), {third: len(stratum) for third, stratum in strata.items()})
        for third, stratum in strata.items():
            taken = chance.sample(stratum, shares[third])
            drawn += (Drawn(candidate, third, shares[third] / len(stratum)) for candidate in taken)
    return drawn


def _divide(members: Sequence[Candidate], wanted: int) -> dict[Third, list[Candidate]]:
    """The strata of a cell. Equal scores are in the same third, so that thirds may differ in size."""
    scores = sorted(member.judged for member in members if member.judged is not None)
    if wanted < FEWEST_FOR_THIRDS or not scores:
        return {"all": list(members)}
    low, high = scores[len(scores) // 3], scores[2 * len(scores) // 3]
    strata: dict[Third, list[Candidate]] = {}
    for member in members:
        strata.setdefault(_third(member.judged, low, high), []).append(member)
    return strata


def _third(score: float | None, low: float, high: float) -> Third:
    if score is None:
        return "no score"
    return "low" if score < low else "middle" if score < high else "high"


def _share(wanted: int, sizes: Mapping[Third, int]) -> dict[Third, int]:
    """How many each stratum gives: in proportion, at least one each, by largest remainder.

    wanted: at least the number of strata and at most the sum of their sizes.
    """
    spare = wanted - len(sizes)
    others = sum(sizes.values()) - len(sizes)
    exact = {third: 1 + (spare * (size - 1) / others if others else 0.0) for third, size in sizes.items()}
    shares = {third: int(share) for third, share in exact.items()}
    by_remainder = sorted(sizes, key=lambda third: (shares[third] - exact[third], third))
    for third in by_remainder[: wanted - sum(shares.values())]:
        shares[third] += 1
    return shares

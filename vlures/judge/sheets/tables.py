"""What the commands print about sheets, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from vlures.judge.sheets.arranging import CONTROL_SHARE
from vlures.judge.sheets.drawing import Drawn
from vlures.judge.sheets.expected import expected_half_width
from vlures.judge.sheets.quality import NEAR, Quality
from vlures.runs.table_text import align


def tabulate_drawn(drawn: Sequence[Drawn], raters: int) -> str:
    """A line per language: how many answers, and how sure a cell's mean will be."""
    rows = []
    for language in sorted({one.candidate.language for one in drawn}, key=lambda tag: tag or ""):
        of_language = [one.candidate for one in drawn if one.candidate.language == language]
        cells = Counter((one.run, one.variant, one.cell) for one in of_language)
        controls = max(1, round(CONTROL_SHARE * len(of_language)))
        widths = {expected_half_width(count) for count in (min(cells.values()), max(cells.values()))}
        rows.append(
            [
                *(language or "–", raters, len(cells), _range(cells.values()), len(of_language), 2 * controls),
                " to ".join(sorted(f"±{width:.1f}" if width else "–" for width in widths)),
            ]
        )
    headers = ["language", "raters", "cells", "answers per cell", "answers per rater", "controls", "mean of a cell"]
    return align(headers, rows, 1)


def _range(counts: Iterable[int]) -> str:
    numbers = sorted(set(counts))
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,}-{numbers[-1]:,}"


def tabulate_quality(raters: Sequence[Quality], without: Collection[str]) -> str:
    """A line per rater, with those who are left out."""
    headers = [
        *("rater", "scored", "mean", f"repeats within {NEAR}", "bad items' mean", "p", "commonest", "bias", "r"),
        "counted",
    ]
    rows = [
        [
            *(one.rater, f"{one.scored:,} of {one.rows:,}", _number(one.mean, 1), f"{one.near} of {one.repeats}"),
            f"{_number(one.bad_mean, 1)} ({one.bad})" if one.bad else "–",
            *(_p_value(one.p), _percent(one.commonest), _number(one.bias, 1, sign=True), _number(one.correlation, 2)),
            "left out" if one.rater in without else "yes",
        ]
        for one in raters
    ]
    return align(headers, rows, 1)


def find_doubtful(raters: Sequence[Quality]) -> list[str]:
    """A sentence on each rater whose bad items are not clearly below the real answers, or who repeats few scores."""
    sentences = []
    for one in raters:
        doubts = []
        if one.p is not None and one.p > (DOUBTFUL_P if one.bad >= FEWEST_BAD else 0.5):
            doubts.append(f"scores bad items about as high as real answers (p = {one.p:.3f})")
        elif one.p is None and one.bad and one.scored:
            doubts.append("gives bad items and real answers all the same score")
        if one.repeats and one.near < DOUBTFUL_REPEATS * one.repeats:
            doubts.append(f"scores {one.near} of {one.repeats} repeats within {NEAR} points of the first time")
        if doubts:
            sentences.append(f"{one.rater} {' and '.join(doubts)}; --without {one.rater} leaves them out.")
    return sentences


DOUBTFUL_P = 0.05
FEWEST_BAD = 3
"""Bad items; fewer can hardly have a smaller p, and only a rater who scores them higher is told of."""
DOUBTFUL_REPEATS = 0.5
"""A smaller share of repeats within NEAR points is told of."""


def describe_unrated(unrated: Mapping[Path, Sequence[int]], unit: str = "row") -> list[str]:
    """A sentence per file: which rows have no score."""
    return [
        f"{path}: no score yet in {unit}{'s' if len(places) > 1 else ''} {_runs(places)}"
        for path, places in unrated.items()
    ]


def _runs(places: Iterable[int]) -> str:
    """Numbers in order, runs of them as `4-9`."""
    groups = groupby(enumerate(sorted(set(places))), lambda pair: pair[1] - pair[0])
    runs = [[place for _, place in group] for _, group in groups]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _number(value: float | None, digits: int, *, sign: bool = False) -> str:
    return "–" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def _p_value(p: float | None) -> str:
    return "<0.001" if p is not None and p < 0.001 else _number(p, 3)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"

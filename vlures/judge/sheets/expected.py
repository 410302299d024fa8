"""How sure the scores will be, said before anyone starts to rate."""

from __future__ import annotations

import math

from vlures.metrics.distributions import t_quantile

LEVEL = 0.95
ASSUMED_SD = 20.0
"""Standard deviation of answers' scores within a cell, on the scale from 1 to 100. Known only afterwards: the command
says that it is assumed."""


def expected_half_width(answers: int, sd: float = ASSUMED_SD) -> float | None:
    """Half the width of the 95 % interval of a cell's mean: t with n - 1 degrees of freedom times sd / √n. Each answer
    of a cell is about another image, so that they are independent. None for fewer than two."""
    if answers < 2:
        return None
    return t_quantile((1 + LEVEL) / 2, answers - 1) * sd / math.sqrt(answers)

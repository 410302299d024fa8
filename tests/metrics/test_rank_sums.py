"""Whether one group of values lies below another. tests/stats compares it with scipy."""

import math

import pytest

from vlures.metrics.rank_sums import is_below


def test_a_published_example() -> None:
    """Two groups without ties, of which all of the first lie below all of the second: U = 0, z = -(12.5 - 0.5) / 4.787
    (Lehmann, section 1.2, gives mean nm/2 and variance nm(n + m + 1)/12)."""
    z = (0 - 12.5 + 0.5) / math.sqrt(25 * 11 / 12)
    assert is_below([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) == pytest.approx(math.erfc(-z / math.sqrt(2)) / 2, abs=1e-12)


def test_it_looks_one_way_and_needs_two_groups_that_differ() -> None:
    low, high = [5, 10, 10, 20], [60, 70, 70, 70, 80, 85]
    below, above = is_below(low, high), is_below(high, low)
    assert below is not None
    assert above is not None
    assert below < 0.01
    assert above > 0.99
    assert is_below([], high) is None
    assert is_below(low, []) is None
    assert is_below([50, 50], [50, 50, 50]) is None

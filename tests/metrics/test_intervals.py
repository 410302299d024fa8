"""Intervals by cluster: against published values, against clusters of one, and by simulation."""

from __future__ import annotations

import math
import random

import pytest

from vlures.metrics.intervals import mean_interval, proportion_interval


def test_clusters_of_one_give_wilson_s_interval() -> None:
    # Newcombe (1998), Two-sided confidence intervals for the single proportion, Stat. Med. 17, 857-872, table I: 81 of
    # 263 gives 0.2553 to 0.3662. Student's t and the factor C / (C - 1) widen it by less than a hundredth part.
    bounds = proportion_interval([True] * 81 + [False] * 182, range(263))
    assert bounds is not None
    assert bounds == pytest.approx((0.2553, 0.3662), abs=0.001)


def test_questions_that_say_the_same_count_once() -> None:
    hits = [True, False, True, True, False, True, False, True]
    one = proportion_interval(hits, range(8))
    ten = proportion_interval(
        [hit for hit in hits for _ in range(10)], [image for image in range(8) for _ in range(10)]
    )
    assert one is not None
    assert ten is not None
    assert ten == pytest.approx(one, abs=0.03)
    independent = proportion_interval([hit for hit in hits for _ in range(10)], range(80))
    assert independent is not None
    assert independent[1] - independent[0] < (ten[1] - ten[0]) / 2


def test_all_right_is_not_certain() -> None:
    bounds = proportion_interval([True] * 50, [number % 10 for number in range(50)])
    assert bounds is not None
    low, high = bounds
    assert high == 1
    assert low == pytest.approx(1 / (1 + 2.262157**2 / 10), abs=1e-6)  # ten images, t with 9 degrees of freedom
    none = proportion_interval([False] * 50, [number % 10 for number in range(50)])
    assert none == pytest.approx((0, 1 - low))


def test_one_image_has_no_interval() -> None:
    assert proportion_interval([True, False], ["a", "a"]) is None
    assert mean_interval([1.0, 2.0], ["a", "a"]) is None
    assert proportion_interval([], []) is None


def test_values_that_are_all_the_same_are_not_certain() -> None:
    assert mean_interval([0.1 + 0.2, 0.3, 0.3], range(3)) is None
    assert mean_interval([1.0, 3.0, 2.0], ["a", "a", "b"]) is None
    assert mean_interval([0.0, 0.0, 1e-6], range(3)) is not None


def test_the_mean_s_interval_is_student_s_where_clusters_are_single() -> None:
    values = [2.0, 4.0, 4.0, 6.0]
    bounds = mean_interval(values, range(4))
    assert bounds is not None
    error = math.sqrt((4 + 0 + 0 + 4) / 3) / 2
    assert bounds == pytest.approx((4 - 3.182446 * error, 4 + 3.182446 * error), abs=1e-5)


@pytest.mark.parametrize("chance_of_a_hit", [0.1, 0.5, 0.85])
def test_nineteen_in_twenty_intervals_hold_the_true_share(chance_of_a_hit: float) -> None:
    """30 images with 8 questions each; half of an image's answers follow a coin of the image."""
    chance = random.Random(5)
    held = 0
    for _ in range(400):
        hits, images = [], []
        for image in range(30):
            whole = chance.random() < chance_of_a_hit
            for _ in range(8):
                hits.append(whole if chance.random() < 0.5 else chance.random() < chance_of_a_hit)
                images.append(image)
        bounds = proportion_interval(hits, images)
        assert bounds is not None
        held += bounds[0] <= chance_of_a_hit <= bounds[1]
    assert 0.92 <= held / 400 <= 0.99

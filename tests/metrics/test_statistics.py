"""The statistics of judged answers against published values and sums by hand; tests/stats has more, with libraries."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vlures.metrics.agreement import bland_altman, intraclass_correlation, krippendorff_alpha, quadratic_kappa
from vlures.metrics.clusters import as_codes, clustered_mean, macro_mean, missing_bounds, within
from vlures.metrics.comparison import (
    equivalence_p,
    holm,
    paired_difference,
    sign_flip_p,
    smallest_detectable,
    tiers,
    unpaired_difference,
)
from vlures.metrics.distributions import t_quantile, t_two_sided
from vlures.metrics.prediction_powered import corrected_mean
from vlures.metrics.ranks import count_pairs, kendall_tau_b, pairwise_accuracy, spearman

NONE = np.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)


def test_t_as_in_printed_tables() -> None:
    # NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2
    printed = {1: 12.706, 2: 4.303, 6: 2.447, 29: 2.045, 100: 1.984}
    for degrees, value in printed.items():
        assert t_quantile(0.975, degrees) == pytest.approx(value, abs=5e-4)
        assert t_quantile(0.025, degrees) == pytest.approx(-value, abs=5e-4)
        assert t_two_sided(value, degrees) == pytest.approx(0.05, abs=1e-4)
    assert t_quantile(0.975, 1e9) == pytest.approx(1.959964, abs=1e-6)
    assert t_two_sided(float("inf"), 3) == 0


def test_a_mean_whose_clusters_are_copies() -> None:
    """Eight copies of each value say no more than one."""
    values = np.array([60.0, 70, 75, 90, 71])
    one = clustered_mean(values, np.arange(5))
    eight = clustered_mean(np.repeat(values, 8), np.repeat(np.arange(5), 8))
    assert (eight.low, eight.high) == pytest.approx((one.low, one.high))
    assert (one.count, eight.count, eight.clusters) == (5, 40, 5)


def test_skewness_moves_both_bounds() -> None:
    """Scores near the top with a tail below: the mean may be much lower than it looks."""
    values = np.array([95.0, 94, 96, 93, 95, 97, 40])
    plain, skewed = (clustered_mean(values, np.arange(7), skewed=skewed) for skewed in (False, True))
    assert skewed.low is not None
    assert plain.low is not None
    assert skewed.low < plain.low
    assert skewed.high < plain.high  # type: ignore[operator]
    symmetric = np.array([80.0, 90, 100])
    assert clustered_mean(symmetric, np.arange(3)).low == clustered_mean(symmetric, np.arange(3), skewed=False).low
    assert within(skewed, 1, 100).low == max(1, skewed.low)


def test_what_says_nothing_of_how_sure_it_is_has_no_interval() -> None:
    for values, clusters in (([3.0, 5.0], [0, 0]), ([4.0, 4.0, 4.0], [0, 1, 2]), ([7.0], [0])):
        figure = clustered_mean(np.array(values), np.array(clusters))
        assert (figure.low, figure.high, figure.error) == (None, None, None)
    assert smallest_detectable(figure) is None
    with pytest.raises(ValueError, match="there must be values"):
        clustered_mean(np.array([]), np.array([], dtype=np.intp))


def test_a_macro_mean_weighs_parts_and_not_answers() -> None:
    figure = macro_mean([(np.array([10.0, 20]), np.array([0, 1])), (np.full(98, 90.0), np.arange(2, 100))])
    assert figure.value == 52.5
    same = macro_mean([(np.array([10.0, 20, 60]), np.arange(3))] * 4)
    assert same.error == pytest.approx(clustered_mean(np.array([10.0, 20, 60]), np.arange(3)).error)


def test_bounds_of_what_is_missing() -> None:
    assert missing_bounds(np.array([80.0, 90]), 2, 1, 100) == (43, 92.5)
    assert missing_bounds(np.array([]), 1, 1, 100) == (1, 100)


def test_holm_s_own_procedure() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1, 1]


def test_sign_flips_by_hand() -> None:
    each = np.arange(3)
    assert sign_flip_p(np.array([1.0, 2, 3]), each) == 0.25  # two of eight
    assert sign_flip_p(np.array([1.0, -1, 0]), each) == 1
    assert sign_flip_p(np.zeros(5), np.arange(5)) == 1
    assert sign_flip_p(np.array([2.0, 4, 3, 3]), np.array([0, 0, 1, 1])) == 0.5  # two images
    chance = np.random.default_rng(1)
    clear = sign_flip_p(chance.normal(1, 1, 200), np.arange(200))
    assert 0 < clear < 1e-10
    assert sign_flip_p(np.ones(40), np.arange(40)) == pytest.approx(2.0**-39)


def test_differences() -> None:
    first, second, each = np.array([80.0, 70, 90, 85]), np.array([78.0, 71, 86, 80]), np.arange(4)
    paired = paired_difference(first, second, each)
    assert paired.estimate.value == 2.5
    assert paired.p == 0.25
    unpaired = unpaired_difference(clustered_mean(first, each), clustered_mean(second, each))
    assert unpaired.estimate.value == 2.5
    assert unpaired.estimate.high - unpaired.estimate.low > paired.estimate.high - paired.estimate.low  # type: ignore[operator]
    assert equivalence_p(paired.estimate, 1) > 0.5  # type: ignore[operator]
    assert equivalence_p(paired.estimate, 20) < 0.05  # type: ignore[operator]


def test_tiers_are_below_the_best_and_not_a_ranking() -> None:
    nothing, a, b = [False] * 3, [False, False, True], [False, False, False]
    assert tiers([80, 79, 70], [a, b, [True, False, False]]) == [1, 1, 2]
    assert tiers([70, 80, 79], [nothing] * 3) == [1, 1, 1]


@pytest.mark.parametrize(("scale", "published"), [("interval", 0.849), ("ordinal", 0.815)])
def test_krippendorff_s_example(scale: str, published: float) -> None:
    """Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, example C and D."""
    raters, units = np.nonzero(~np.isnan(KRIPPENDORFF))
    found = krippendorff_alpha(units, KRIPPENDORFF[raters, units], units, scale=scale)  # type: ignore[arg-type]
    assert found is not None
    assert found.value == pytest.approx(published, abs=5e-4)
    assert found.low < found.value < found.high  # type: ignore[operator]


def test_agreement_without_anything_to_agree_on() -> None:
    assert krippendorff_alpha(np.array([0, 1, 2]), np.array([3.0, 4, 5])) is None
    assert krippendorff_alpha(np.array([0, 0, 1, 1]), np.full(4, 5.0)) is None
    assert quadratic_kappa(np.full(3, 5.0), np.full(3, 5.0)) is None
    assert intraclass_correlation(np.ones((3, 2))) is None
    assert spearman(np.ones(3), np.arange(3.0)) is None


def test_agreement_by_hand() -> None:
    first, second = np.array([1.0, 2, 3, 4]), np.array([2.0, 3, 4, 5])
    kappa = quadratic_kappa(first, second)
    assert kappa is not None
    assert kappa.value == pytest.approx(1 - 1 / (1.25 + 1.25 + 1))
    assert spearman(first, second) == pytest.approx(1)
    apart = bland_altman(first, second, np.arange(4))
    assert apart is not None
    assert (apart.bias.value, apart.spread, apart.slope, apart.mean_absolute) == (-1, 0, 0, 1)
    pairs = count_pairs(np.array([1.0, 1, 2, 3]), np.array([1.0, 1, 3, 2]))
    assert (pairs.total, pairs.concordant, pairs.discordant, pairs.tied_both) == (6, 4, 1, 1)
    assert kendall_tau_b(pairs) == pytest.approx(3 / 5)
    assert pairwise_accuracy(pairs) == pytest.approx(5 / 6)


def test_shrout_and_fleiss_s_example() -> None:
    """Shrout and Fleiss, Intraclass correlations, 1979, table 4: 0.29 for one rater and 0.62 for the mean of four."""
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    assert intraclass_correlation(ratings.astype(float)) == pytest.approx((0.29, 0.62), abs=0.005)


def test_people_correct_a_kind_judge() -> None:
    """A judge who always gives eight points too many is corrected by eight points."""
    true = np.arange(40, 80.0)
    found = corrected_mean(true[::4], true[::4] + 8, np.arange(10), np.delete(true, slice(None, None, 4)) + 8,
                           np.arange(10, 40))  # fmt: skip
    assert found is not None
    assert found.estimate.value == pytest.approx(true.mean(), abs=1)
    assert found.estimate.low < true.mean() < found.estimate.high  # type: ignore[operator]
    everyone = corrected_mean(true, true + 8, np.arange(40), np.array([]), np.array([], dtype=np.intp))
    assert everyone is not None
    assert (everyone.weight, everyone.estimate.value) == (0, pytest.approx(true.mean()))


def test_what_was_seldom_drawn_weighs_more() -> None:
    drawn = corrected_mean(
        np.array([10.0, 90]), np.array([5.0, 5]), np.arange(2), np.array([]), np.array([], dtype=np.intp),
        probabilities=np.array([0.1, 0.3]),
    )  # fmt: skip
    assert drawn is not None
    assert drawn.estimate.value == pytest.approx((3 * 10 + 90) / 4)


def test_codes_follow_the_first_occurrence() -> None:
    assert as_codes(["b", "a", "b"]).tolist() == [0, 1, 0]


def test_alpha_of_many_ratings_needs_no_table_of_coincidences() -> None:
    """With a table of 10,000 × 10,000 coincidences, this would take gigabytes."""
    chance = np.random.default_rng(2)
    units = np.repeat(np.arange(50_000), 2)
    values = np.round(np.repeat(chance.normal(50, 9, 50_000), 2) + chance.normal(0, 9, 100_000), 3)
    began = time.perf_counter()
    found = krippendorff_alpha(units, values)
    print(f"{time.perf_counter() - began:.3f} s")
    assert found is not None
    assert found.value == pytest.approx(0.5, abs=0.01)

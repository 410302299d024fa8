"""The closed forms of vlures/metrics against the libraries that have them: equal to nine digits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

kept = warnings.filters[:]
import ppi_py  # noqa: E402 (silences all warnings when it is imported)

warnings.filters[:] = kept

import krippendorff  # noqa: E402
import pandas as pd  # noqa: E402
import pingouin  # noqa: E402
import statsmodels.api as sm  # noqa: E402
from scipy import special, stats  # noqa: E402
from sklearn.metrics import cohen_kappa_score  # noqa: E402
from statsmodels.stats.multitest import multipletests  # noqa: E402
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_paired  # noqa: E402

from vlures.metrics.agreement import (  # noqa: E402
    bland_altman,
    intraclass_correlation,
    krippendorff_alpha,
    quadratic_kappa,
)
from vlures.metrics.clusters import Numbers, clustered_mean, macro_mean  # noqa: E402
from vlures.metrics.comparison import (  # noqa: E402
    equivalence_p,
    flip_tail,
    holm,
    paired_difference,
    sign_flip_p,
    smallest_detectable,
    unpaired_difference,
)
from vlures.metrics.distributions import incomplete_beta, t_quantile, t_two_sided  # noqa: E402
from vlures.metrics.prediction_powered import corrected_mean  # noqa: E402
from vlures.metrics.rank_sums import is_below  # noqa: E402
from vlures.metrics.ranks import count_pairs, kendall_tau_b, pairwise_accuracy, spearman  # noqa: E402

SAME = {"rel": 1e-9, "abs": 1e-12}


def scores(seed: int, size: int) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs of raters' whole scores, with many ties, few, and none."""
    chance = np.random.default_rng(seed)
    for top in (3, 100, 10**6):
        true = chance.beta(4, 2, size)
        yield tuple(np.clip(np.round(top * (true + chance.normal(0, 0.1, size))), 1, top) for _ in range(2))  # type: ignore[misc]


def test_student_s_distribution() -> None:
    for degrees in (1, 1.3, 2, 4.5, 6, 29, 999, 31_999, 99_999):
        for share in (0.001, 0.2, 0.51, 0.8, 0.975, 0.99999):
            assert t_quantile(share, degrees) == pytest.approx(stats.t.ppf(share, degrees), **SAME)
        for t in (1e-6, 0.3, 1, 2.5, 9, 30):
            assert t_two_sided(t, degrees) == pytest.approx(2 * stats.t.sf(t, degrees), rel=1e-9, abs=1e-200)
    for a, b, x in ((0.5, 3.5, 0.1), (40, 0.5, 0.97), (3, 3, 0.5), (0.02, 900, 1e-3)):
        assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), **SAME)


@pytest.mark.parametrize("equal", [True, False])
def test_a_clustered_mean_is_a_regression_on_nothing_with_robust_errors(equal: bool) -> None:
    chance = np.random.default_rng(1)
    clusters = np.repeat(np.arange(40), 8) if equal else np.repeat(np.arange(40), chance.integers(1, 9, 40))
    values = chance.normal(70, 9, len(clusters)) + chance.normal(0, 6, 40)[clusters]
    ours = clustered_mean(values, clusters, skewed=False)
    model = sm.OLS(values, np.ones(len(values))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True, "df_correction": True}, use_t=True
    )
    # statsmodels multiplies by (n - 1)/(n - k), which is 1 here, and C/(C - 1).
    assert ours.value == pytest.approx(model.params[0], **SAME)
    assert ours.error == pytest.approx(model.bse[0], **SAME)
    if equal:  # otherwise it takes C - 1 degrees of freedom all the same
        assert (ours.low, ours.high) == pytest.approx(tuple(model.conf_int()[0]), **SAME)
    else:
        assert ours.degrees < 39


def test_clusters_of_one_give_student_s_tests() -> None:
    chance = np.random.default_rng(2)
    first, second = chance.normal(60, 8, 30), chance.normal(63, 8, 30)
    each = np.arange(30)
    paired = paired_difference(first, second, each)
    theirs = stats.ttest_rel(first, second).confidence_interval()
    assert (paired.estimate.low, paired.estimate.high) == pytest.approx((theirs.low, theirs.high), **SAME)
    other = chance.normal(65, 20, 50)
    welch = unpaired_difference(
        clustered_mean(first, each, skewed=False), clustered_mean(other, np.arange(50), skewed=False)
    )
    asked = stats.ttest_ind(first, other, equal_var=False)
    assert welch.p == pytest.approx(asked.pvalue, **SAME)
    assert welch.estimate.degrees == pytest.approx(asked.df, **SAME)
    bounds = CompareMeans(DescrStatsW(first), DescrStatsW(other)).tconfint_diff(usevar="unequal")
    assert (welch.estimate.low, welch.estimate.high) == pytest.approx(bounds, **SAME)
    for margin in (1, 6):
        assert equivalence_p(paired.estimate, margin) == pytest.approx(
            ttost_paired(first, second, -margin, margin)[0], **SAME
        )


def test_a_macro_mean_is_a_regression_on_weights() -> None:
    """Parts of unequal size that share no cluster: variances of the parts add up."""
    chance = np.random.default_rng(3)
    parts = [(chance.normal(50, 9, size), np.arange(start, start + size)) for start, size in ((0, 20), (20, 35))]
    ours = macro_mean(parts)
    alone = [np.var(values) / len(values) for values, _ in parts]
    assert ours.value == pytest.approx(np.mean([values.mean() for values, _ in parts]), **SAME)
    assert ours.error == pytest.approx(np.sqrt(55 / 54 * sum(alone)) / 2, **SAME)


def test_sign_flips() -> None:
    chance = np.random.default_rng(4)
    for size in (3, 9, 12):
        differences = np.round(chance.normal(1, 3, size))
        exact = stats.permutation_test(
            (differences,), lambda x, axis: np.sum(x, axis=axis), permutation_type="samples", n_resamples=np.inf,
            vectorized=True,
        )  # fmt: skip
        assert sign_flip_p(differences, np.arange(size)) == pytest.approx(exact.pvalue, **SAME)


def test_the_tail_of_sign_flips_is_that_of_all_of_them() -> None:
    """All 2²⁰ flips of 20 clusters: the computed tail is off by a tenth at most, where nearly no flip is as extreme."""
    chance = np.random.default_rng(5)
    signs = np.unpackbits(np.arange(2**20, dtype=">u4").view(np.uint8).reshape(-1, 4), axis=1)[:, 12:]
    for mean in (1.5, 2, 3, 4):
        sums = chance.normal(mean, 3, 20)
        exact = (np.abs((2.0 * signs - 1) @ sums) >= abs(sums.sum()) - 1e-9).mean()
        assert flip_tail(sums) == pytest.approx(exact, rel=0.1)
    wilcoxon = stats.wilcoxon(sums).pvalue
    assert 0.1 < sign_flip_p(sums, np.arange(20)) / wilcoxon < 10


def test_holm() -> None:
    chances = np.random.default_rng(6).beta(0.3, 3, 40).tolist()
    assert holm(chances) == pytest.approx(multipletests(chances, method="holm")[1].tolist(), **SAME)
    assert holm([]) == []


def test_the_smallest_difference_that_a_test_finds() -> None:
    """The t quantiles' sum is an approximation to the noncentral t, which gives its power exactly: 80 %, to one in 100
    from 15 clusters."""
    for size in (15, 30, 1_000):
        figure = clustered_mean(np.random.default_rng(size).normal(0, 5, size), np.arange(size), skewed=False)
        least = smallest_detectable(figure)
        assert least is not None
        assert figure.error is not None
        border = stats.t.ppf(0.975, size - 1)
        assert stats.nct.sf(border, size - 1, least / figure.error) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("scale", ["interval", "ordinal"])
def test_krippendorff_s_alpha(scale: str) -> None:
    chance = np.random.default_rng(7)
    table = np.round(np.clip(chance.normal(70, 12, 60) + chance.normal(0, 8, (4, 60)), 1, 100) / 4)
    table[chance.random(table.shape) < 0.3] = np.nan
    raters, units = np.nonzero(~np.isnan(table))
    ours = krippendorff_alpha(units, table[raters, units], scale=scale)  # type: ignore[arg-type]
    assert ours is not None
    assert ours.value == pytest.approx(krippendorff.alpha(table, level_of_measurement=scale), **SAME)


def test_alpha_of_krippendorff_s_own_example() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, example C: 0.849, and 0.815 of ranks."""
    none = np.nan
    table = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, none, none, none],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, none, 3],
            [none, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, none],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, none],
        ]
    )
    raters, units = np.nonzero(~np.isnan(table))
    interval = krippendorff_alpha(units, table[raters, units])
    ordinal = krippendorff_alpha(units, table[raters, units], scale="ordinal")
    assert interval is not None
    assert ordinal is not None
    assert (round(interval.value, 3), round(ordinal.value, 3)) == (0.849, 0.815)


def test_quadratic_kappa_is_weighted_kappa_and_lin_s_coefficient() -> None:
    for first, second in scores(8, 300):
        ours = quadratic_kappa(first, second)
        assert ours is not None
        mean = np.mean((first - second) ** 2)
        lin = 1 - mean / (first.var() + second.var() + (first.mean() - second.mean()) ** 2)
        assert ours.value == pytest.approx(lin, **SAME)
        if first.max() <= 100:
            labels = list(range(1, 101))
            kappa = cohen_kappa_score(first.astype(int), second.astype(int), labels=labels, weights="quadratic")
            assert ours.value == pytest.approx(kappa, **SAME)


def test_ranks() -> None:
    for first, second in scores(9, 400):
        pairs = count_pairs(first, second)
        assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, **SAME)
        assert kendall_tau_b(pairs) == pytest.approx(stats.kendalltau(first, second).statistic, **SAME)
        signs = np.sign(first[:, None] - first) == np.sign(second[:, None] - second)
        assert pairwise_accuracy(pairs) == pytest.approx(signs[np.triu_indices(400, 1)].mean(), **SAME)
    assert spearman(first, np.ones(400)) is None
    assert kendall_tau_b(count_pairs(first, np.ones(400))) is None


def test_bland_and_altman() -> None:
    for first, second in scores(10, 200):
        ours = bland_altman(first, second, np.arange(200))
        assert ours is not None
        line = stats.linregress((first + second) / 2, first - second)
        assert ours.slope == pytest.approx(line.slope, rel=1e-9, abs=1e-9)
        assert ours.bias.value == pytest.approx((first - second).mean(), **SAME)
        assert (ours.low + ours.high) / 2 == pytest.approx(ours.bias.value, **SAME)
        assert (ours.high - ours.low) / 2 == pytest.approx(1.96 * (first - second).std(ddof=1), **SAME)


def test_intraclass_correlation() -> None:
    chance = np.random.default_rng(11)
    ratings = chance.normal(70, 10, (30, 1)) + chance.normal(0, 5, (30, 3)) + np.array([0, 3, -4])
    ours = intraclass_correlation(ratings)
    long = pd.DataFrame(ratings).melt(ignore_index=False, var_name="rater", value_name="score").reset_index(names="of")
    theirs = pingouin.intraclass_corr(long, targets="of", raters="rater", ratings="score").set_index("Type")["ICC"]
    one = next(theirs[name] for name in ("ICC2", "ICC(A,1)") if name in theirs)
    every = next(theirs[name] for name in ("ICC2k", "ICC(A,k)") if name in theirs)
    assert ours == pytest.approx((one, every), **SAME)


def test_a_mean_that_people_correct() -> None:
    chance = np.random.default_rng(12)
    true = chance.normal(60, 12, 1_000)
    judged = 30 + 0.6 * true + chance.normal(0, 6, 1_000)
    ours = corrected_mean(true[:100], judged[:100], np.arange(100), judged[100:], np.arange(100, 1_000))
    assert ours is not None
    assert 0 < ours.weight < 1
    assert ours.estimate.value == pytest.approx(
        float(ppi_py.ppi_mean_pointestimate(true[:100], judged[:100], judged[100:], lam=ours.weight)[0]), **SAME
    )
    own = float(ppi_py.ppi_mean_pointestimate(true[:100], judged[:100], judged[100:])[0])
    assert ours.estimate.value == pytest.approx(own, **SAME)
    # Their interval is by z and the variance of all, without a factor for few clusters.
    low, high = ppi_py.ppi_mean_ci(true[:100], judged[:100], judged[100:], alpha=0.05, lam=ours.weight)
    assert ours.estimate.error is not None
    plain = ours.estimate.error * np.sqrt(99 / 100)
    assert 2 * stats.norm.ppf(0.975) * plain == pytest.approx(float((high - low)[0]), **SAME)


def test_a_judge_that_presses_its_scores_together_weighs_more_than_one() -> None:
    """ppi-python holds the weight below 1; with a slope of 0.4 the best one is above 2."""
    chance = np.random.default_rng(13)
    true = chance.normal(60, 12, 4_000)
    judged = 60 + 0.4 * true + chance.normal(0, 1, 4_000)
    ours = corrected_mean(true[:200], judged[:200], np.arange(200), judged[200:], np.arange(200, 4_000))
    assert ours is not None
    assert ours.weight > 2
    assert abs(ours.estimate.value - true.mean()) < 1


def test_all_levels_widen() -> None:
    values = np.random.default_rng(14).gamma(2, 8, 60)
    widths = [clustered_mean(values, np.arange(60), level=level) for level in (0.8, 0.9, 0.95, 0.99)]
    assert all(a.low > b.low and a.high < b.high for a, b in pairwise(widths))  # type: ignore[operator]


def test_rank_sums_are_those_of_scipy() -> None:
    for first, second in scores(11, 60):
        for lower in (first[:7], first[:40]):
            wanted = stats.mannwhitneyu(lower, second, alternative="less", method="asymptotic").pvalue
            assert is_below(lower.tolist(), second.tolist()) == pytest.approx(wanted, **SAME)

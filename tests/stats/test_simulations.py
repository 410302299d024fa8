"""What the intervals and tests promise, by simulation: thousands of studies whose truth is known. Seeded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from vlures.metrics.clusters import Codes, Estimate, Numbers, clustered_mean, macro_mean
from vlures.metrics.comparison import holm, paired_difference, sign_flip_p, smallest_detectable, unpaired_difference
from vlures.metrics.prediction_powered import Corrected, combine_corrected, corrected_mean

STUDIES = 4_000
TASKS = 8

Draw = Callable[[np.random.Generator, tuple[int, ...]], Numbers]


def normal(chance: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    return chance.normal(0, 10, shape)


def skewed(chance: np.random.Generator, shape: tuple[int, ...]) -> Numbers:
    """Scores near the top of their scale, with a tail below, like a judge's; their mean is 0."""
    return 10 * (2 - chance.gamma(2, 1, shape))


def draw_studies(draw: Draw, images: int, studies: int, seed: int) -> tuple[Numbers, Codes]:
    """Scores of TASKS answers about each image, half of whose variance is the image's; every third image lacks half of
    its answers, so that clusters are of unequal size."""
    chance = np.random.default_rng(seed)
    scores = (draw(chance, (studies, images, 1)) + draw(chance, (studies, images, TASKS))) / np.sqrt(2)
    clusters = np.repeat(np.arange(images), TASKS)
    kept = (np.arange(images * TASKS) % TASKS < TASKS // 2) | (clusters % 3 > 0)
    return scores.reshape(studies, -1)[:, kept], clusters[kept]


def share_covered(figures: list[Estimate], truth: float = 0) -> float:
    return float(np.mean([figure.low <= truth <= figure.high for figure in figures]))  # type: ignore[operator]


@pytest.mark.parametrize("images", [7, 15, 30, 100, 1_000])
@pytest.mark.parametrize("draw", [normal, skewed])
def test_a_mean_s_interval(draw: Draw, images: int, record_property: Callable[[str, object], None]) -> None:
    scores, clusters = draw_studies(
        draw, images, STUDIES * 3 if images < 20 else STUDIES if images < 1_000 else STUDIES // 2, seed=images
    )
    covered = share_covered([clustered_mean(study, clusters) for study in scores])
    plain = share_covered([clustered_mean(study, clusters, skewed=False) for study in scores])
    record_property("summary", f"{draw.__name__}, {images:,} images: {covered:.1%} covered, {plain:.1%} by plain t")
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("images", [7, 100])
def test_scores_that_are_as_skewed_as_waiting_times(
    images: int, record_property: Callable[[str, object], None]
) -> None:
    """One answer about each image, and a skewness of 2: plain t covers 89 % at 7 images."""
    scores = 1 - np.random.default_rng(images).exponential(size=(STUDIES, images))
    covered = share_covered([clustered_mean(study, np.arange(images)) for study in scores])
    record_property("summary", f"exponential, {images} images, one answer each: {covered:.1%} covered")
    assert 0.92 <= covered <= 0.97


@pytest.mark.parametrize("draw", [normal, skewed])
def test_answers_are_not_independent(draw: Draw) -> None:
    """The same intervals, if all answers counted as independent: this is why there are clusters."""
    scores, _ = draw_studies(draw, 100, 1_000, seed=1)
    each = np.arange(scores.shape[1])
    assert share_covered([clustered_mean(study, each) for study in scores]) < 0.8


@pytest.mark.parametrize("draw", [normal, skewed])
@pytest.mark.parametrize("images", [7, 100])
def test_a_paired_difference_s_interval(draw: Draw, images: int) -> None:
    first, clusters = draw_studies(draw, images, 2_000, seed=2)
    second, _ = draw_studies(draw, images, 2_000, seed=3)
    found = [clustered_mean(a - b, clusters, skewed=False) for a, b in zip(first, second, strict=True)]
    assert 0.93 <= share_covered(found) <= 0.97


@pytest.mark.parametrize("draw", [normal, skewed])
def test_an_unpaired_difference_s_interval(draw: Draw) -> None:
    first, clusters = draw_studies(draw, 12, 2_000, seed=4)
    second, others = draw_studies(draw, 40, 2_000, seed=5)
    found = [
        unpaired_difference(clustered_mean(a, clusters), clustered_mean(2 * b, others)).estimate
        for a, b in zip(first, second, strict=True)
    ]
    assert 0.93 <= share_covered(found) <= 0.97


@pytest.mark.parametrize("draw", [normal, skewed])
@pytest.mark.parametrize("images", [15, 200])
def test_a_macro_mean_s_interval(draw: Draw, images: int) -> None:
    """Of eight tasks about the same images; the second half of the tasks lacks some."""
    scores, clusters = draw_studies(draw, images, 2_000, seed=6)
    tasks = np.arange(len(clusters)) % TASKS
    parts = [tasks == task for task in range(TASKS)]
    found = [macro_mean([(study[part], clusters[part]) for part in parts]) for study in scores]
    assert 0.93 <= share_covered(found) <= 0.97


def test_a_family_of_1440_comparisons_finds_nothing_where_there_is_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    """Ten models of equal worth in 32 cells of 60 images, 2 × 2,000 times. Holm's first step decides whether anything
    is found, so only the smallest p is computed."""
    chance = np.random.default_rng(71)
    one, other = np.triu_indices(10, 1)
    images, found, families = 60, 0, 4_000
    for family in range(families):
        scores = (normal if family % 2 else skewed)(chance, (32, 10, images))
        differences = (scores[:, one] - scores[:, other]).reshape(-1, images)
        assert len(differences) == 1_440
        extreme = np.abs(differences.sum(axis=1)) / np.sqrt((differences**2).sum(axis=1))
        smallest = sign_flip_p(differences[extreme.argmax()], np.arange(images), flips=999)
        found += holm([smallest] + [1.0] * 1_439)[0] < 0.05
    record_property("summary", f"families of 1,440 null comparisons with a find: {found / families:.1%}")
    assert found / families <= 0.055


def test_a_family_of_six_comparisons_finds_nothing_where_there_is_nothing(
    record_property: Callable[[str, object], None],
) -> None:
    """Four models of equal worth, 20 images, 2,000 times: 12,000 null comparisons, all by the public functions."""
    chance = np.random.default_rng(8)
    one, other = np.triu_indices(4, 1)
    images, found, families = 20, 0, 2_000
    for _ in range(families):
        scores = skewed(chance, (1, images)) + skewed(chance, (4, images))
        chances = [
            sign_flip_p(scores[a] - scores[b], np.arange(images), flips=1_999) for a, b in zip(one, other, strict=True)
        ]
        found += min(holm(chances)) < 0.05
    record_property("summary", f"families of 6 null comparisons with a find: {found / families:.1%}")
    assert 0.01 <= found / families <= 0.055


@pytest.mark.parametrize("images", [30, 100])
def test_the_smallest_difference_is_found_four_times_in_five(
    images: int, record_property: Callable[[str, object], None]
) -> None:
    first, clusters = draw_studies(normal, images, 2_000, seed=9)
    second, _ = draw_studies(normal, images, 2_000, seed=10)
    stated = [smallest_detectable(clustered_mean(study, clusters, skewed=False)) for study in first - second]
    least = float(np.mean([each for each in stated if each is not None]))
    found = [sign_flip_p(a - b + least, clusters, flips=1_999) < 0.05 for a, b in zip(first, second, strict=True)]
    record_property("summary", f"{images} images: the stated smallest difference is found by {np.mean(found):.1%}")
    assert 0.78 <= np.mean(found) <= 0.82


def test_people_correct_a_judge(record_property: Callable[[str, object], None]) -> None:
    """1,000 answers, 100 of them rated by people at random; the judge is 8 points too kind, has a slope of 0.5 and a
    correlation of 0.7."""
    chance = np.random.default_rng(11)
    corrected, people_alone, raw, widths = [], [], [], []
    for _ in range(2_000):
        true = chance.normal(60, 15, 1_000)
        judged = 38 + 0.5 * true + chance.normal(0, 7.5 * np.sqrt(1 / 0.49 - 1), 1_000)
        each = np.arange(1_000)
        part = corrected_mean(true[:100], judged[:100], each[:100], judged[100:], each[100:])
        assert part is not None
        found = combine_corrected([(1, part)])
        alone = clustered_mean(true[:100], each[:100], skewed=False)
        corrected.append(found)
        people_alone.append(alone)
        raw.append(clustered_mean(judged, each))
        widths.append((found.high - found.low) / (alone.high - alone.low))  # type: ignore[operator]
    covered = share_covered(corrected, 60)
    record_property("summary", f"corrected by people: {covered:.1%} covered, {np.mean(widths):.2f} of the width")
    assert 0.93 <= covered <= 0.97
    assert 0.93 <= share_covered(people_alone, 60) <= 0.97
    assert share_covered(raw, 60) < 0.01
    assert np.mean(widths) <= 0.8


def test_people_correct_a_judge_of_several_answers_about_an_image() -> None:
    """200 images with eight answers each; people rate all answers about 40 of them."""
    chance = np.random.default_rng(12)
    found = []
    clusters = np.repeat(np.arange(200), TASKS)
    rated = clusters < 40
    for _ in range(2_000):
        true = 60 + (chance.normal(0, 8, 200)[clusters] + chance.normal(0, 8, 200 * TASKS))
        judged = 40 + 0.5 * true + chance.normal(0, 4, 200)[clusters] + chance.normal(0, 4, 200 * TASKS)
        figure = corrected_mean(true[rated], judged[rated], clusters[rated], judged[~rated], clusters[~rated])
        assert figure is not None
        found.append(combine_corrected([(1, figure)]))
    assert 0.93 <= share_covered(found, 60) <= 0.97


@pytest.mark.parametrize("rated", [20, 40, 100])
@pytest.mark.parametrize("shared", [True, False], ids=["same images", "other images"])
def test_people_correct_macro_means_and_gaps(
    rated: int, shared: bool, record_property: Callable[[str, object], None]
) -> None:
    """Two languages of four tasks, 200 images; of each cell, people have rated so many answers, drawn at random by
    cell. The judge is 8 points too kind in one language and 2 too strict in the other; half of what makes an answer
    good is its image's. One language is 5 points better."""
    chance = np.random.default_rng(100 + rated + shared)
    images, tasks, macros, gaps, raw = 200, 4, [], [], []
    for _ in range(2_000):
        of_image = chance.normal(0, 8, (1 if shared else 2, images))
        cells = []
        for language, (mean, kind) in enumerate(((60, 8), (65, -2))):
            for _ in range(tasks):
                true = mean + of_image[0 if shared else language] + chance.normal(0, 8, images)
                judged = kind + 30 + 0.5 * true + chance.normal(0, 5, images)
                cells.append(_rate(chance, true, judged, rated, 0 if shared else language * images))
        macros.append(combine_corrected([(1 / len(cells), each) for each in cells]))
        gaps.append(
            combine_corrected([((-1 if number < tasks else 1) / tasks, each) for number, each in enumerate(cells)])
        )
        raw.append(combine_corrected([(-1, cells[0]), (1, cells[tasks])]))
    covered = [share_covered(macros, 62.5), share_covered(gaps, 5), share_covered(raw, 5)]
    shown = ", ".join(f"{share:.1%}" for share in covered)
    record_property("summary", f"{rated} rated of {images}, {'same' if shared else 'other'} images: {shown} covered")
    assert all(0.93 <= share <= 0.97 for share in covered), shown


def _rate(chance: np.random.Generator, true: Numbers, judged: Numbers, rated: int, first_image: int) -> Corrected:
    """Of a cell whose answers people have rated at random."""
    drawn = np.zeros(len(true), dtype=bool)
    drawn[chance.choice(len(true), rated, replace=False)] = True
    clusters = first_image + np.arange(len(true))
    found = corrected_mean(true[drawn], judged[drawn], clusters[drawn], judged[~drawn], clusters[~drawn])
    assert found is not None
    return found


def test_paired_comparison_is_seeded() -> None:
    scores, clusters = draw_studies(skewed, 40, 2, seed=13)
    first, second = paired_difference(*scores, clusters), paired_difference(*scores, clusters)
    assert first == second

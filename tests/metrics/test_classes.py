"""Metrics of classes and of numbers, compared with values worked out by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.metrics.classes import accuracy, balanced_accuracy, f1_of, macro_f1, majority_accuracy
from vlures.metrics.errors import mean_absolute_error, median_error

LABELS = ["yes"] * 4 + ["no"] * 6
ANSWERS = ["yes", "yes", "no", None, "no", "no", "no", "no", "yes", None]


def test_a_missing_answer_is_wrong_in_every_metric() -> None:
    assert accuracy(LABELS, ANSWERS) == pytest.approx(6 / 10)
    assert balanced_accuracy(LABELS, ANSWERS) == pytest.approx((2 / 4 + 4 / 6) / 2)
    # 2 hits; misses: no, None; false alarms: yes, None
    assert f1_of("yes", LABELS, ANSWERS) == pytest.approx(2 * 2 / (2 * 2 + 2 + 2))
    yes, no = 2 * 2 / (2 * 2 + 2 + 1), 2 * 4 / (2 * 4 + 2 + 1)
    assert macro_f1(LABELS, ANSWERS) == pytest.approx((yes + no) / 2)
    assert majority_accuracy(LABELS) == 0.6


def test_answering_nothing_is_no_way_to_a_good_f1() -> None:
    nothing: list[str | None] = [None] * len(LABELS)
    assert f1_of("yes", LABELS, nothing) == 0
    only_yes = ["yes" if label == "yes" else None for label in LABELS]
    assert f1_of("yes", LABELS, only_yes) == f1_of("yes", LABELS, ["yes"] * len(LABELS))


def test_a_class_that_no_label_has_is_merely_wrong() -> None:
    assert macro_f1(["high", "low"], ["high", "deep"]) == pytest.approx(1 / 2)
    assert balanced_accuracy(["high", "high"], ["high", "deep"]) == 0.5
    assert f1_of("yes", ["no"], ["no"]) is None
    assert f1_of("yes", ["no"], [None]) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "d", None])), min_size=1))
def test_every_metric_is_between_0_and_1(pairs: list[tuple[str, str | None]]) -> None:
    labels, answers = [label for label, _ in pairs], [answer for _, answer in pairs]
    for metric in (accuracy, balanced_accuracy, macro_f1):
        assert 0 <= metric(labels, answers) <= 1
        assert metric(labels, list(labels)) == 1
        assert metric(labels, [None] * len(labels)) == 0
    assert majority_accuracy(labels) >= 1 / 3


def test_errors_are_in_the_unit_of_the_labels() -> None:
    assert mean_absolute_error([1, 2, 3], [2, 2, 5]) == 1
    assert median_error([1, 2, 6]) == pytest.approx(5 / 3)


def test_what_has_no_value_is_refused() -> None:
    for call in (lambda: accuracy([], []), lambda: median_error([]), lambda: mean_absolute_error([1], [])):
        with pytest.raises(ValueError, match="labels"):
            call()

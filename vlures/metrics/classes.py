"""How right answers from a set of classes are. A missing answer is None, and is wrong in every metric.

scikit-learn computes what it has: https://scikit-learn.org/stable/modules/model_evaluation.html
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

from vlures.errors import VluresError

_MISSING = "\0"
"""Stands for a missing answer: a class that no reference answer has."""


def load_scikit_learn() -> Any:
    """`sklearn.metrics`, loaded on use. Raises VluresError if it is not installed."""
    try:
        import sklearn.metrics
    except ImportError as error:
        raise VluresError("Scores need the package scikit-learn; get it with `pip install 'vlures[score]'`.") from error
    return sklearn.metrics


def accuracy(labels: Sequence[str], answers: Sequence[str | None]) -> float:
    """The share of right answers, from 0 to 1. Raises ValueError without labels."""
    _check(labels, answers)
    return float(load_scikit_learn().accuracy_score(list(labels), _filled(answers)))


def balanced_accuracy(labels: Sequence[str], answers: Sequence[str | None]) -> float:
    """The mean, over the classes that occur among the labels, of the share of right answers to each. Where there is one
    class, that is the accuracy.

    Source: Brodersen et al. (2010), The balanced accuracy and its posterior distribution, ICPR, 3121-3124.
    """
    _check(labels, answers)
    with warnings.catch_warnings():
        # A missing answer, or one of a class that no label has, is meant: it lowers the recall of the label's class.
        warnings.simplefilter("ignore", UserWarning)
        return float(load_scikit_learn().balanced_accuracy_score(list(labels), _filled(answers)))


def macro_f1(labels: Sequence[str], answers: Sequence[str | None]) -> float:
    """The mean F1 of the classes that occur among the labels. An answer of another class is merely wrong: it adds no
    class with an F1 of 0."""
    _check(labels, answers)
    classes = sorted(set(labels))
    return float(
        load_scikit_learn().f1_score(list(labels), _filled(answers), labels=classes, average="macro", zero_division=0)
    )


def f1_of(positive: str, labels: Sequence[str], answers: Sequence[str | None]) -> float | None:
    """The F1 of one of two classes. None if it occurs neither among the labels nor among the answers.

    A missing answer counts as the wrong one of the two: as a miss where the label is positive, as a false alarm where
    it is not. Otherwise a model that answers nothing would look as if it had said the other class throughout.
    """
    _check(labels, answers)
    truths = [label == positive for label in labels]
    given = [not truth if answer is None else answer == positive for truth, answer in zip(truths, answers, strict=True)]
    if not any(truths) and not any(given):
        return None
    return float(load_scikit_learn().f1_score(truths, given, zero_division=0))


def majority_accuracy(labels: Sequence[str]) -> float:
    """The accuracy of giving the commonest label every time."""
    _check(labels, labels)
    return Counter(labels).most_common(1)[0][1] / len(labels)


def _filled(answers: Sequence[str | None]) -> list[str]:
    return [_MISSING if answer is None else answer for answer in answers]


def _check(labels: Sequence[object], answers: Sequence[object]) -> None:
    if not labels or len(labels) != len(answers):
        raise ValueError("there must be labels, and as many answers")

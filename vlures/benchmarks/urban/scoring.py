"""Scores answers to street-view questions: every figure by group and by subtype, with what it stands on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vlures.benchmarks import Parser, Question, Scores
from vlures.benchmarks.urban.answer_files import read_answers
from vlures.benchmarks.urban.benchmark import question_of
from vlures.benchmarks.urban.options import Options
from vlures.benchmarks.urban.parsing import Invalid, Value, parse_answer
from vlures.benchmarks.urban.parsing.names import same_thing
from vlures.benchmarks.urban.prompts import make_prompt
from vlures.benchmarks.urban.rows import QaFile, UrbanRow, name_qa_check, read_qa_file
from vlures.benchmarks.urban.subtypes import BINARY, NUMERIC, AnswerKind, read_wordings
from vlures.benchmarks.urban.variant import UrbanVariant
from vlures.errors import VluresError
from vlures.metrics.classes import accuracy, balanced_accuracy, f1_of, macro_f1, majority_accuracy
from vlures.metrics.errors import mean_absolute_error, median_error
from vlures.metrics.intervals import mean_interval, proportion_interval
from vlures.records import Response

State = Literal["valid", "invalid", "truncated", "refused", "failed", "missing"]
"""valid: the answer has a value. invalid: the model answered, and the answer has none. missing: nothing is stored."""
STATES: tuple[State, ...] = get_args(State)

_AS_YES_NO = {"complex": "yes", "simple": "no"}
"""So that all binary subtypes of a group have the same two classes."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What was answered to one question."""

    row: UrbanRow
    raw: str | None
    """The model's text, as far as it gave one."""
    state: State
    value: Value | None
    reason: str | None
    """Why there is no value."""

    @property
    def is_right(self) -> bool:
        if self.value is None:
            return False
        if isinstance(self.value, str) and self.row.subtype.answer == "thing":
            return same_thing(self.value) == same_thing(str(self.row.label))
        return self.value == self.row.label

    def as_row(self) -> dict[str, Any]:
        """A line of predictions.jsonl."""
        return {
            "sample_id": self.row.id,
            "image_id": self.row.image_id,
            "question": self.row.question,
            "subtype": self.row.written_subtype,
            "group": self.row.subtype.group,
            "raw": self.raw,
            "state": self.state,
            "valid": self.value is not None,
            "value": self.value,
            "reason": self.reason,
            "label": self.row.label,
            "right": self.is_right,
        }


@dataclass(frozen=True, slots=True)
class UrbanScorer:
    """As vlures.benchmarks.Scorer."""

    qa_file: QaFile
    variant: UrbanVariant

    def score(self, responses: Mapping[Question, Response], parser: Parser, about: Mapping[str, Any]) -> Scores:
        from vlures.benchmarks.urban.score_report import describe_scores

        if parser == "legacy":
            from vlures.benchmarks.urban.legacy_scoring import score_legacy

            return score_legacy(self, responses, self.describe(responses, parser, about))
        predictions = [self.predict(row, responses.get(question_of(row))) for row in self.qa_file.rows]
        content = {"about": self.describe(responses, parser, about), "figures": figures_of(predictions)}
        return Scores(content, describe_scores(content), [prediction.as_row() for prediction in predictions])

    def read_answers(self, path: Path, say: Callable[[str], None]) -> Mapping[Question, Response]:
        return read_answers(path, self.qa_file, say)

    def predict(self, row: UrbanRow, response: Response | None) -> Prediction:
        """Read one answer. What was cut off, refused or failed has no value, whatever its text says."""
        if response is None:
            return Prediction(row, None, "missing", None, "no answer is stored")
        if response.status != "ok":
            error = response.error
            why = f": {error.message}" if error else f" ({response.finish_reason})" if response.finish_reason else ""
            return Prediction(row, response.text, response.status, None, f"{response.status}{why}")
        value = parse_answer(
            response.text or "",
            row.subtype,
            cot=self.variant.cot,
            about=row.slots.get("object", ""),
            known=self.qa_file.labels if row.subtype.answer == "thing" else (),
            asked=(make_prompt(row, self.variant), row.question),
        )
        if isinstance(value, Invalid):
            return Prediction(row, response.text, "invalid", None, value.reason)
        return Prediction(row, response.text, "valid", value, None)

    def describe(
        self, responses: Mapping[Question, Response], parser: Parser, about: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What every figure is about."""
        asked = {question_of(row) for row in self.qa_file.rows}
        return {
            "benchmark": "urban",
            **about,
            "prompt_style": self.variant.style,
            "cot": self.variant.cot,
            "parser": parser,
            "qa_file": str(self.qa_file.path),
            "questions": len(self.qa_file.rows),
            "images": len({row.cluster for row in self.qa_file.rows}),
            "rows_left_out": self.qa_file.left_out,
            "check": name_qa_check(self.qa_file, self.variant.style),
            "answers_outside": len(responses.keys() - asked),
        }


def find_scorer(options: Options) -> UrbanScorer:
    """Read the questions and reference answers; images are not needed. Raises VluresError for a QA file that cannot be
    read or has no question."""
    qa_file = read_qa_file(options, with_images=False)
    if not qa_file.rows:
        check = name_qa_check(qa_file, options.prompt_style)
        raise VluresError(f"{qa_file.path} has no question that can be scored; see why with `{check}`.")
    return UrbanScorer(qa_file, options.variant)


def figures_of(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The figures of each group, each followed by those of its subtypes, in the order of the table of subtypes."""
    found: list[dict[str, Any]] = []
    by_group: dict[str, dict[str, list[Prediction]]] = {}
    for prediction in predictions:
        subtype = prediction.row.subtype
        by_group.setdefault(subtype.group, {}).setdefault(subtype.name, []).append(prediction)
    order = list(read_wordings().subtypes)
    groups = dict.fromkeys(read_wordings().subtypes[name].group for name in order)
    for group in groups:
        subtypes = by_group.get(group, {})
        if not subtypes:
            continue
        names = sorted(subtypes, key=order.index)
        every = [prediction for name in names for prediction in subtypes[name]]
        found.append({"group": group, "subtype": None, **_figures(every)})
        found += [{"group": group, "subtype": name, **_figures(subtypes[name])} for name in names]
    return found


def _figures(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """What is asked in different ways is not averaged: a metric of classes needs the same classes in every subtype, an
    error the same unit. None where that is not so, or where the metric does not apply."""
    count = len(predictions)
    states = Counter(prediction.state for prediction in predictions)
    kinds = {prediction.row.subtype.answer for prediction in predictions}
    clusters = [prediction.row.cluster for prediction in predictions]
    figures: dict[str, Any] = {
        "n": count,
        "images": len(set(clusters)),
        "states": {state: states[state] for state in STATES if states[state]},
        "coverage": states["valid"] / count,
        "invalid_rate": states["invalid"] / count,
        "accuracy": None,
        "accuracy_interval": None,
        "balanced_accuracy": None,
        "f1_yes": None,
        "macro_f1": None,
        "majority_accuracy": None,
        "mae": None,
        "mae_n": None,
        "mae_interval": None,
        "median_mae": None,
    }
    if not kinds & {"proportion", "number"}:  # equality tells little of what is measured
        right = [prediction.is_right for prediction in predictions]
        figures["accuracy"] = sum(right) / count
        figures["accuracy_interval"] = proportion_interval(right, clusters)
        figures["majority_accuracy"] = _majority(predictions)
    if len(kinds) == 1 and kinds <= NUMERIC:
        figures |= _errors(predictions)
    elif len(kinds) == 1 or kinds <= BINARY:
        figures |= _class_figures(predictions, kinds)
    return figures


def _class_figures(predictions: Sequence[Prediction], kinds: set[AnswerKind]) -> dict[str, Any]:
    is_binary = kinds <= BINARY
    labels = [_class_of(prediction.row.label, is_binary) for prediction in predictions]
    answers = [
        None if prediction.value is None else _class_of(prediction.value, is_binary) for prediction in predictions
    ]
    return {
        "accuracy": accuracy(labels, answers),
        "balanced_accuracy": balanced_accuracy(labels, answers),
        "f1_yes": f1_of("yes", labels, answers) if is_binary else None,
        "macro_f1": macro_f1(labels, answers),
    }


def _class_of(value: Value, is_binary: bool) -> str:
    return _AS_YES_NO.get(str(value), str(value)) if is_binary else same_thing(str(value))


def _errors(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Over the answers that are numbers alone: what is missing has no error. mae_n says how many they are."""
    labels = [float(prediction.row.label) for prediction in predictions]
    valid = [
        (float(prediction.row.label), float(prediction.value), prediction.row.cluster)
        for prediction in predictions
        if prediction.value is not None
    ]
    figures: dict[str, Any] = {"mae_n": len(valid), "median_mae": median_error(labels)}
    if valid:
        wanted, given, clusters = zip(*valid, strict=True)
        figures["mae"] = mean_absolute_error(wanted, given)
        off = [abs(label - value) for label, value, _ in valid]
        bounds = mean_interval(off, clusters)
        figures["mae_interval"] = bounds and (max(0.0, bounds[0]), bounds[1])  # no error is below 0
    return figures


def _majority(predictions: Sequence[Prediction]) -> float:
    """The accuracy of giving each subtype's commonest reference answer every time."""
    labels: dict[str, list[str]] = {}
    for prediction in predictions:
        row = prediction.row
        label = same_thing(str(row.label)) if row.subtype.answer == "thing" else str(row.label)
        labels.setdefault(row.subtype.name, []).append(label)
    right = sum(majority_accuracy(found) * len(found) for found in labels.values())
    return right / len(predictions)

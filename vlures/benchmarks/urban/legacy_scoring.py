"""The figures that the benchmark's original evaluation would print, as far as its rules are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vlures.benchmarks import Question, Scores
from vlures.benchmarks.urban import legacy_parsing as legacy
from vlures.benchmarks.urban.benchmark import question_of
from vlures.benchmarks.urban.legacy_parsing import UNSETTLED, LegacyReading
from vlures.benchmarks.urban.rows import UrbanRow
from vlures.benchmarks.urban.score_report import NONE, decimals, heading, share
from vlures.benchmarks.urban.scoring import State, UrbanScorer
from vlures.benchmarks.urban.subtypes import AnswerKind, all_groups
from vlures.errors import VluresError, counted
from vlures.metrics.classes import accuracy, f1_of, macro_f1
from vlures.metrics.errors import mean_absolute_error
from vlures.records import Response

Legacy = float | str

READINGS: Mapping[LegacyReading, Callable[[str], Legacy]] = {
    "binary": legacy.read_binary,
    "scalar": legacy.read_scalar,
    "count": legacy.read_count,
    "category": legacy.read_category,
    "layout": legacy.read_layout,
    "object": legacy.read_object,
}
OF_KIND: Mapping[AnswerKind, LegacyReading] = {
    "yes_no": "binary",
    "complex_simple": "binary",
    "count": "count",
    "proportion": "scalar",
    "number": "scalar",
    "level": "category",
    "side": "layout",
    "thing": "object",
}
"""The other kinds, those that choose between words, are right where the answer contains the label."""
EQUAL_WITHIN = 1e-4

TWO_VERSIONS = (
    "two versions of the original differ: one reports texts and numbers as one set of classes, the other takes the F1 "
    "of right answers, which is 2a / (1 + a) at an accuracy of a"
)
NOT_TOLD_APART = "depth.range: Complex and Simple are both read as 0, so every answer is right that is not a yes"
ADVANCED = "advanced_"

EXPLANATION = """\
These figures follow the original evaluation's rules, mistakes included, and serve for comparison with published numbers
alone. An answer that cannot be read is "no", 0 or "unknown"; what failed is left out of n. The scores of
`vlures score` without `--parser legacy` are the ones to report."""


@dataclass(frozen=True, slots=True)
class _Read:
    """One answer and its label, as the original reads them."""

    row: UrbanRow
    raw: str
    state: State
    label: Legacy
    value: Legacy
    is_right: bool


def score_legacy(scorer: UrbanScorer, responses: Mapping[Question, Response], about: Mapping[str, Any]) -> Scores:
    """Raises VluresError if no question has an answer in words."""
    read: dict[str, list[_Read]] = {}
    for row in scorer.qa_file.rows:
        response = responses.get(question_of(row))
        if response is not None and response.text is not None:  # cut off or not
            state: State = "valid" if response.status == "ok" else response.status
            read.setdefault(row.subtype.group, []).append(_read(row, response.text, state))
    if not read:
        raise VluresError(f"No question of {scorer.qa_file.path} has an answer in words, so there is nothing to score.")
    figures = [_figures(group, read[group]) for group in all_groups() if group in read]
    left_out = len(scorer.qa_file.rows) - sum(figure["n"] for figure in figures)
    content = {"about": {**about, "without_an_answer": left_out}, "figures": figures}
    rows = [_as_row(one) for group in read.values() for one in group]
    return Scores(content, _describe(content), rows)


def _read(row: UrbanRow, text: str, state: State) -> _Read:
    reading = OF_KIND.get(row.subtype.answer)
    if reading is None:
        label, value = row.answer.lower().strip(), legacy.clean(text)
        return _Read(row, text, state, label, value, label in value)
    wanted, given = READINGS[reading](row.answer), READINGS[reading](text)
    if isinstance(wanted, float) and isinstance(given, float):
        equal = int(wanted) == int(given) if reading == "count" else abs(wanted - given) <= EQUAL_WITHIN
        return _Read(row, text, state, wanted, given, equal)
    return _Read(row, text, state, wanted, given, wanted == given)


def _figures(group: str, read: Sequence[_Read]) -> dict[str, Any]:
    """Which metric a group gets depends on its name, as in the original."""
    labels, values = [one.label for one in read], [one.value for one in read]
    figures: dict[str, Any] = {
        "group": group,
        "n": len(read),
        "mae": None,
        "accuracy": None,
        "f1_yes": None,
        "macro_f1": None,
        "f1_of_right": None,
        "unsettled": _find_unsettled(group, read),
    }
    if "scalar" in group or "numeric" in group:
        figures["mae"] = mean_absolute_error([float(label) for label in labels], [float(value) for value in values])
        return figures
    share_right = sum(one.is_right for one in read) / len(read)
    if group.startswith(ADVANCED):
        return figures | {"accuracy": share_right, "f1_of_right": 2 * share_right / (1 + share_right)}
    wanted, given = list(map(str, labels)), list(map(str, values))
    if "binary" in group:
        return figures | {"accuracy": accuracy(wanted, given), "f1_yes": f1_of("1.0", wanted, given) or 0.0}
    # The original's report averages over all classes that occur, in labels or answers.
    over_all = macro_f1(wanted, given) * len(set(wanted)) / len({*wanted, *given})
    return figures | {"accuracy": accuracy(wanted, given), "macro_f1": over_all}


def _find_unsettled(group: str, read: Sequence[_Read]) -> list[str]:
    """What is not known of the original, or known to be wrong with it, in this group."""
    kinds = {one.row.subtype.answer for one in read}
    readings = [reading for kind in sorted(kinds) if (reading := OF_KIND.get(kind)) is not None]
    found = [UNSETTLED[reading] for reading in readings if reading in UNSETTLED]
    if group.startswith(ADVANCED):
        found.append(TWO_VERSIONS)
    if "complex_simple" in kinds:
        found.append(NOT_TOLD_APART)
    return list(dict.fromkeys(found))


def _as_row(one: _Read) -> dict[str, Any]:
    return {
        "sample_id": one.row.id,
        "image_id": one.row.image_id,
        "question": one.row.question,
        "subtype": one.row.written_subtype,
        "group": one.row.subtype.group,
        "raw": one.raw,
        "state": one.state,
        "valid": True,
        "value": one.value,
        "reason": None,
        "label": one.label,
        "right": one.is_right,
    }


def _describe(content: Mapping[str, Any]) -> str:
    from tabulate import tabulate

    headers = ("group", "n", "MAE", "accuracy", "F1 (yes)", "macro-F1", "F1 of right", "not settled")
    marks = list(dict.fromkeys(mark for figure in content["figures"] for mark in figure["unsettled"]))
    rows = [
        [
            figure["group"],
            f"{figure['n']:,}",
            decimals(figure["mae"]),
            share(figure["accuracy"]),
            decimals(figure["f1_yes"]),
            decimals(figure["macro_f1"]),
            decimals(figure["f1_of_right"]),
            ", ".join(f"({marks.index(mark) + 1})" for mark in figure["unsettled"]) or NONE,
        ]
        for figure in content["figures"]
    ]
    table = tabulate(rows, headers, tablefmt="pipe", disable_numparse=True)
    left_out = content["about"]["without_an_answer"]
    sections = [heading(content["about"]), EXPLANATION]
    if left_out:
        sections.append(
            f"{counted(left_out, 'question', 'has', 'have')} no answer in words and no part in these figures."
        )
    notes = "\n".join(f"({number}) {mark}" for number, mark in enumerate(marks, 1))
    return "\n\n".join([*sections, table, *([notes] if notes else [])]) + "\n"

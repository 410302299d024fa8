"""Scores as a page of Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from vlures.errors import counted
from vlures.safety.control_characters import as_line

CLASSES = ("n", "coverage", "invalid", "accuracy", "95 % interval", "majority", "balanced", "F1 (yes)", "macro-F1")
NUMBERS = ("n", "coverage", "invalid", "MAE", "95 % interval", "of n", "median")
FIRST = "group · subtype"
NONE = "–"
EXPLANATION = """\
- **n**: questions, whether answered or not. What failed, was refused, was cut off or cannot be read counts as wrong.
- **coverage**: the share of n whose answer has a value. **invalid**: the share that the model answered in words that
  have none. The rest was not answered.
- **95 % interval**: by image, because several questions about one image are not independent.
- **majority**: the accuracy of giving each subtype's commonest answer every time.
- **F1 (yes)**: what is missing counts as a miss or as a false alarm. Complex counts as yes.
- **MAE**: over the answers that are numbers, whose share of n stands beside it. **median**: the error of giving the
  median of the reference answers every time."""


def describe_scores(content: Mapping[str, Any]) -> str:
    """content: as scores.json has it."""
    figures = [figure for figure in content["figures"] if not _repeats(figure, content["figures"])]
    classes = [[_name(one, content["figures"]), *_class_row(one)] for one in figures if one["accuracy"] is not None]
    numbers = [[_name(one, content["figures"]), *_number_row(one)] for one in figures if one["median_mae"] is not None]
    sections = [
        heading(content["about"]),
        *describe_missing(content),
        *([_tabulate("Right or wrong", CLASSES, classes)] if classes else []),
        *([_tabulate("How far off", NUMBERS, numbers)] if numbers else []),
        EXPLANATION,
    ]
    return "\n\n".join(sections) + "\n"


def _tabulate(title: str, headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    from tabulate import tabulate

    sides = ("left", *["right"] * len(headers))
    table = tabulate(rows, (FIRST, *headers), tablefmt="pipe", disable_numparse=True, colalign=sides)
    return f"## {title}\n\n{table}"


def _repeats(figure: Mapping[str, Any], figures: Sequence[Mapping[str, Any]]) -> bool:
    """Whether it is the only subtype of its group, whose figures are the same."""
    return figure["subtype"] is not None and _count_subtypes(figure, figures) == 1


def _count_subtypes(figure: Mapping[str, Any], figures: Sequence[Mapping[str, Any]]) -> int:
    return sum(other["group"] == figure["group"] and other["subtype"] is not None for other in figures)


def _name(figure: Mapping[str, Any], figures: Sequence[Mapping[str, Any]]) -> str:
    if figure["subtype"] is not None:
        return f"· {figure['subtype']}"
    if _count_subtypes(figure, figures) > 1:
        return f"**{figure['group']}**"
    only = next(other["subtype"] for other in figures if other["group"] == figure["group"] and other["subtype"])
    return f"**{figure['group']}** · {only}"


def heading(about: Mapping[str, Any]) -> str:
    """What the figures are about, as a heading and a list: no figure is understood without it."""
    style = f"{about['prompt_style']}{' with reasoning (--cot)' if about['cot'] else ''}"
    lines = [
        f"# Scores of {about.get('run') or about.get('answers')}: prompt style {style}, parser {about['parser']}",
        "",
        *(f"- {name}: {about[name]}" for name in ("model", "provider") if about.get(name)),
        f"- QA file: {about['qa_file']}, {counted(about['questions'], 'question')} about "
        f"{counted(about['images'], 'image')}",
        *_describe_rest(about),
        f"- again: `{about['command']}`",
    ]
    return "\n".join(map(as_line, lines))


def _describe_rest(about: Mapping[str, Any]) -> Iterator[str]:
    """What else must be known of the figures."""
    if about.get("rehearsal"):
        yield "- **a rehearsal**: a sandbox gave the answers, so the figures say nothing about the model"
    if left_out := about["rows_left_out"]:
        yield f"- {counted(left_out, 'row')} of it left out: `{about['check']}` names them"
    if outside := about["answers_outside"]:
        yield f"- {counted(outside, 'stored answer', 'is', 'are')} to questions outside of the last run's selection"


def describe_missing(content: Mapping[str, Any]) -> Iterator[str]:
    """A sentence about what was not answered, over all groups."""
    states: Counter[str] = Counter()
    for figure in content["figures"]:
        if figure["subtype"] is None:
            states.update(figure["states"])
    is_run = content["about"].get("run") is not None
    words = {
        "missing": "not answered yet: `vlures run` asks" if is_run else "not answered",
        "failed": "failed: `vlures run` asks again" if is_run else "answered without a text",
        "refused": "refused",
        "truncated": "cut off: raise --max-output-tokens, then `vlures run --redo truncated`",
        "invalid": "without a value: predictions.jsonl says why",
    }
    said = [f"{states[state]:,} {text}" for state, text in words.items() if states[state]]
    if said:
        yield f"{states['valid']:,} of {counted(states.total(), 'question')} have a value; {'; '.join(said)}."


def _class_row(figures: Mapping[str, Any]) -> Iterator[str]:
    yield from _coverage(figures)
    yield share(figures["accuracy"])
    yield _interval(figures["accuracy_interval"], share)
    yield share(figures["majority_accuracy"])
    yield share(figures["balanced_accuracy"])
    yield decimals(figures["f1_yes"])
    yield decimals(figures["macro_f1"])


def _number_row(figures: Mapping[str, Any]) -> Iterator[str]:
    yield from _coverage(figures)
    yield decimals(figures["mae"])
    yield _interval(figures["mae_interval"], decimals)
    yield share(figures["mae_n"] / figures["n"])
    yield decimals(figures["median_mae"])


def _coverage(figures: Mapping[str, Any]) -> Iterator[str]:
    yield f"{figures['n']:,}"
    yield share(figures["coverage"])
    yield share(figures["invalid_rate"])


def share(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"


def decimals(value: float | None) -> str:
    return NONE if value is None else f"{value:.3f}"


def _interval(bounds: Sequence[float] | None, show: Callable[[float | None], str]) -> str:
    return NONE if bounds is None else f"{show(bounds[0])} to {show(bounds[1])}"

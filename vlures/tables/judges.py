"""What a judge's controls show: whether it looks at the image, and what it does with what is wrong on purpose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vlures.judge.families import find_family
from vlures.judge.image_use import Finding, find_image_use, pair_drops
from vlures.judge.options import UPSTREAM
from vlures.judge.verdicts import Verdict, about
from vlures.metrics.clusters import as_codes, clustered_mean
from vlures.records import Cell
from vlures.tables.scores import Rater
from vlures.tables.table import Column, Table, Value, interval, texts

Answers = Mapping[tuple[str, str, Cell, str], Verdict]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a judge's controls show about its use of the image."""

    finding: Finding
    """By the controls of all runs together."""
    blind: str
    """`BLIND`, or in which runs it is, by the controls of each; empty where it is in none."""


def find_sight(verdicts: Sequence[Verdict]) -> Sight:
    """verdicts: all of a judge, controls among them. One that sees the images of one run may have been shown none of
    another's, as by a server that drops them."""
    finding = find_image_use(pair_drops(verdicts)).finding
    if finding == "blind":
        return Sight(finding, "BLIND")
    by_run: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        by_run[verdict.run].append(verdict)
    blind = [run for run, found in by_run.items() if find_image_use(pair_drops(found)).finding == "blind"]
    return Sight(finding, f"BLIND in {', '.join(blind)}" if blind else "")


def describe_mark(judge: Rater, sight: Sight, judged: Iterable[str]) -> str:
    """What stands beside a judge's name in every title. judged: the models whose answers it has judged."""
    families = (find_family(model, judged) for model in sorted(judge.models))
    family = next(filter(None, families), None)
    marks = [sight.blind] if sight.blind else []
    marks += ["the original judge's wording: no image is shown"] if UPSTREAM in judge.wordings else []
    marks += [f"of one family with a judged model: {family}"] if family else []
    return f" ({'; '.join(marks)})" if marks else ""


def tabulate_controls(found: Sequence[tuple[Rater, Sight, Sequence[Verdict]]]) -> Table | None:
    """A row per judge and kind of control; None where no judge has any."""
    rows: list[list[Value]] = []
    for rater, sight, verdicts in found:
        image = sight.finding if sight.finding == "blind" or not sight.blind else f"{sight.finding}; {sight.blind}"
        given = {about(verdict): verdict for verdict in verdicts if verdict.control is None}
        for control, pairs in sorted(_pair(verdicts, given).items()):
            drops = np.array([answer - score for answer, score, _ in pairs], dtype=np.float64)
            figure = clustered_mean(drops, as_codes(image for _, _, image in pairs), skewed=False)
            rows.append(
                [
                    *(rater.name, ", ".join(sorted(rater.models)) or "unknown", image, control, len(pairs)),
                    *(float(np.mean([pair[0] for pair in pairs])), float(np.mean([pair[1] for pair in pairs]))),
                    *(figure.value, interval(figure.low, figure.high), float(np.abs(drops).mean())),
                ]
            )
    if not rows:
        return None
    columns = [
        *texts("judge", "model", "image", "control"),
        Column("n", "count"),
        *(Column("answers' mean", "number"), Column("controls' mean", "number")),
        *(Column("drop", "number"), Column("95 % interval", "interval"), Column("mean |drop|", "number")),
    ]
    notes = [
        "image: whether scores fall where the image was another one or left out, by these controls together. A judge "
        "that is blind has judged texts, not answers about images.",
        "repeat: the same answer judged once more; its mean |drop| is how far the judge differs from itself.",
    ]
    return Table("controls", "What judges do with controls", columns, rows, notes)


def _pair(verdicts: Sequence[Verdict], given: Answers) -> dict[str, list[tuple[int, int, str]]]:
    """By control: the answer's own score, the control's score, the image."""
    found: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for verdict in verdicts:
        answer = given.get(about(verdict))
        if verdict.control is None or verdict.overall is None or answer is None or answer.overall is None:
            continue
        found[verdict.control].append((answer.overall, verdict.overall, verdict.image_digest))
    return found

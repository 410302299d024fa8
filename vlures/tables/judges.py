"""What a judge's controls show: whether it looks at the image, and what it does with what is wrong on purpose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from vlures.judge.families import find_family
from vlures.judge.image_use import ImageUse, find_image_use, pair_drops
from vlures.judge.options import UPSTREAM
from vlures.judge.verdicts import Verdict, about
from vlures.metrics.clusters import as_codes, clustered_mean
from vlures.records import Cell
from vlures.tables.scores import Rater
from vlures.tables.table import Column, Table, Value, interval, texts

Answers = Mapping[tuple[str, str, Cell, str], Verdict]


def find_sight(rater: Rater, verdicts: Sequence[Verdict]) -> ImageUse:
    """Whether the judge uses the image. verdicts: all of it, controls among them."""
    return (
        find_image_use(pair_drops(verdicts)) if rater.controls else ImageUse("too few to tell", 0, 0, None, None, None)
    )


def describe_mark(judge: Rater, use: ImageUse, judged: Iterable[str]) -> str:
    """What stands beside a judge's name in every title. judged: the models whose answers it has judged."""
    families = (find_family(model, judged) for model in sorted(judge.models))
    family = next(filter(None, families), None)
    marks = ["BLIND"] if use.finding == "blind" else []
    marks += ["the original judge's wording: no image is shown"] if UPSTREAM in judge.wordings else []
    marks += [f"of one family with a judged model: {family}"] if family else []
    return f" ({'; '.join(marks)})" if marks else ""


def tabulate_controls(found: Sequence[tuple[Rater, ImageUse, Sequence[Verdict]]]) -> Table | None:
    """A row per judge and kind of control; None where no judge has any."""
    rows: list[list[Value]] = []
    for rater, use, verdicts in found:
        given = {about(verdict): verdict for verdict in verdicts if verdict.control is None}
        for control, pairs in sorted(_pair(verdicts, given).items()):
            drops = np.array([answer - score for answer, score, _ in pairs], dtype=np.float64)
            figure = clustered_mean(drops, as_codes(image for _, _, image in pairs), skewed=False)
            rows.append(
                [
                    *(rater.name, ", ".join(sorted(rater.models)) or "unknown", use.finding, control, len(pairs)),
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

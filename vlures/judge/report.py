"""What a judge's verdicts say, in words: first whether it sees the image, then scores by cell, what is missing, and
what it made of each control."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from tabulate import tabulate

from vlures.errors import counted
from vlures.judge.answers import describe_left_out
from vlures.judge.image_use import CONFIDENCE, ImageUse, find_image_use, pair_drops
from vlures.judge.pairs import DECISIONS, SUMMARY_FILE
from vlures.judge.variant import make_cell
from vlures.judge.verdicts import VERDICTS_FILE, Control, Verdict, about, read_verdict_file
from vlures.safety.control_characters import as_line
from vlures.store.small_files import read_small_file

MOST_REASONS = 8
SAME_FAMILY = "MARKED: the judge and a judged model are of one family, and judges may favour their own."


def describe_judge(folder: Path) -> Iterator[str]:
    """The texts about a judge's folder, by what its last run wrote; the first says whether the judge sees.

    Raises VluresError for verdicts that cannot be read.
    """
    run = _find_run(folder)
    if (folder / SUMMARY_FILE).is_file():
        yield from _describe_pairs(folder, run)
    elif (folder / VERDICTS_FILE).is_file():
        yield from describe_verdicts(list(read_verdict_file(folder / VERDICTS_FILE)), run)


def summarise_judge(folder: Path) -> str:
    """One line about a judge's folder."""
    return as_line(next(describe_judge(folder), f"{folder.name} has judged nothing yet."))


def _find_run(folder: Path) -> Mapping[str, Any]:
    """What the run.json of a judge says about judging."""
    for path in folder.glob("checkpoints_*/run.json"):
        judge = read_small_file(path).get("judge")
        if isinstance(judge, dict):
            return judge
    return {}


def describe_verdicts(verdicts: Sequence[Verdict], judge: Mapping[str, Any]) -> Iterator[str]:
    """judge: as run.json has it."""
    real = [verdict for verdict in verdicts if verdict.control is None]
    rater = as_line(verdicts[0].rater if verdicts else "the judge")
    if judge.get("rubric") == "upstream":
        yield f"{rater} was shown no image: --rubric upstream is the original judge's, and its scores are no others'."
    else:
        yield describe_image_use(rater, find_image_use(pair_drops(verdicts)))
    if judge.get("same_family"):
        yield SAME_FAMILY
    scored = sum(verdict.overall is not None for verdict in real)
    yield f"Judged {scored:,} of {counted(len(real), 'answer')}. Means are on the judge's scale; no person's."
    yield _tabulate_cells(real, judge.get("not_judged") or {})
    if left_out := _add_up(judge.get("not_judged") or {}):
        yield f"Not judged: {describe_left_out(left_out)}. They are in no mean."
    if missing := Counter(_group(verdict.missing) for verdict in verdicts if verdict.missing is not None):
        shown = ", ".join(f"{count:,} {as_line(reason)}" for reason, count in missing.most_common(MOST_REASONS))
        more = f", and {len(missing) - MOST_REASONS} other reasons" if len(missing) > MOST_REASONS else ""
        yield f"Missing: {shown}{more}. None of them is a score."
    if unwrapped := sum(verdict.unwrapped for verdict in verdicts):
        yield f"{counted(unwrapped, 'verdict')} stood in a fence, or had text around it."
    if controls := _tabulate_controls(verdicts):
        yield controls


def _add_up(counts: Mapping[str, Mapping[str, int]]) -> Counter[str]:
    return sum(map(Counter, counts.values()), Counter())


def _group(reason: str) -> str:
    """A reason without the value that a judge gave."""
    return re.sub(r" is .*, not", " is not", reason, flags=re.DOTALL)


def describe_image_use(rater: str, use: ImageUse) -> str:
    """Whether a judge sees, in a sentence with its evidence."""
    scores = f"{counted(use.pairs, 'control')} about {counted(use.images, 'image')}"
    if use.index is None:
        return f"Too few to tell whether {rater} sees the image: no control with another image, or none, has a score."
    change = f"scores {'drop' if use.index >= 0 else 'rise'} by {abs(use.index):.2f} points"
    bounds = f"; {CONFIDENCE:.0%} bounds {use.low:.2f} and {use.high:.2f}" if use.low is not None else ""
    evidence = f"with another image, or none, {change} on average ({scores}{bounds})"
    match use.finding:
        case "blind":
            return f"{rater} is BLIND: {evidence}. Its scores say nothing about the image."
        case "sees":
            return f"{rater} sees the image: {evidence}."
    return f"Too few to tell whether {rater} sees the image: {evidence}."


def _tabulate_cells(real: Iterable[Verdict], not_judged: Mapping[str, Mapping[str, int]]) -> str:
    cells: dict[str, list[Verdict]] = {cell: [] for cell in not_judged}
    for verdict in real:
        cells.setdefault(make_cell(verdict.variant, verdict.cell), []).append(verdict)
    rows = []
    for cell in sorted(cells):
        overall = [verdict.overall for verdict in cells[cell] if verdict.overall is not None]
        rows.append(
            [
                as_line(cell),
                len(overall),
                len(cells[cell]) - len(overall),
                sum((not_judged.get(cell) or {}).values()),
                f"{sum(overall) / len(overall):.2f}" if overall else "–",
            ]
        )
    headers = ["cell", "judged", "missing", "not judged", "mean, judge scale"]
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=("left", *["right"] * 4))


def _tabulate_controls(verdicts: Sequence[Verdict]) -> str | None:
    """What became of the scores under each control: pairs with the answer's own score."""
    own = {about(verdict): verdict for verdict in verdicts if verdict.control is None and verdict.overall is not None}
    rows = []
    for control in get_args(Control):
        found = [verdict for verdict in verdicts if verdict.control == control]
        pairs = [(own[about(each)], each) for each in found if each.overall is not None and about(each) in own]
        if found:
            rows.append([control, f"{len(pairs)} of {len(found)}", *_compare(control, pairs)])
    if not rows:
        return None
    headers = ["control", "scored", "answer's mean", "control's mean", "what is compared", "change"]
    aligned = ("left", "right", "right", "right", "left", "right")
    return tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=aligned)


def _compare(control: Control, pairs: Sequence[tuple[Verdict, Verdict]]) -> list[str]:
    if not pairs:
        return ["–", "–", "", "–"]
    before = [answer.overall or 0 for answer, _ in pairs]
    after = [tested.overall or 0 for _, tested in pairs]
    means = [f"{sum(values) / len(pairs):.2f}" for values in (before, after)]
    if control == "repeat":
        apart = sum(abs(one - other) for one, other in zip(before, after, strict=True)) / len(pairs)
        return [*means, "mean distance", f"{apart:.2f}"]
    if control == "wrong language":
        levels = [(answer.criteria.get("language"), tested.criteria.get("language")) for answer, tested in pairs]
        known = [(one, other) for one, other in levels if one is not None and other is not None]
        if known:
            change = sum(other - one for one, other in known) / len(known)
            return [*means, "`language`, 0 to 5", f"{change:+.2f}"]
    return [*means, "overall", f"{(sum(after) - sum(before)) / len(pairs):+.2f}"]


def _describe_pairs(folder: Path, judge: Mapping[str, Any]) -> Iterator[str]:
    summary = json.loads((folder / SUMMARY_FILE).read_text("utf-8"))
    first, second = summary["runs"]
    decisions = summary["decisions"]
    undecided = decisions["neither"] + decisions["flip"] + decisions["split"]
    yield as_line(
        f"{folder.name}: {first} is better in {decisions['first run']:,} pairs, {second} in "
        f"{decisions['second run']:,}; no preference in {undecided:,}."
    )
    if any(run.get("same_family") for run in judge.get("pairwise") or ()):
        yield SAME_FAMILY
    decided = sum(count for decision, count in decisions.items() if decision != "missing")
    yield (
        f"{decisions['flip']:,} of {decided:,} pairs flipped with the order (the other answer was chosen), and "
        f"{decisions['split']:,} were preferred in one order only; both count as no preference."
    )
    rows = [[as_line(cell), *(counts[decision] for decision in DECISIONS)] for cell, counts in summary["cells"].items()]
    yield tabulate(rows, ["cell", *DECISIONS], tablefmt="simple")
    if summary["missing"]:
        reasons = ", ".join(f"{count:,} {as_line(reason)}" for reason, count in summary["missing"].items())
        yield f"Missing: {reasons}. None of them is a choice."

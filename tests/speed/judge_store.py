"""Verdicts of two judges, and of two people on every tenth answer, on a filled store: `python judge_store.py OUTPUT
ANSWERS_PER_CELL SHIFT`."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from fill_store import CELLS

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.settings import Setting, parse_cell
from vlures.judge.verdicts import JUDGED, PEOPLE, VERDICTS_FILE, Verdict, write_verdicts

REASONS = "The bus is red and stands in the rain, as the answer says; the sign of the shop is left out. " * 3


def main(folder: Path, answers: int, shift: int) -> None:
    for seed, judge in enumerate(("judge-a", "judge-b")):
        to = folder / JUDGED / judge
        to.mkdir(parents=True)
        write_verdicts(to / VERDICTS_FILE, _verdicts(folder.name, judge, answers, random.Random(seed), shift, 1))
    (folder / PEOPLE).mkdir()
    for seed, person in enumerate(("p1", "p2")):
        verdicts = _verdicts(folder.name, person, answers, random.Random(seed + 9), shift, 10)
        write_verdicts(folder / PEOPLE / f"{person}.jsonl", verdicts)


def _verdicts(run: str, rater: str, answers: int, noise: random.Random, shift: int, every: int) -> Iterator[Verdict]:
    worths = random.Random(1)
    for cell in CELLS:
        for sample_id in range(1, answers + 1):
            worth = worths.gauss(70, 10)
            if sample_id % every:
                continue
            overall = min(100, max(1, round(worth + shift + noise.gauss(0, 6))))
            missing = noise.random() < 0.01
            yield Verdict(
                rater=rater,
                kind="judge" if every == 1 else "person",
                run=run,
                variant=Setting().label,
                cell=cell,
                sample_id=str(sample_id),
                answer_digest=hashlib.sha256(f"{cell}{sample_id}".encode()).hexdigest(),
                image_digest=hashlib.sha256(str(sample_id).encode()).hexdigest(),
                overall=None if missing else overall,
                criteria={"true": 4, "complete": 3, "task": 4, "language": 5},
                reasons=REASONS,
                missing="refused" if missing else None,
                probability=None if every == 1 else 1 / every,
                rubric=cell,
                language=LANGUAGES[parse_cell(cell)[0]].tag,
                model="judge-1",
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

"""Verdicts that no judge has given, on the answers of a real run, for what reads them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from vlures.judge.verdicts import JUDGED, PEOPLE, VERDICTS_FILE, Verdict, write_verdicts
from vlures.records import Cell

TAGS = {"En": "en", "Jp": "ja", "Sw": "sw", "Ur": "ur"}


@dataclass(frozen=True)
class StoredAnswer:
    """An ok answer of a run."""

    run: str
    variant: str
    cell: str
    sample_id: str
    text: str

    @property
    def language(self) -> str:
        return self.cell.partition("-")[0]

    @property
    def worth(self) -> int:
        """A score that belongs to the answer: from 40 to 90, the same for every rater."""
        place = f"{self.run} {self.cell} {self.sample_id}"
        return 40 + int(hashlib.sha256(place.encode()).hexdigest(), 16) % 51


def read_stored(folder: Path) -> Iterator[StoredAnswer]:
    """The ok answers in a run's checkpoints, by file."""
    for path in sorted(folder.glob("checkpoints_*/checkpoint_*.jsonl")):
        variant = path.parent.name.removeprefix("checkpoints_")
        last = {line["key"]: line for line in map(json.loads, path.read_bytes().splitlines())}
        _, task, language = path.stem.split("_")
        cell = f"{language}-t{task.removeprefix('task')}"
        for key, line in last.items():
            if line["status"] == "ok":
                yield StoredAnswer(folder.name, variant, cell, key.rpartition("-")[2], line["text"])


def judge(
    folder: Path, judge: str, score: Callable[[StoredAnswer], int | None], *, controls: int = 0, sees: bool = True,
    rubric: str = "r1", model: str = "judge-1",
) -> list[Verdict]:  # fmt: skip
    """Write a judge's verdicts on all ok answers of a run. controls: so many images, wrong, with the image seen or not.
    A score of None is missing."""
    verdicts = [
        replace(_about(answer, judge, "judge"), overall=score(answer), missing=None if score(answer) else "refused",
                rubric=f"{rubric}-{answer.cell}", model=model)
        for answer in read_stored(folder)
    ]  # fmt: skip
    for verdict in verdicts[:controls]:
        if verdict.overall is not None:
            fallen = max(1, verdict.overall - 35) if sees else verdict.overall
            verdicts.append(replace(verdict, control="wrong image", overall=fallen))
    write(folder / JUDGED / judge / VERDICTS_FILE, verdicts)
    return verdicts


def rate(
    folder: Path, person: str, score: Callable[[StoredAnswer], int | None], *, probability: float | None = 0.5,
    share: float = 0.5,
) -> None:  # fmt: skip
    """Write a person's ratings of some of a run's answers, the same ones for every person."""
    drawn = Random(7)
    rated = [answer for answer in read_stored(folder) if drawn.random() < share]
    write(
        folder / PEOPLE / f"{person}.jsonl",
        [replace(_about(answer, person, "person"), overall=score(answer), probability=probability) for answer in rated],
    )


def write(path: Path, verdicts: list[Verdict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_verdicts(path, verdicts)


def _about(answer: StoredAnswer, rater: str, kind: str) -> Verdict:
    return Verdict(
        rater=rater,
        kind=kind,  # type: ignore[arg-type]
        run=answer.run,
        variant=answer.variant,
        cell=Cell(answer.cell),
        sample_id=answer.sample_id,
        answer_digest=hashlib.sha256(answer.text.encode()).hexdigest(),
        image_digest=hashlib.sha256(f"image {answer.sample_id}".encode()).hexdigest(),
        language=TAGS[answer.language],
    )

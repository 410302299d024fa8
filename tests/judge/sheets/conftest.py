"""What the tests of sheets share: a run with answers in four languages, and a set of sheets about it, filled in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from tests.conftest import REPOSITORY
from tests.warm import WarmCommand
from vlures.judge.sheets.layout import COLUMNS, FIRST_ROW, MARK
from vlures.judge.verdicts import Verdict, read_verdicts

LANGUAGES = ("En", "Jp", "Sw", "Ur")
RUN = "outputs/sandbox-x"
SCORE, COMMENT, ID, TASK, ARTICLE, ANSWER = (
    COLUMNS.index(name) + 1 for name in ("score", "comment", "id", "task", "article", "answer")
)
FIRST = FIRST_ROW + 1
"""The row of the first answer in a workbook."""


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run over the sample data: four languages, tasks 1 and 7."""
    folder = tmp_path_factory.mktemp("study") / "work"
    folder.mkdir()
    command = WarmCommand(folder, {"HOME": str(folder.parent / "home")})
    datasets = [word for code in LANGUAGES for word in ("--dataset", f"{code}={REPOSITORY}/data/Sample{code}")]
    result = command(
        *("run", "--sandbox", "--backend", "gemini", "--name", "x", "--languages", ",".join(LANGUAGES)),
        *("--tasks", "1,7", *datasets),
    )
    assert result.code == 0, result
    return folder


@dataclass
class Study:
    """A folder with a run, where the command is given."""

    command: WarmCommand

    @property
    def folder(self) -> Path:
        return self.command.folder

    @property
    def key(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "sheets/key.json").read_text(encoding="utf-8")))

    def rows(self, rater: str) -> list[dict[str, Any]]:
        """The rows of a rater's sheet, as the key has them."""
        return next(list(sheet["rows"]) for sheet in self.key["sheets"] if sheet["rater"] == rater)

    def path(self, rater: str, ending: str = "xlsx") -> Path:
        return self.folder / f"sheets/for-raters/{rater}.{ending}"

    def verdicts(self, rater: str | None = None) -> list[Verdict]:
        """People's verdicts, in the order of the sheets."""
        found = [one for one in read_verdicts(self.folder / RUN) if one.kind == "person"]
        return [one for one in found if rater is None or one.rater.startswith(f"{rater}-")]

    def change_answers(self, change: Callable[[str, str], str], pattern: str = "*") -> None:
        """Change stored answers: change gets the key and the text."""
        for path in (self.folder / RUN).glob(f"checkpoints_*/checkpoint_{pattern}.jsonl"):
            lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for line in lines:
                line["text"] = change(line["key"], line["text"])
            path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def copy_study(source: Path, to: Path) -> Study:
    """A study of one's own. Its key knows where it is now."""
    shutil.copytree(source, to / "work")
    study = Study(WarmCommand(to / "work", {"HOME": str(to / "home")}))
    path = study.folder / "sheets/key.json"
    if path.exists():
        key = study.key
        key["runs"] = {name: str(study.folder / "outputs" / name) for name in key["runs"]}
        path.write_text(json.dumps(key), encoding="utf-8")
    return study


@pytest.fixture
def study(finished_run: Path, tmp_path: Path) -> Study:
    return copy_study(finished_run, tmp_path)


@contextmanager
def opened(path: Path) -> Iterator[Worksheet]:
    """The answers' sheet of a workbook, saved afterwards."""
    book = load_workbook(path)
    yield find_page(path, book)
    book.save(path)


def find_page(path: Path, book: Any = None) -> Worksheet:
    pages: list[Worksheet] = (book or load_workbook(path)).worksheets
    return next(page for page in pages if page.cell(1, 1).value == MARK)


def score_of(place: int, control: str | None) -> int:
    """What the tests' raters give: bad items little."""
    return 5 + place % 3 if control == "other answer" else 60 + place % 30


def fill(study: Study, rater: str) -> list[int]:
    """Rate everything on a rater's workbook; the scores in the order of the rows."""
    scores = [score_of(place, row["control"]) for place, row in enumerate(study.rows(rater))]
    with opened(study.path(rater)) as page:
        for place, score in enumerate(scores):
            page.cell(FIRST + place, SCORE).value = score
    return scores


@dataclass
class Filled:
    """A set of sheets that two English raters have filled in."""

    study: Study
    scores: dict[str, list[int]] = field(default_factory=dict)
    """By rater, in the order of the sheet."""


@pytest.fixture(scope="session")
def filled_once(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[int]]]:
    study = copy_study(finished_run, tmp_path_factory.mktemp("filled"))
    words = ("--per-cell", "6", "--raters", "2", "--seed", "1", "--languages", "En", "--out", "sheets")
    result = study.command("sheets", "out", RUN, *words)
    assert result.code == 0, result
    return study.folder, {rater: fill(study, rater) for rater in ("en-p1", "en-p2")}


@pytest.fixture
def filled(filled_once: tuple[Path, dict[str, list[int]]], tmp_path: Path) -> Filled:
    source, scores = filled_once
    return Filled(copy_study(source, tmp_path), {rater: [*each] for rater, each in scores.items()})

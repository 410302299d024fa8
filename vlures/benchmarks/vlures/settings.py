"""The four settings of VLURes: shots × rationales. A setting is a variant of the benchmark."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.records import Cell

LONGEST_ID = 15
"""Digits of a sample's ID."""

_CHECKPOINT = re.compile(r"checkpoint_task(\d+)_(\w+)\.jsonl")
_CELL = re.compile(r"(\w+)-t(\d+)")


@cache
def make_cell(language: str, task: int) -> Cell:
    """The cell of a language, by its code, and a task, by its number: `Sw-t3`."""
    return Cell(f"{language}-t{task}")


@cache
def parse_cell(cell: Cell) -> tuple[str, int]:
    """The language's code and the task's number. Raises ValueError for anything but a cell of VLURes."""
    match = _CELL.fullmatch(cell)
    if match is None:
        raise ValueError(f"{cell!r} is not a cell of VLURes")
    return match[1], int(match[2])


@dataclass(frozen=True, slots=True)
class Setting:
    """How a prompt is built. Its file names are those of the original scripts."""

    shots: Literal[0, 1] = 1
    rationales: bool = True

    @property
    def label(self) -> str:
        """As in the names of folders and in prompt packs: `1shot_rationales`."""
        return f"{self.shots}shot_{'rationales' if self.rationales else 'norationales'}"

    def checkpoint_file(self, cell: Cell) -> str:
        language, task = parse_cell(cell)
        return f"checkpoint_task{task}_{language}.jsonl"

    def cell_of(self, checkpoint_file: str) -> Cell | None:
        match = _CHECKPOINT.fullmatch(checkpoint_file)
        return make_cell(match[2], int(match[1])) if match else None

    def results_file(self, cell: Cell, run_name: str) -> str:
        language, task = parse_cell(cell)
        rationales = "Rationales" if self.rationales else "NoRationales"
        folder = LANGUAGES[language].name if language in LANGUAGES else language
        return f"{folder}/results_{run_name}_{self.shots}shot_{language}_task{task}_{rationales}.json"

    def is_cell(self, text: str) -> bool:
        return _CELL.fullmatch(text) is not None

    def is_sample_id(self, text: str) -> bool:
        is_number = text.isdecimal() and text.isascii() and len(text) <= LONGEST_ID
        return is_number and (text[0] != "0" or text == "0")

    def title(self, cell: Cell) -> str:
        language, task = parse_cell(cell)
        code = f" {TASKS[task].code}" if task in TASKS else ""
        return f"{language} task {task}{code}"


SETTINGS: tuple[Setting, ...] = tuple(Setting(shots, rationales) for shots in (0, 1) for rationales in (False, True))

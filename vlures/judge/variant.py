"""How a judge's cells and samples are named in files and keys.

A cell of a judge is a cell of the judged run, after the variant in which it was answered: `1shot_rationales.Sw-t3`. A
sample is a judgement: what is judged, and the sample that was answered (`answer~421`, `wrongimage.3f9a10c2~421`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vlures.benchmarks.table.variant import file_part, read_file_part
from vlures.records import Cell

_CHECKPOINT = re.compile(r"checkpoint_(\w+)\.(.+)\.jsonl")
_CELL = re.compile(r"(\w+)\.(.+)", re.DOTALL)
_SAMPLE = re.compile(r"([A-Za-z0-9.-]+)~(.+)", re.DOTALL)
_LABEL = re.compile(r"judge_\w+")


def make_cell(variant: str, cell: Cell) -> Cell:
    """variant: the label of the one that was answered."""
    return Cell(f"{variant}.{cell}")


def parse_cell(cell: Cell) -> tuple[str, Cell]:
    """The label of the variant that was answered, and its cell. Raises ValueError for anything else."""
    match = _CELL.fullmatch(cell)
    if match is None:
        raise ValueError(f"{cell!r} is not a cell of a judge")
    return match[1], Cell(match[2])


def make_sample_id(name: str, sample_id: str) -> str:
    """name: of the judgement. sample_id: of what was answered."""
    return f"{name}~{sample_id}"


def parse_sample_id(text: str) -> tuple[str, str]:
    """The name of the judgement, and the sample that was answered. Raises ValueError for anything else."""
    match = _SAMPLE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} names no judgement")
    return match[1], match[2]


@dataclass(frozen=True, slots=True)
class JudgeVariant:
    """As vlures.records.Variant."""

    label: str
    """Says by which wording is judged: `judge_answer_en`."""

    def checkpoint_file(self, cell: Cell) -> str:
        variant, answered = parse_cell(cell)
        return f"checkpoint_{variant}.{file_part(answered)}.jsonl"

    def cell_of(self, checkpoint_file: str) -> Cell | None:
        match = _CHECKPOINT.fullmatch(checkpoint_file)
        return make_cell(match[1], Cell(read_file_part(match[2]))) if match else None

    def results_file(self, cell: Cell, run_name: str) -> str:
        variant, answered = parse_cell(cell)
        return f"results_{run_name}_{variant}.{file_part(answered)}.json"

    def is_cell(self, text: str) -> bool:
        return _CELL.fullmatch(text) is not None

    def is_sample_id(self, text: str) -> bool:
        return _SAMPLE.fullmatch(text) is not None

    def title(self, cell: Cell) -> str:
        variant, answered = parse_cell(cell)
        return f"{answered} ({variant})"


def find_variant(label: str) -> JudgeVariant | None:
    """The variant with this label; None if it is no judge's."""
    return JudgeVariant(label) if _LABEL.fullmatch(label) else None

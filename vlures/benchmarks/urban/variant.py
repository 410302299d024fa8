"""How street-view questions are asked, and how their cells are named in files and keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from vlures.records import Cell
from vlures.store.keys import LONGEST_ID

PromptStyle = Literal["question", "template"]
"""question: the dataset's own question. template: one fixed wording per subtype."""

_CHECKPOINT = re.compile(r"checkpoint_(\w+)\.jsonl")
_CELL = re.compile(r"\w{1,100}")


@dataclass(frozen=True, slots=True)
class UrbanVariant:
    """As vlures.records.Variant."""

    style: PromptStyle = "question"
    cot: bool = False
    """The model is asked for its reasoning, and its answer follows the last `Answer:`."""

    @property
    def label(self) -> str:
        return f"{self.style}_cot" if self.cot else self.style

    def checkpoint_file(self, cell: Cell) -> str:
        return f"checkpoint_{cell}.jsonl"

    def cell_of(self, checkpoint_file: str) -> Cell | None:
        match = _CHECKPOINT.fullmatch(checkpoint_file)
        return Cell(match[1]) if match else None

    def results_file(self, cell: Cell, run_name: str) -> str:
        return f"results_{run_name}_{self.label}_{cell}.json"

    def is_cell(self, text: str) -> bool:
        return _CELL.fullmatch(text) is not None

    def is_sample_id(self, text: str) -> bool:
        return bool(text) and len(text) <= LONGEST_ID

    def title(self, cell: Cell) -> str:
        return cell


VARIANTS: tuple[UrbanVariant, ...] = tuple(
    UrbanVariant(style, cot) for style in get_args(PromptStyle) for cot in (False, True)
)

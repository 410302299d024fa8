"""How the groups of a table are named in files and keys. There is one variant: the questions are asked unchanged."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vlures.records import Cell
from vlures.store.keys import LONGEST_ID

WHOLE = "all"
"""The cell of rows without a group."""
LONGEST_GROUP_BYTES = 120
"""Maximum length of a group in file names. File systems allow 255 bytes."""

_CHECKPOINT = re.compile(r"checkpoint_(.+)\.jsonl")
_UNSAFE = re.compile(r"[^\w-]")
_ESCAPED = re.compile(r"%([0-9A-F]+);")


def file_part(group: str) -> str:
    """A group as a part of a file name: letters and digits of every script are kept, all other characters become
    %HEX;."""
    return _UNSAFE.sub(lambda match: f"%{ord(match[0]):X};", group)


def read_file_part(text: str) -> str:
    """The inverse of file_part."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


@dataclass(frozen=True, slots=True)
class TableVariant:
    """As vlures.records.Variant."""

    label: str = "table"

    def checkpoint_file(self, cell: Cell) -> str:
        return f"checkpoint_{file_part(cell)}.jsonl"

    def cell_of(self, checkpoint_file: str) -> Cell | None:
        match = _CHECKPOINT.fullmatch(checkpoint_file)
        return Cell(read_file_part(match[1])) if match else None

    def results_file(self, cell: Cell, run_name: str) -> str:
        return f"results_{run_name}_{file_part(cell)}.json"

    def is_cell(self, text: str) -> bool:
        return bool(text) and len(file_part(text).encode()) <= LONGEST_GROUP_BYTES

    def is_sample_id(self, text: str) -> bool:
        return bool(text) and len(text) <= LONGEST_ID

    def title(self, cell: Cell) -> str:
        return cell

"""The stored answers of one or several runs, for notebooks."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from vlures.backends import find_provider
from vlures.benchmarks import Subject
from vlures.benchmarks.columns import merge
from vlures.errors import UsageError, VluresError
from vlures.pricing.costs import Prices, cost_of_answer, prices_of
from vlures.results.rows import Row, StandingResponse, find_columns, read_standing_responses


class HasFolder(Protocol):
    """A configuration, which knows its run's folder."""

    @property
    def output_folder(self) -> Path: ...


Output = str | os.PathLike[str] | HasFolder
Outputs = Output | Iterable[Output]
"""Runs: their folders, patterns such as outputs/*, or their configurations."""


def find_table_columns(folders: Iterable[Path]) -> dict[str, type]:
    """The columns of a table of these runs, with their types: the run's folder, those of an exported table, then those
    that depend on this machine or on today's prices."""
    exported: dict[str, type] = {}
    local: dict[str, type] = {}
    for folder in folders:
        columns, here = find_columns(folder)
        exported = merge(exported, columns)
        local = merge(local, here)
    return {"run": str, **exported, **local, "cost_usd": float}


@dataclass(frozen=True, slots=True)
class Answer:
    """A standing response as a row of the table."""

    row: Row
    standing: StandingResponse

    @property
    def subject(self) -> Subject | None:
        """What it is about, where that still exists unchanged."""
        return self.standing.subject


def find_runs(outputs: Outputs) -> list[Path]:
    """The folders of runs, each once whatever it is called, in the given order; those of a pattern sorted by name.

    Raises UsageError for a value that cannot name a run, VluresError if there is none.
    """
    is_one = isinstance(outputs, str | os.PathLike) or hasattr(outputs, "output_folder")
    several = [cast(Output, outputs)] if is_one else list(cast(Iterable[Output], outputs))
    if not several:
        raise UsageError("No run is named; name its folder, such as outputs/gpt-6-luna, or several.")
    found: dict[Path, Path] = {}
    for output in several:
        for folder in _find(output):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def _find(output: Output) -> list[Path]:
    if not isinstance(output, str | os.PathLike) and hasattr(output, "output_folder"):
        return [output.output_folder]
    if not isinstance(output, str | os.PathLike):
        raise UsageError(f"{output!r} does not name a run; name its folder, such as outputs/gpt-6-luna.")
    folder = Path(output).expanduser()
    if folder.exists() or not glob.has_magic(str(folder)):
        if not _is_run(folder) and (within := _runs_within(folder)):
            raise VluresError(
                f"{folder} holds no run itself, but folders of runs; name {within[0]}, or all with {folder}/*."
            )
        return [folder]
    found = sorted(path for path in map(Path, glob.glob(str(folder))) if _is_run(path))  # noqa: PTH207 (any pattern)
    if not found:
        raise VluresError(f"No folder that matches {folder} holds a run; see the runs with `vlures status`.")
    return found


def _is_run(folder: Path) -> bool:
    return any(folder.glob("checkpoints_*"))


def _runs_within(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if _is_run(path))


def read_answers(folders: Iterable[Path], say: Callable[[str], None], sample_id: str | None = None) -> Iterator[Answer]:
    """All standing answers of runs, whatever their status, or only those about one sample.

    say: called with a sentence about what stays empty. Raises VluresError if a folder holds no run or a stored line is
    unreadable.
    """
    for folder in folders:
        prices: dict[str, Prices] = {}
        for standing in read_standing_responses(folder, say, sample_id=sample_id):
            label = standing.variant.label
            if label not in prices:
                prices[label] = prices_of(standing.run, find_provider)
            yield Answer(_make_row(folder, standing, prices[label]), standing)


def _make_row(folder: Path, standing: StandingResponse, prices: Prices) -> Row:
    response, subject = standing.response, standing.subject
    return {
        "run": folder.as_posix(),
        **standing.row,
        **(subject.columns if subject else {}),
        "cost_usd": cost_of_answer(response, prices),
    }

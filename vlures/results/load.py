"""The stored answers of one run or several, for whoever wants to look at them."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vlures.benchmarks.vlures.dataset import Reading, load_reading
from vlures.config.run_config import RunConfig
from vlures.errors import UsageError, VluresError
from vlures.pricing.costs import Prices, cost_of_answer, prices_of
from vlures.records import Dataset, Sample
from vlures.results.export import COLUMNS as EXPORTED_COLUMNS
from vlures.results.export import Row, Standing, read_standing, write_path

Output = str | os.PathLike[str] | RunConfig
Outputs = Output | Iterable[Output]
"""Runs: their folders, patterns such as outputs/*, or their configurations."""

COLUMNS: dict[str, type] = {"run": str, **EXPORTED_COLUMNS, "article_path": str, "cost_usd": float}
"""Those of an exported table, in their order, after the run's folder and before what only this machine or today's prices
know."""

DATASETS_HELD = 8


@dataclass(frozen=True, slots=True)
class Answer:
    """A standing response as a row of COLUMNS, and the sample that it is about, where that is still there and the same."""

    row: Row
    sample: Sample | None


def find_runs(outputs: Outputs) -> list[Path]:
    """The folders of runs, each once, in the order of the names; of a pattern's by name.

    Raises UsageError for what cannot name a run, VluresError if there is none.
    """
    several = [outputs] if isinstance(outputs, str | os.PathLike | RunConfig) else list(outputs)
    if not several:
        raise UsageError("No run is named; name its folder, such as outputs/gpt-6-luna, or several.")
    return list(dict.fromkeys(folder for output in several for folder in _find(output)))


def _find(output: Output) -> list[Path]:
    if isinstance(output, RunConfig):
        return [output.output_folder]
    if not isinstance(output, str | os.PathLike):
        raise UsageError(f"{output!r} names no run; name its folder, such as outputs/gpt-6-luna.")
    folder = Path(output).expanduser()
    if folder.exists() or not glob.has_magic(str(folder)):
        if not _is_run(folder) and (within := _runs_within(folder)):
            raise VluresError(
                f"{folder} holds no run itself, but folders of runs; name {within[0]}, or all with {folder}/*."
            )
        return [folder]
    found = sorted(path for path in map(Path, glob.glob(str(folder))) if _is_run(path))  # noqa: PTH207 (any pattern)
    if not found:
        raise VluresError(f"No folder that {folder} fits holds a run; see the runs with `vlures status`.")
    return found


def _is_run(folder: Path) -> bool:
    return any(folder.glob("checkpoints_*"))


def _runs_within(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if _is_run(path))


def read_answers(folders: Iterable[Path], say: Callable[[str], None], sample_id: int | None = None) -> Iterator[Answer]:
    """All standing answers of runs, whatever their status, or those about one sample.

    say: told a sentence about what stays empty. Raises VluresError if a folder holds no run, or a stored line cannot be read.
    """
    for folder in folders:
        prices: dict[str, Prices] = {}
        for standing in read_standing(folder, say, sample_id=sample_id, load=_load_once):
            setting = standing.row["setting"]
            if setting not in prices:
                prices[setting] = prices_of(standing.run)
            yield Answer(_make_row(folder, standing, prices[setting]), standing.sample)


def _make_row(folder: Path, standing: Standing, prices: Prices) -> Row:
    response, sample = standing.response, standing.sample
    return {
        "run": folder.as_posix(),
        **standing.row,
        "article_path": write_path(sample.text_path) if sample and sample.text_path else None,
        "cost_usd": cost_of_answer(response, prices),
    }


def _load_once(reading: Reading) -> Dataset:
    """A dataset, read again only when a file of it has changed: that takes seconds where there are thousands of pictures."""
    return _load_marked(reading.folder.absolute(), reading, _mark(reading.folder))


@lru_cache(DATASETS_HELD)
def _load_marked(place: Path, reading: Reading, mark: tuple[object, ...]) -> Dataset:  # noqa: ARG001
    return load_reading(reading)


def _mark(folder: Path) -> tuple[object, ...]:
    """What is another as soon as a file of the folder is: names, sizes and times."""
    marks = []
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                state = (Path(root) / name).stat()
            except OSError:
                continue
            marks.append((root, name, state.st_size, state.st_mtime_ns))
    return tuple(sorted(marks))

"""Samples and datasets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vlures.benchmarks.problems import Problem
from vlures.records import Image

COLUMN_ROLES = ("file", "text", "language", "id")
"""Roles of the columns of a dataset's table."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its article, where there is one."""

    id: int
    image: Image
    text: str | None
    """The article."""
    text_path: Path | None = None
    """The article's file, where it has a file of its own."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder's samples by ascending ID, and everything wrong with it."""

    folder: Path
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...] = field(default=())
    layout: str = ""
    """The detected layout, in words."""
    language: str | None = None
    """The code, where all samples are in one language."""
    selection: str = ""
    """Which part of it was read, in words; empty for all."""
    fetched: Mapping[str, str | None] | None = None
    """Where `vlures fetch` downloaded it from."""

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

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
    """One image with its numeric ID, and its article text where there is one. text_path: the article's file, where it
    is a file of its own."""

    id: int
    image: Image
    text: str | None
    text_path: Path | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder's samples by ascending ID, and all that is wrong with it.

    layout: how it was found to be laid out, in words. language: the code, where the samples are one language's own.
    selection: which part of it was read, in words; empty for all. fetched: where `vlures fetch` has it from.
    """

    folder: Path
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...] = field(default=())
    layout: str = ""
    language: str | None = None
    selection: str = ""
    fetched: Mapping[str, str | None] | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

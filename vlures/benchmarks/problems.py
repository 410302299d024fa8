"""Problems of a benchmark's data. The first of each kind are listed, the others counted."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from vlures.errors import VluresError, counted

Thing = TypeVar("Thing")
Severity = Literal["error", "note"]

MOST_OF_A_KIND = 20
"""A table may have a million problems; the first of each kind are enough to find the rest."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the data that its owner should know."""

    severity: Severity
    """An error excludes its files; a note does not."""
    files: tuple[str, ...]
    reason: str
    times: int = 1
    """How many problems it stands for."""
    folder: Path | None = None
    """Where its files are, if not in the data's own folder."""


@dataclass(slots=True)
class ProblemList:
    """Problems of a table in the order in which they were found. False if there are none."""

    kinds: Mapping[str, str]
    """Kind → its plural, as messages call it."""
    _listed: list[Problem] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)
    _severities: dict[str, Severity] = field(default_factory=dict)

    def add(self, kind: str, files: tuple[str, ...], reason: str, severity: Severity = "error") -> None:
        """kind: one of kinds."""
        self._counts[kind] += 1
        self._severities[kind] = severity
        if self._counts[kind] <= MOST_OF_A_KIND:
            self._listed.append(Problem(severity, files, reason))

    def count(self, kind: str, more: int) -> None:
        """Count more problems of a kind without listing them."""
        self._counts[kind] += more

    def first(self, things: Sequence[Thing]) -> Sequence[Thing]:
        """As many of these as will be listed."""
        return things[:MOST_OF_A_KIND]

    def problems(self, table_name: str) -> tuple[Problem, ...]:
        rest = [
            Problem(self._severities[kind], (table_name,), f"and {more:,} more {self.kinds[kind]}", times=more)
            for kind, number in self._counts.items()
            if (more := number - MOST_OF_A_KIND) > 0
        ]
        return (*self._listed, *rest)

    def __bool__(self) -> bool:
        return bool(self._listed)


def name_check(benchmark: str, questions: Path, folder: Path, *more: str) -> str:
    """The command that names everything wrong with a file of questions. folder: of the images. more: further options
    that decide what is wrong."""
    words = ["vlures", "check", "--benchmark", benchmark, "--questions", str(questions)]
    if folder != questions.parent:
        words += ["--dataset", str(folder)]
    return shlex.join([*words, *more])


def refuse_data(place: Path, errors: Sequence[Problem], check: str, what: str) -> VluresError:
    """Data with problems stop a run. check: the command that names all. what: what --skip-problems leaves out."""
    first = errors[0]
    return VluresError(
        f"{place} has {counted(sum(error.times for error in errors), 'problem')}, the first: {', '.join(first.files)}: "
        f"{first.reason}. See them all with `{check}`; correct them, or leave those {what} out with --skip-problems."
    )

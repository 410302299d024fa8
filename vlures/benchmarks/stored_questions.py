"""The file of questions that a run has asked, found again from its run.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from vlures.config.resolve import stored_section, stored_target
from vlures.errors import VluresError
from vlures.files.named_files import as_on_disk
from vlures.records import AskedModel

OptionsT = TypeVar("OptionsT")
QuestionsT = TypeVar("QuestionsT")
Mark = tuple[int, int]
"""A file's time, in nanoseconds, and its size: equal as long as it is unchanged."""


@dataclass(frozen=True, slots=True)
class StoredQuestions(Generic[OptionsT, QuestionsT]):
    """What a run has asked, as its file is today."""

    options: OptionsT
    questions: QuestionsT
    asked: AskedModel


def read_stored_questions(
    run: Mapping[str, Any], kind: type[OptionsT], read: Callable[[OptionsT, Mark], QuestionsT]
) -> StoredQuestions[OptionsT, QuestionsT] | None:
    """None if the file cannot be found or read.

    run: the run.json of a store. kind: the benchmark's options, which have `questions`, the file's path. read: reads
    the file; it may keep what it has read for as long as the mark is the same.
    """
    try:
        options, target = stored_section(kind, run.get("config") or {}), stored_target(run)
    except msgspec.ValidationError:
        return None
    path = getattr(options, "questions")  # noqa: B009 (options of a benchmark with questions)
    if path is None or target is None:
        return None
    try:
        state = as_on_disk(Path(path)).stat()
        questions = read(options, (state.st_mtime_ns, state.st_size))
    except (VluresError, OSError):
        return None
    return StoredQuestions(options, questions, target.asked)

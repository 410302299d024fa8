"""What vlures itself has written into a rehearsal's folder, by the names alone. Everything else is the user's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import PurePath
from typing import get_args

from vlures.benchmarks import Parser
from vlures.pricing.spending_file import FILE as SPENDING_FILE
from vlures.results.scores import score_files
from vlures.runs.redo import REDO_FILE
from vlures.runs.run_log import RUN_LOG
from vlures.sandbox.state_files import LEDGER_FILE, is_state_file, is_state_folder
from vlures.store.lock import HOLDER_FILE, LOCK_FILE

STATE_FOLDER = "sandbox"
"""Where `vlures run --sandbox` has its sandbox keep files, batches and ledger."""
RUN_FILE, JOBS_FILE = "run.json", "jobs.jsonl"
WRITTEN_ABOUT_RESULTS = ("summary.json", *(name for parser in get_args(Parser) for name in score_files(parser)))
"""In each results folder, beside the answers."""
DERIVED = ("verdicts.jsonl", "preferences.jsonl", "preferences.json")
"""Beside a judge's checkpoints, and made from them."""
LOCKS = (HOLDER_FILE, LOCK_FILE)

_BESIDE = re.compile(r"\.(?P<new>.+)\.new|(?P<torn>.+)\.torn-\d+(-\d+)?")
"""A file that was being written whole; half a line that was moved aside."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The names that a rehearsal's files have."""

    name: str
    """Of the folder: exported tables are called so."""
    checkpoints: Mapping[str, Set[str]]
    """By the name of each checkpoint folder, the names of its cells' checkpoints."""
    results: Mapping[str, Set[str]]
    """By the name of each results folder, the paths of its cells' results files below it."""
    proofs: Mapping[str, str]
    """By the name of each checkpoint folder, the file that says that it is a rehearsal's."""

    def is_file_of_ours(self, path: PurePath) -> bool:
        """path: below the folder."""
        if path.parts[0] == STATE_FOLDER:
            return is_state_file(path.parts[1:])
        beside = _BESIDE.fullmatch(path.name)
        if beside is not None:
            return self._is_written(path.with_name(beside["new"] or beside["torn"]))
        return self._is_written(path)

    def _is_written(self, path: PurePath) -> bool:
        folder, rest = path.parts[0], "/".join(path.parts[1:])
        if not rest:
            tables = {f"{self.name}.{ending}" for ending in ("jsonl", "parquet", "csv")}
            return folder in (*LOCKS, RUN_LOG, SPENDING_FILE, *DERIVED) or folder in tables
        if folder in self.checkpoints:
            return rest in (RUN_FILE, JOBS_FILE, REDO_FILE) or rest in self.checkpoints[folder]
        return folder in self.results and (rest in (*WRITTEN_ABOUT_RESULTS, *self.results[folder]))

    def is_folder_of_ours(self, path: PurePath) -> bool:
        """path: below the folder."""
        folder, rest = path.parts[0], path.parts[1:]
        if folder == STATE_FOLDER:
            return not rest or is_state_folder(rest)
        if not rest:
            return folder in self.checkpoints or folder in self.results
        files = self.results.get(folder, ())
        return any(PurePath(file).parts[: len(rest)] == rest for file in files)

    def removal_step(self, path: PurePath, *, is_folder: bool) -> int:
        """In which step a file or folder is removed, so that the next `vlures clean` completes one that was killed.

        Checkpoints name the results files, the ledger proves whose answers they hold, and a file of each checkpoint
        folder says that it is a rehearsal's: each is removed after what needs it. The locks hold until the end.
        """
        folder = path.parts[0]
        if folder in LOCKS:
            return 7
        if folder in self.checkpoints:
            if is_folder:
                return 6
            return 5 if path.name == self.proofs[folder] else 4 if path.name in (RUN_FILE, JOBS_FILE) else 2
        return 3 if path in (PurePath(STATE_FOLDER), PurePath(STATE_FOLDER, LEDGER_FILE)) else 1 if is_folder else 0

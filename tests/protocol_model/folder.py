"""What the files of a run say, read by other eyes than the store's: as they are, and as a power cut would leave
them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.protocol_model.disk import Disk
from vlures.records import FINAL_STATUSES

Asked = tuple[str, str]
"""(key, digest) of a request."""


@dataclass(frozen=True, slots=True)
class View:
    """What a checkpoint folder holds."""

    answers: dict[Asked, list[str]]
    """The texts stored for each request."""
    statuses: dict[Asked, str]
    """The status of the last one."""
    open_tags: frozenset[str]
    """Of jobs whose answers may still come."""
    created: frozenset[str]
    """Every batch id in the journal."""


@dataclass(slots=True)
class Folder:
    """The checkpoint folder of a run. Whole lines are read once."""

    disk: Disk
    path: Path
    _lines: dict[str, list[tuple[int, dict[str, Any]]]] = field(default_factory=dict)
    _read: dict[str, int] = field(default_factory=dict)

    def forget(self) -> None:
        """Files were cut: read them anew."""
        self._lines.clear()
        self._read.clear()

    def read(self) -> None:
        """Read what is new."""
        if not self.path.is_dir():
            return
        for entry in os.scandir(self.path):
            if entry.name.endswith(".jsonl") and entry.stat().st_size != self._read.get(entry.name, 0):
                self._read_lines(entry.name)

    def view(self, *, answers_safe: bool = False, journal_safe: bool = False) -> View:
        """safe: only what a power cut would leave for certain."""
        answers: dict[Asked, list[str]] = {}
        statuses: dict[Asked, str] = {}
        states: dict[str, str] = {}
        created: set[str] = set()
        for name, lines in self._lines.items():
            journal = name == "jobs.jsonl"
            safe = journal_safe if journal else answers_safe
            limit = self.disk.safe_bytes(self.path / name) if safe else self._read[name]
            for end, line in lines:
                if end > limit:
                    break
                if not journal:
                    if line["status"] in FINAL_STATUSES:
                        answers.setdefault((line["key"], line["digest"]), []).append(line["text"])
                        statuses[line["key"], line["digest"]] = line["status"]
                elif "job" in line:
                    states[line["job"]] = line["state"]
                    if "batch_id" in line:
                        created.add(line["batch_id"])
        over = ("collected", "dropped")
        return View(
            answers, statuses, frozenset(tag for tag, state in states.items() if state not in over), frozenset(created)
        )

    def _read_lines(self, name: str) -> None:
        lines = self._lines.setdefault(name, [])
        position = self._read.get(name, 0)
        with (self.path / name).open("rb") as file:
            file.seek(position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                position += len(line)
                lines.append((position, json.loads(line)))
        self._read[name] = position

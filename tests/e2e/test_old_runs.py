"""Folders that earlier versions have left open, resume and export as they did (tests/old_runs)."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPOSITORY, Command

VERSIONS = sorted(path for path in (REPOSITORY / "tests/old_runs").iterdir() if path.is_dir())
SELECTED = ("--sandbox", "--dataset", "data", "--prompts", "prompts", "--languages", "En,Ur", "--tasks", "1,6")
RUNS: dict[str, tuple[str, ...]] = {
    "batch": ("--backend", "openai", "--name", "batch", "--no-canary"),
    "live": ("--backend", "gemini", "--name", "live"),
}


@pytest.fixture(params=VERSIONS, ids=lambda path: path.name)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Command, Path]:
    """A folder in which an earlier version has worked, and where it lies in the repository."""
    kept = request.param
    work = tmp_path / "work"
    for name in ("data", "prompts"):
        shutil.copytree(kept / name, work / name)
    shutil.copytree(kept / "stored", work / "outputs")
    return Command(work), kept


def read_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_numbers(status: str) -> list[list[str]]:
    """The rows of a status table, however its columns and its sums are called."""
    rows = [re.split(r"\s{2,}", line.strip()) for line in status.replace(",", "").splitlines()]
    return [row[1:] for row in rows if len(row) > 3 and row[1].isdigit()]


@pytest.mark.parametrize("run", RUNS)
def test_an_old_folder_is_exported_and_described_as_its_own_version_did(old: tuple[Command, Path], run: str) -> None:
    work, kept = old
    result = work("export", f"outputs/sandbox-{run}", "--out", "rows.jsonl")
    assert result.code == 0, result
    assert read_rows(work.folder / "rows.jsonl") == read_rows(kept / f"{run}.jsonl")
    result = work("status", f"outputs/sandbox-{run}")
    assert result.code == 0, result
    assert read_numbers(result.out) == read_numbers((kept / f"{run}.status").read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", RUNS)
def test_an_old_folder_is_resumed_and_asks_nothing_twice(old: tuple[Command, Path], run: str) -> None:
    work, kept = old
    before = {row["key"]: row for row in read_rows(kept / f"{run}.jsonl") if row["setting"] == "1shot_rationales"}
    checkpoints = work.folder / f"outputs/sandbox-{run}/checkpoints_1shot_rationales"
    lines = {path.name: path.read_bytes() for path in checkpoints.glob("checkpoint_*.jsonl")}
    again = work("run", *SELECTED, *RUNS[run], "--limit", "2")
    assert again.code == 0, again
    assert "0 due of 8 requests" in again.err
    assert {path.name: path.read_bytes() for path in checkpoints.glob("checkpoint_*.jsonl")} == lines
    more = work("run", *SELECTED, *RUNS[run])
    assert more.code == 0, more
    assert "2 due of 10 requests" in more.err  # the third sample has no text
    for name, content in lines.items():
        assert (checkpoints / name).read_bytes().startswith(content)
    result = work("export", f"outputs/sandbox-{run}", "--out", "rows.jsonl")
    assert result.code == 0, result
    after = {row["key"]: row for row in read_rows(work.folder / "rows.jsonl") if row["setting"] == "1shot_rationales"}
    assert before.items() <= after.items()
    assert len(after) == 10


def test_the_money_of_an_old_folder_counts(old: tuple[Command, Path]) -> None:
    work, _ = old
    result = work("run", *SELECTED, *RUNS["live"], "--max-cost", "0.000001")
    assert result.code == 3, result
    assert "is spent" in result.err

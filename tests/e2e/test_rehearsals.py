"""`vlures run --sandbox`, killed and continued: its sandbox drops uploads, and the run misses none of them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import Command

pytestmark = pytest.mark.warm
MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
REQUESTS = 12


def uploads(state: Path) -> list[str]:
    """The ids of the uploads whose content is on the disk."""
    records = [json.loads(path.read_bytes()) for path in state.glob("*files/*.json")]
    inputs = {record["id"] for record in records if record["purpose"] in ("batch", "upload")}
    assert inputs
    return [path.stem for path in state.glob("*files/*.data") if path.stem in inputs]


@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.parametrize("moment", ['"state":"created"', '"state":"collected"'])
def test_a_killed_rehearsal_continues_pays_once_and_leaves_no_upload(
    vlures: Command, backend: str, moment: str
) -> None:
    what = ("--dataset", "data", "--languages", "En", "--tasks", "1,2", "--name", "try")
    arguments = ("run", "--sandbox", "--backend", backend, "--model", MODELS[backend], "--mode", "batch", *what)
    process = vlures.start(*arguments)
    vlures.wait_for_journal("sandbox-try", moment, process)
    process.kill()
    process.wait(timeout=20)
    result = vlures(*arguments)
    assert result.code == 0, result
    state = vlures.folder / "outputs/sandbox-try/sandbox"
    paid = Counter(json.loads(line)["id"] for line in (state / "ledger.jsonl").read_bytes().splitlines())
    assert (len(paid), set(paid.values())) == (REQUESTS, {1})
    assert len(vlures.answers("sandbox-try")) == REQUESTS
    assert uploads(state) == []

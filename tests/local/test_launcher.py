"""The flags of the benchmark's first launcher, with a hub whose cache on this machine has the models' names."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAMES = {
    "blip2": ("Salesforce/blip2-flan-t5-xl", "blip2_t5"),
    "instructblip": ("Salesforce/instructblip-flan-t5-xl", "instructblip_t5"),
    "llava": ("llava-hf/llava-1.5-7b-hf", "llava"),
}
QUESTIONS = 40


@pytest.fixture
def hub(vlures: Command, tiny: Callable[[str], Path], tmp_path: Path) -> Command:
    """The command, where a hub's cache has tiny models under the names of the real ones."""
    for name, kind in NAMES.values():
        repository = tmp_path / "hf/hub" / f"models--{name.replace('/', '--')}"
        shutil.copytree(tiny(kind), repository / "snapshots" / COMMIT)
        (repository / "refs").mkdir()
        (repository / "refs/main").write_text(COMMIT)
    vlures.environment |= {"HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"}
    lines = (REPOSITORY / "data/SampleUrban/test.jsonl").read_text(encoding="utf-8").splitlines()
    (vlures.folder / "test set.jsonl").write_text("\n".join(lines[:QUESTIONS]) + "\n", encoding="utf-8")
    return vlures


def launch(hub: Command, framework: str, *more: str, gpus: int = 1) -> tuple[str, ...]:
    return (
        *("urban", "--framework", framework, "--mode", "zero_shot", "--gpus", "0", "--ngpus", str(gpus)),
        *("--test_json", "test set.jsonl", "--image_dir", str(REPOSITORY / "data/SampleUrban/images")),
        *("--out_dir", f"out/{framework}-run", "--seed", "42", *more),
    )


@pytest.mark.parametrize("framework", NAMES)
def test_the_launcher_runs_and_scores(hub: Command, framework: str) -> None:
    result = hub(*launch(hub, framework, "--bf16"))
    assert result.code in (0, 3), result
    results = hub.folder / f"out/{framework}-run/results_question"
    scores = json.loads((results / "scores.json").read_text(encoding="utf-8"))
    assert scores
    predictions = (results / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(predictions) == QUESTIONS
    run = json.loads((hub.folder / f"out/{framework}-run/checkpoints_question/run.json").read_text(encoding="utf-8"))
    assert run["model"] == NAMES[framework][0]
    assert run["parameters"] == {
        "model_files": COMMIT,
        "dtype": "bf16",
        "image_backend": "pil",
        "max_output_tokens": 20,
    }


def test_reasoning_has_room(hub: Command) -> None:
    assert hub(*launch(hub, "blip2", "--cot")).code in (0, 3)
    run = json.loads((hub.folder / "out/blip2-run/checkpoints_question_cot/run.json").read_text(encoding="utf-8"))
    assert run["parameters"]["max_output_tokens"] == 128


def test_two_processes(hub: Command) -> None:
    result = hub(*launch(hub, "blip2", gpus=2))
    assert result.code in (0, 3), result
    predictions = hub.folder / "out/blip2-run/results_question/predictions.jsonl"
    assert len(predictions.read_text(encoding="utf-8").splitlines()) == QUESTIONS


def test_flags_that_are_missing_or_contradict_each_other(hub: Command) -> None:
    missing = hub("urban", "--framework", "blip2")
    assert missing.code == 2
    assert "--test_json" in missing.err
    both = hub(*launch(hub, "blip2", "--fp16", "--bf16"))
    assert both.code == 2
    assert "contradict" in both.err
    assert "--framework" in hub("urban").out

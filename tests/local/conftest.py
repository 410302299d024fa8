"""What the tests of local models share: tiny models, pictures, questions about them, and the real command."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Command
from tests.local.tiny_models import build

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # as many workers as cores run tests
os.environ["TOKENIZERS_PARALLELISM"] = "false"

DONE = (0, 3)
"""Exit codes of a run that has done its work. 3: random weights went on to the allowance in every answer."""

ASKED = (
    "How many cars are there?",
    "Is there a tree?",
    "What is on the left side?",
    "Is it far?",
    "Who walks?",
    "Why?",
)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A tiny model's folder, by its kind. Do not change it: all tests share it."""
    root = tmp_path_factory.mktemp("models")
    return lambda kind: root / kind if (root / kind).is_dir() else build(kind, root / kind)


def draw(path: Path, seed: int) -> None:
    """A picture of noise, wider or higher than it is high or wide."""
    chance = random.Random(seed)
    size = (48, 40) if seed % 2 else (40, 64)
    Image.frombytes("RGB", size, chance.randbytes(3 * size[0] * size[1])).save(path)


def write_questions(folder: Path, images: int, asked: tuple[str, ...] = ASKED) -> Path:
    """A table of every question about every image, and the images."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(images):
        draw(folder / f"images/{number}.png", number)
        lines += [
            json.dumps({"id": f"{number}q{place}", "image": f"images/{number}.png", "question": question})
            for place, question in enumerate(asked)
        ]
    path = folder / "asked.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def vlures(tmp_path: Path) -> Command:
    folder = tmp_path / "work"
    folder.mkdir()
    return Command(folder)


def run_arguments(model: Path | str, *more: str, name: str = "tiny") -> tuple[str, ...]:
    return (
        *("run", "--backend", "local", "--model", str(model), "--benchmark", "table", "--questions", "asked.jsonl"),
        *("--max-output-tokens", "6", "--name", name, *more),
    )


def texts(vlures: Command, name: str = "tiny") -> dict[str, str]:
    """The last answer of every question, by its ID; empty where nothing but special tokens came."""
    return {key.rpartition("-")[2]: line.get("text") or "" for key, line in vlures.last_lines(name).items()}

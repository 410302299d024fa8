"""What the store and everything around it add to the time in which a local model computes. Prints a line.

.venv-local/bin/python tests/speed/local_spine.py
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from local_models import QUESTIONS, SIZES, draw, make_model

import vlures
from vlures.backends.local.generation import Generator

IMAGES = 16


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="vlures-bench-") as name:
        folder = Path(name)
        loaded = make_model("blip-2", SIZES["cpu"], torch.device("cpu"), torch.float32)
        loaded.model.save_pretrained(folder / "model")
        loaded.processor.save_pretrained(folder / "model")
        measure(folder, write_questions(folder))


def write_questions(folder: Path) -> Path:
    lines = []
    for number, picture in enumerate(draw(IMAGES, 224)):
        picture.save(folder / f"{number}.png")
        lines += [
            json.dumps({"id": f"{number}q{place}", "image": f"{number}.png", "question": question.replace("?", " ?")})
            for place, question in enumerate(QUESTIONS)
        ]
    path = folder / "asked.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def measure(folder: Path, asked: Path) -> None:
    """Time every computation of a real run, and the run from the first computation's beginning to its end."""
    computed: list[tuple[float, float]] = []
    compute = Generator._generate

    def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return compute(*arguments)
        finally:
            computed.append((began, time.perf_counter()))

    Generator._generate = timed  # type: ignore[method-assign]
    began = time.perf_counter()
    vlures.run(
        backend="local",
        model=str(folder / "model"),
        benchmark="table",
        questions=str(asked),
        output=str(folder / "outputs"),
        name="measured",
        max_output_tokens=5,
        rows=15,
        device="cpu",
    )
    ended = time.perf_counter()
    computing = sum(end - begin for begin, end in computed)
    span = computed[-1][1] - computed[0][0]
    print(
        f"{len(QUESTIONS) * IMAGES} questions: computing {computing:.2f} s, from the first computation to the last "
        f"{span:.2f} s, {(span - computing) / computing:.1%} more; the whole run with loading {ended - began:.2f} s"
    )


if __name__ == "__main__":
    main()

"""What a run would ask, for a bare loop to ask it: `python write_questions.py DATASET TASKS FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from vlures.benchmarks.vlures.benchmark import load_benchmark
from vlures.runs.config import load_config


def main(dataset: str, tasks: str, target: Path) -> None:
    config = load_config(None, {"dataset": dataset, "languages": ("En",), "tasks": (tasks,), "backend": "gemini"})
    questions = [
        {
            "model": request.model,
            "system": request.prompt.system,
            "text": request.prompt.user,
            "image": str(request.image.path),
            "mime_type": request.image.mime_type,
        }
        for request in load_benchmark(config.benchmark_options, config.target.asked).requests()
    ]
    target.write_text(json.dumps(questions), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

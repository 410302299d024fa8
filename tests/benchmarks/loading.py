"""VLURes as a configuration asks it, without a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vlures.benchmarks.vlures.benchmark import VluresBenchmark, load_benchmark
from vlures.benchmarks.vlures.options import Options
from vlures.runs.config import load_config


def questions_of(options: Mapping[str, Any]) -> Options:
    """The benchmark's own options."""
    questions: Options = load_config(None, options).benchmark_options
    return questions


def benchmark_of(options: Mapping[str, Any]) -> VluresBenchmark:
    config = load_config(None, options)
    skips = (lambda _: False) if config.selection.skip_problems else None
    return load_benchmark(config.benchmark_options, config.target.asked, skips)

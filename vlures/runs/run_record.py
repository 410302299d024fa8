"""What run.json holds of a run, and what differs between two runs of one folder."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import vlures
from vlures.benchmarks.vlures.benchmark import Benchmark, digest, digest_data, find_text_languages
from vlures.records import Cell, Dataset
from vlures.runs.allowances import describe_allowances
from vlures.store.checkpoints import CheckpointStore, now


def describe_run(benchmark: Benchmark, store: CheckpointStore) -> dict[str, Any]:
    """What run.json holds: resolved configuration, versions, digests, and how much there is to ask. outside: how many samples
    of a cell stand in the store already that are not among those to be asked."""
    config = benchmark.config
    selected: dict[Cell, set[int]] = {cell: set() for cell in config.cells}
    for cell, sample in benchmark.questions():
        selected[cell].add(sample.id)
    planned = {
        f"{cell.language}-t{cell.task}": {
            "requests": len(samples),
            "left_out": benchmark.left_out(cell),
            "outside": len(store.entries(cell).keys() - samples),
        }
        for cell, samples in selected.items()
    }
    return {
        "time": now(),
        "versions": {"vlures": vlures.__version__, **_versions("openai", config.sdk, "pillow")},
        "provider": config.backend,
        "mode": config.run_mode,
        "model": config.run_model,
        "parameters": config.parameters,
        "config": asdict(config),
        "text_languages": find_text_languages(config, benchmark.datasets),
        "prompt_digests": {
            f"{cell.language}-t{cell.task}": digest(prompt) for cell, prompt in benchmark.prompts.items()
        },
        "data_digests": {_part(code, dataset): digest_data(dataset) for code, dataset in benchmark.datasets.items()},
        "data_sources": {code: dataset.fetched for code, dataset in benchmark.datasets.items() if dataset.fetched},
        "planned": planned,
        "allowances": describe_allowances(config, store.read_json("run.json")),
    }


def _part(code: str, dataset: Dataset) -> str:
    """What a digest of data is of: only the same parts of a table can be compared."""
    return f"{code} ({dataset.selection})" if dataset.selection else code


def _versions(*packages: str) -> dict[str, str]:
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def what_changed(benchmark: Benchmark, store: CheckpointStore) -> list[str]:
    """What differs between the last run of this folder and this one, in words."""
    before, today = store.read_json("run.json"), describe_run(benchmark, store)
    changed = []
    for key in ("provider", "model", "parameters"):
        if before.get(key) != today[key]:
            changed.append(f"the {key} ({before.get(key)} → {today[key]})")
    for key, words in (("prompt_digests", "the prompts of"), ("data_digests", "the images or texts of")):
        old = before.get(key) or {}
        names = [name for name, digest in today[key].items() if old.get(name, digest) != digest]
        if names:
            changed.append(f"{words} {', '.join(names[:4])}{' …' if len(names) > 4 else ''}")
    return changed

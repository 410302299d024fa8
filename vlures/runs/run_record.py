"""What run.json holds of a run, and what differs between two runs of one folder."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import vlures
from vlures.backends import all_providers
from vlures.benchmarks import Benchmark
from vlures.records import Cell
from vlures.runs.allowances import describe_allowances
from vlures.runs.config import RunConfig
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now


def describe_run(config: RunConfig, benchmark: Benchmark, store: CheckpointStore) -> dict[str, Any]:
    """The content of run.json: resolved configuration, versions, digests, and the number of requests by cell.

    outside: how many samples of a cell are in the store but not in the selection.
    """
    selected: dict[Cell, set[str]] = {cell: set() for cell in benchmark.cells()}
    for question in benchmark.questions():
        selected[question.cell].add(question.sample_id)
    planned = {
        cell: {
            "requests": len(samples),
            "left_out": benchmark.left_out(cell),
            "outside": len(store.entries(cell).keys() - samples),
        }
        for cell, samples in selected.items()
    }
    return {
        "time": now(),
        "versions": {"vlures": vlures.__version__, **_versions(config.provider_options)},
        "benchmark": benchmark.name,
        "provider": config.who.backend,
        "mode": config.target.mode,
        "model": config.target.model,
        "parameters": config.target.parameters,
        # The command of --notify may hold the secret address of a web hook.
        "config": {name: value for name, value in config.as_dict().items() if name != "notify"},
        **benchmark.describe(),
        "planned": planned,
        "allowances": describe_allowances(config.target, config.again.redo, store.read_json("run.json")),
    }


def _versions(options: Mapping[str, Any]) -> dict[str, str]:
    """Versions of Python and of the packages that shape what is sent. options: of each provider, by its name."""
    packages = [package for provider in all_providers() for package in provider.packages(options[provider.name])]
    return {"python": platform.python_version(), **{package: version(package) for package in (*packages, "pillow")}}


def what_changed(config: RunConfig, benchmark: Benchmark, store: CheckpointStore) -> list[str]:
    """What differs between the last run of this folder and this one, in words."""
    before, today = store.read_json("run.json"), describe_run(config, benchmark, store)
    changed = []
    for key in ("provider", "model", "parameters"):
        if before.get(key) != today[key]:
            changed.append(f"the {key} ({before.get(key)} → {today[key]})")
    for key, words in (("prompt_digests", "the prompts of"), ("data_digests", "the images or texts of")):
        old = before.get(key) or {}
        names = [name for name, digest in today.get(key, {}).items() if old.get(name, digest) != digest]
        if names:
            changed.append(f"{words} {', '.join(names[:4])}{' …' if len(names) > 4 else ''}")
    return changed

"""160 batches at a provider that works on 20 at a time, for 5 s each: what `vlures run` adds to the provider's own
time.

The provider is the sandbox, which answers in earnest: every line is read and has its own answer. Its own time is what
160 batches take in 20 places if none is ever empty: 160 / 20 × 5 s = 40 s. That is less than the sandbox itself can do:
it begins with nothing, reads and answers 32,000 lines on the same two cores, and a batch that is late at its end keeps
its place for longer. So the time from the first creation to the last completion, by the sandbox's own clock, stands
beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from measure import VLURES, Child, Table, against, child_environment, run_child, run_script
from PIL import Image

IMAGES, CELLS, LOT = 1_000, 32, 200
PLACES, BATCH_S = 20, 5.0
GOAL = 1.15
LOOPED = 3
LOOP_POLL_S = 1.0
MODEL = "gpt-6-luna"


@dataclass(frozen=True)
class Provider:
    """A sandbox in a process of its own."""

    url: str
    state: Path

    def life(self) -> tuple[float, float, float]:
        """When the first batch was created and the last completed, and the sum of all that they took from their start.
        In seconds."""
        batches = [json.loads(path.read_bytes()) for path in (self.state / "batches").glob("*.json")]
        worked_s = sum(batch["completed_at"] - batch["started_at"] for batch in batches)
        created_at, completed_at = ([batch[name] for batch in batches] for name in ("created_at", "completed_at"))
        return min(created_at), max(completed_at), worked_s

    def inputs(self) -> list[Path]:
        """The bare batch files that it was sent."""
        found = []
        for path in sorted((self.state / "files").glob("*.json")):
            record = json.loads(path.read_bytes())
            if record["purpose"] == "batch":
                data = path.with_suffix(".data").read_bytes()[record["start"] : record["start"] + record["size"]]
                found.append(path.with_suffix(".jsonl"))
                found[-1].write_bytes(data)
        return found


def measure(folder: Path, quick: bool) -> list[Table]:
    images = IMAGES // 10 if quick else IMAGES
    shards = images * CELLS // LOT
    ideal_s = ceil(shards / PLACES) * BATCH_S
    dataset = make_pictures(folder / "dataset", images)
    with running_provider(folder, "first") as provider:
        run_all(folder, dataset, provider, "warm", limit=2)
    with running_provider(folder, "second") as provider:
        began = time.time()
        run = run_all(folder, dataset, provider, "run")
        created, completed, worked_s = provider.life()
        again = run_all(folder, dataset, provider, "run")
        files = provider.inputs()[:LOOPED]
        with running_provider(folder, "third") as other:
            loop = run_script("one_by_one.py", f"{other.url}/openai/v1", LOOP_POLL_S, *files, folder=folder)
        shutil.rmtree(provider.state)
    each_s = [float(took_s) for took_s in json.loads(loop.output.splitlines()[-1])]
    loop_s = sum(each_s) / len(each_s) * shards
    ratio = run.wall_s / ideal_s
    rows = [
        row("the provider's own time, no place ever empty", ideal_s, ideal_s),
        row("vlures run, the whole command", run.wall_s, ideal_s, run),
        row("- until the first batch was created", created - began, ideal_s),
        row("- until the provider had completed the last", completed - created, ideal_s),
        row("- until its end", began + run.wall_s - completed, ideal_s),
        row("the same command again, nothing to do", again.wall_s, ideal_s, again),
        row(f"one batch after another (from {len(each_s)} of {shards})", loop_s, ideal_s),
    ]
    notes = [
        f"{images * CELLS:,} requests about {images:,} small images in {shards} batches of {LOT}; the provider works "
        f"on {PLACES} at a time, {BATCH_S:g} s each; load now {os.getloadavg()[0]:.1f}.",
        f"A batch kept its place for {worked_s / shards:.2f} s on average.",
        f"One after another: the SDK in a loop that uploads, creates, looks every {LOOP_POLL_S:g} s, downloads and "
        f"stores nothing. Measured on {len(each_s)} batches ({', '.join(f'{took_s:.1f} s' for took_s in each_s)}), the "
        f"rest is that times {shards}, not measured.",
    ]
    goals = [["vlures run / the provider's own time", f"{ratio:.3f}", f"{GOAL:.2f}", against(ratio, GOAL)]]
    return [
        Table("Many batches", ["what", "wall s", "× the provider's own", "user s", "system s", "peak MB"], rows, notes),
        Table("Many batches, goal", ["what", "measured", "goal", "reached"], goals),
    ]


def row(what: str, wall_s: float, ideal_s: float, child: Child | None = None) -> list[object]:
    used = ["", "", ""]
    if child is not None:
        used = [f"{child.user_s:.1f}", f"{child.system_s:.1f}", f"{child.peak_bytes / 1e6:.0f}"]
    return [what, f"{wall_s:,.1f}", f"{wall_s / ideal_s:.3f}", *used]


def make_pictures(folder: Path, images: int) -> Path:
    """Small images, no two the same, each with an article."""
    folder.mkdir(parents=True)
    for number in range(1, images + 1):
        colour = (number * 37 % 256, number * 91 % 256, number // 256 * 53 % 256)
        Image.new("RGB", (48, 32), colour).save(folder / f"image{number}.png")
        (folder / f"text{number}.txt").write_text(f"The {number}th picture shows one colour.\n", encoding="utf-8")
    return folder


def run_all(folder: Path, dataset: Path, provider: Provider, name: str, limit: int | None = None) -> Child:
    """Four languages, eight tasks."""
    command = [VLURES, "run", "--backend", "openai", "--model", MODEL, "--dataset", str(dataset), "--name", name]
    command += ["--batch-size", str(LOT), "--no-canary", *(["--limit", str(limit)] if limit else [])]
    environment = {"OPENAI_API_KEY": "dummy", "OPENAI_BASE_URL": f"{provider.url}/openai/v1"}
    return run_child(command, folder, environment)


@contextmanager
def running_provider(folder: Path, name: str) -> Iterator[Provider]:
    """A sandbox for as long as the block lasts. It ends by itself when this process does."""
    state = folder / name
    options = ["--until-stdin-closes", "--keep-uploads", "--state", str(state)]
    options += ["--parallel-batches", str(PLACES), "--batch-seconds", str(BATCH_S)]
    command = [sys.executable, "-m", "vlures.sandbox", *options]
    process = subprocess.Popen(
        command, env=child_environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Provider(process.stdout.readline().split()[-1], state)
    finally:
        process.stdin.close()
        process.wait(timeout=30)

"""8,000 batch lines over 1,000 images of 300 KB: what `vlures run` takes to upload them, against plain writing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from measure import VLURES, Child, Table, against, make_dataset, run_child, run_script, running_server

IMAGE_BYTES = 300_000
TIME_GOAL = 2.0
MEMORY_GOAL_MB = 200.0
REPEATS = 3


def measure(folder: Path, quick: bool) -> list[Table]:
    images, repeats = (100, 1) if quick else (1_000, REPEATS)
    dataset = make_dataset(folder / "dataset", images, IMAGE_BYTES)
    write_plainly(folder, dataset, "once")  # a virtual machine gets its memory page by page, the first time
    plain = [write_plainly(folder, dataset, "once") for _ in range(repeats)]
    naive = write_plainly(folder, dataset, "every-time")
    sent = send_plainly(folder, dataset)
    small = make_dataset(folder / "small", 1, IMAGE_BYTES)
    upload_batches(folder, small, "warm")
    start, _ = upload_batches(folder, small, "start")
    runs = [upload_batches(folder, dataset, f"run{number}") for number in range(repeats)]

    run, seen = min(runs, key=lambda pair: pair[0].wall_s)
    fastest = min(plain, key=lambda child: child.wall_s)
    peak_mb = max(child.peak_bytes for child, _ in runs) / 1e6
    ratio = run.wall_s / fastest.wall_s

    def row(what: str, wall_s: float, child: Child | None = None, megabytes: float = 0) -> list[object]:
        times = [f"{wall_s:.2f}", f"{wall_s / fastest.wall_s:.2f}", f"{megabytes / wall_s:,.0f}" if megabytes else ""]
        if child is None:
            return [what, *times, "", "", ""]
        return [what, *times, f"{child.user_s:.2f}", f"{child.system_s:.2f}", f"{child.peak_bytes / 1e6:.0f}"]

    megabytes = seen["bytes_received"] / 1e6
    rows = [
        row("plain, each image read and encoded once", fastest.wall_s, fastest, megabytes),
        row("plain, read and encoded for every line", naive.wall_s, naive, megabytes),
        row("plain, sent through a bare socket", sent.wall_s, sent, megabytes),
        row("vlures run, the whole command", run.wall_s, run, megabytes),
        row("- of it first to last byte of uploads", seen["span_s"], megabytes=megabytes),
        row("vlures run over one image", start.wall_s, start),
    ]
    goals = [
        ["vlures run / plain, each once", f"{ratio:.2f}", f"{TIME_GOAL:.2f}", against(ratio, TIME_GOAL)],
        ["peak memory, MB", f"{peak_mb:.0f}", f"{MEMORY_GOAL_MB:.0f}", against(peak_mb, MEMORY_GOAL_MB)],
    ]
    notes = [
        f"{seen['lines']:,} lines in {seen['batches']} batches, {megabytes / 1e3:.2f} GB, {images:,} images of "
        f"{IMAGE_BYTES / 1e3:.0f} KB, tasks 1-8 in English. The fastest of {repeats} each.",
        f"All of vlures: {_seconds([child for child, _ in runs])}; all plain ones: {_seconds(plain)}.",
        "Plain: one process, files to a file through the page cache, no sync; its times are those of the loop alone, "
        "with the texts built before. Those of vlures are of the whole process.",
        "The server is another process on the same cores and receives everything over loopback.",
    ]
    headers = ["what", "wall s", "× plain", "MB/s", "user s", "system s", "peak MB"]
    return [
        Table("Batch upload", headers, rows, notes),
        Table("Batch upload, goals", ["what", "measured", "goal", "reached"], goals),
    ]


def upload_batches(folder: Path, dataset: Path, name: str) -> tuple[Child, dict[str, Any]]:
    """Run the command against a server of its own; what it took, and what the server saw."""
    with running_server(folder) as server:
        command = [VLURES, "run", "--backend", "openai", "--dataset", str(dataset), "--languages", "En", "--name", name]
        environment = {"OPENAI_API_KEY": "dummy", "OPENAI_BASE_URL": f"{server.url}/v1"}
        return run_child(command, folder, environment), server.counts()


def write_plainly(folder: Path, dataset: Path, how: str) -> Child:
    """The reference, to a file. Its times are those of its loop alone, as it tells them."""
    target = folder / "lines.jsonl"
    child = _told(run_script("write_plainly.py", dataset, target, how, folder=folder))
    target.unlink()
    return child


def send_plainly(folder: Path, dataset: Path) -> Child:
    """What the same costs at the least when it goes to the same server instead of a file."""
    with running_server(folder) as server:
        return _told(run_script("write_plainly.py", dataset, server.url, "once", folder=folder))


def _told(child: Child) -> Child:
    told = json.loads(child.output.splitlines()[-1])
    return Child(told["wall_s"], told["user_s"], told["system_s"], child.peak_bytes, child.output)


def _seconds(children: list[Child]) -> str:
    return ", ".join(f"{child.wall_s:.1f} s" for child in children)

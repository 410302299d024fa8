"""32 cells over 200 images by the Batch API: the bytes that go up when each image goes once, against inline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from measure import VLURES, Child, Table, against, make_dataset, run_child, running_server

IMAGE_BYTES = 300_000
GOAL = 1 / 25
WAYS = {
    "inline, chat completions": ["--endpoint", "chat", "--image-transport", "inline"],
    "inline, responses": ["--endpoint", "responses", "--image-transport", "inline"],
    "file, responses": ["--endpoint", "responses", "--image-transport", "file"],
}


def measure(folder: Path, quick: bool) -> list[Table]:
    images = 20 if quick else 200
    dataset = make_dataset(folder / "dataset", images, IMAGE_BYTES)
    found = {
        name: _upload(folder, dataset, f"way{number}", options) for number, (name, options) in enumerate(WAYS.items())
    }
    sent = {name: int(seen["bytes_received"]) for name, (_, seen) in found.items()}
    most = sent["inline, responses"]
    rows = [
        [
            name,
            f"{seen['lines']:,}",
            seen["batches"],
            seen["images"],
            f"{sent[name] / 1e6:,.1f}",
            f"{sent[name] / most:.4f}",
            f"{child.wall_s:.1f}",
            f"{child.cpu_s:.1f}",
            f"{child.peak_bytes / 1e6:.0f}",
        ]
        for name, (child, seen) in found.items()
    ]
    ratio = sent["file, responses"] / most
    goals = [["bytes by file / bytes inline", f"{ratio:.4f}", f"{GOAL:.4f}", against(ratio, GOAL)]]
    headers = ["what", "lines", "batches", "images", "MB up", "of inline", "wall s", "CPU s", "peak MB"]
    notes = [
        (
            f"4 languages × 8 tasks × {images:,} images of {IMAGE_BYTES / 1e3:.0f} KB. Bytes as the server counts "
            "them, forms and all; the whole command."
        )
    ]
    return [
        Table("Transport of images", headers, rows, notes),
        Table("Transport of images, goals", ["what", "measured", "goal", "reached"], goals),
    ]


def _upload(folder: Path, dataset: Path, name: str, options: list[str]) -> tuple[Child, dict[str, Any]]:
    with running_server(folder) as server:
        command = [VLURES, "run", "--backend", "openai", "--mode", "batch", "--dataset", str(dataset), "--name", name]
        command += ["--base-url", f"{server.url}/openai/v1", *options]
        return run_child(command, folder, {"OPENAI_API_KEY": "dummy"}), server.counts()

"""A published dataset whose table has a million rows: what a run over a part of it takes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from measure import VLURES, Table, against, run_child, run_script

MOST_BYTES = 300_000_000
ROWS = 1_000_000


def measure(folder: Path, quick: bool) -> list[Table]:
    rows = ROWS // 10 if quick else ROWS
    lines = []
    for kind, row_group in (("one row group", rows), ("groups of 10,000", 10_000)):
        dataset = folder / kind.replace(" ", "-")
        run_script("write_table.py", dataset, rows, ROWS // 1_000, row_group, folder=folder)
        size = (dataset / "train/metadata.parquet").stat().st_size
        for what, options in (
            ("--limit 100, four languages", ["--limit", "100"]),
            ("one language of a thousandth", ["--languages", "Ur"]),
        ):
            lines.append([kind, f"{size / 1e6:,.0f} MB", what, *_run(folder, dataset, what, options)])
    title = f"A table of {rows:,} rows (Parquet, articles of 1,000 to 2,000 letters), task 6, live, sandbox"
    headers = ["table", "file", "the run takes", "requests", "seconds", "CPU s", "peak MB", "≤ 300 MB"]
    return [Table(title, headers, lines, ["Peak: of the command, or of the sandbox that it starts if that is higher."])]


def _run(folder: Path, dataset: Path, what: str, options: Sequence[str]) -> list[object]:
    name = "".join(letter for letter in f"{dataset.name}-{what}" if letter.isalnum())
    fixed = ["--sandbox", "--backend", "gemini", "--tasks", "6", "--dataset", str(dataset), "--concurrency", "50"]
    child = run_child([VLURES, "run", "--name", name, *fixed, *options], folder)
    [answers] = [line for line in child.output.splitlines() if line.startswith("Results in")]
    answered = answers.split(": ")[1].split(" ok")[0]
    return [
        answered,
        f"{child.wall_s:.1f}",
        f"{child.cpu_s:.1f}",
        f"{child.peak_bytes / 1e6:,.0f}",
        against(child.peak_bytes, MOST_BYTES),
    ]


if __name__ == "__main__":
    sys.exit("Run it with `python tests/speed/run_all.py --only metadata`.")

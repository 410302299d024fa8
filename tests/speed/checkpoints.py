"""What storing an answer costs at the first thousand and at the hundred-thousandth, and what a million of them cost a
command that opens them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

from fill_store import CELLS
from measure import HERE, VLURES, Table, against, run_child, run_script

WINDOW = 1_000
ANSWERS_PER_CELL = 31_250
OPEN_GOAL_S = 6.0
OPEN_GOAL_MB = 600


def measure(folder: Path, quick: bool) -> list[Table]:
    return [*_measure_appending(folder, quick), _measure_opening(folder, quick)]


def _measure_appending(folder: Path, quick: bool) -> list[Table]:
    starts = (0, 1_000, 5_000, 10_000) if quick else (0, 10_000, 50_000, 100_000)
    repeats = 3
    rows, ratios = [], []
    for number in range(repeats):
        child = run_script("append_answers.py", folder / f"store{number}", WINDOW, *starts, folder=folder)
        found = json.loads(child.output.splitlines()[-1])
        for window in found["windows"]:
            rows.append(
                [
                    number + 1,
                    f"{window['start']:,} - {window['start'] + WINDOW:,}",
                    f"{window['median_us']:.1f}",
                    f"{window['mean_us']:.1f}",
                    f"{window['slowest_us']:,.0f}",
                    f"{window['synced_us']:.1f}",
                ]
            )
        first, last = found["windows"][0], found["windows"][-1]
        grown = [f"{last[what] / first[what]:.2f}" for what in ("median_us", "mean_us", "synced_us")]
        ratios.append([number + 1, *grown, f"{found['open_s']:.2f}", f"{child.peak_bytes / 1e6:.0f}"])
    notes = [
        "One answer: CheckpointStore.append of a text of 1.5 KB, into 32 cells in turn, with a sync every second in a "
        "thread as a run does it. With sync: the thousand and one sync at its end, by thousand.",
    ]
    headers = ["run", "answers", "median µs", "mean µs", "slowest µs", "with sync, mean µs"]
    last_words = f"{starts[-1]:,}"
    return [
        Table("Checkpointing, per answer", headers, rows, notes),
        Table(
            f"Checkpointing, the thousand after {last_words} / the first thousand (goal: the same)",
            ["run", "median", "mean", "with sync", "to open the store s", "peak MB"],
            ratios,
        ),
    ]


def _measure_opening(folder: Path, quick: bool) -> Table:
    """Whole commands, with Python's start and end; the files are in the system's cache, as after a run."""
    answers, runs = (300, 2) if quick else (ANSWERS_PER_CELL, 5)
    output_folder = folder / "outputs/filled"
    run_script("fill_store.py", output_folder, answers, folder=folder)
    sizes = [path.stat().st_size for path in output_folder.rglob("*.jsonl")]
    commands = {
        "vlures status": [VLURES, "status", str(output_folder)],
        "a store for a rerun": [sys.executable, str(HERE / "open_store.py"), str(output_folder)],
    }
    rows = []
    for words, command in commands.items():
        run_child(command, folder)  # writes the bytecode
        took = [run_child(command, folder) for _ in range(runs)]
        wall_s = median(child.wall_s for child in took)
        peak = max(child.peak_bytes for child in took) / 1e6
        rows.append(
            [
                words,
                f"{wall_s:.2f}",
                f"{max(child.wall_s for child in took):.2f}",
                f"{median(child.cpu_s for child in took):.2f}",
                against(wall_s, OPEN_GOAL_S),
                f"{peak:.0f}",
                against(peak, OPEN_GOAL_MB),
            ]
        )
    title = (
        f"{len(CELLS) * answers:,} stored answers and their batches, {sum(sizes) / 1e6:,.0f} MB in {len(CELLS)} cells, "
        f"{runs} runs each (goal: {OPEN_GOAL_S:g} s, {OPEN_GOAL_MB} MB)"
    )
    headers = ["opened by", "median s", "slowest s", "CPU s", "in time", "peak MB", "in room"]
    return Table(title, headers, rows)

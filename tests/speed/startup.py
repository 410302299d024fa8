"""How long `vlures --help` takes, and `vlures status` on a full benchmark: 32 cells of 1,000 answers."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from measure import VLURES, Table, against, run_child, run_script

HELP_GOAL_S = 0.25
STATUS_GOAL_S = 1.0


def measure(folder: Path, quick: bool) -> list[Table]:
    runs, answers = (3, 100) if quick else (10, 1_000)
    run_script("fill_store.py", folder / "outputs/filled", answers, folder=folder)
    commands = [
        ([VLURES, "--help"], "vlures --help", HELP_GOAL_S),
        ([VLURES, "status", "outputs/filled"], f"vlures status, 32 cells × {answers:,}", STATUS_GOAL_S),
    ]
    rows = []
    for command, words, goal_s in commands:
        run_child(command, folder)  # writes the bytecode
        took = [run_child(command, folder) for _ in range(runs)]
        wall_s = median(child.wall_s for child in took)
        slowest_s = max(child.wall_s for child in took)
        peak = max(child.peak_bytes for child in took) / 1e6
        verdict = against(wall_s, goal_s)
        rows.append([words, f"{wall_s:.3f}", f"{slowest_s:.3f}", f"{peak:.0f}", f"{goal_s:.2f}", verdict])
    headers = ["command", "median s", "slowest s", "peak MB", "goal s", "reached"]
    return [Table(f"Startup, {runs} runs each", headers, rows)]

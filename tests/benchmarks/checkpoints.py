"""What storing an answer costs at the first thousand and at the hundred-thousandth."""

from __future__ import annotations

import json
from pathlib import Path

from measure import Table, run_script

WINDOW = 1_000


def measure(folder: Path, quick: bool) -> list[Table]:
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
        "One answer: CheckpointStore.append of a text of 1.5 KB, into 32 cells in turn, with a sync every second in a thread as "
        "a run does it. With sync: the thousand and one sync at its end, by thousand.",
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

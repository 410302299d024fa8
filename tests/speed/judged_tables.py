"""All tables of 32,000 answers that two judges have judged, and a comparison of two such runs."""

from __future__ import annotations

import sys
from pathlib import Path

from measure import VLURES, Child, Table, against, run_child, run_script

MOST_S = 10.0
MOST_BYTES = 500_000_000
CELLS = 32


def measure(folder: Path, quick: bool) -> list[Table]:
    answers = 100 if quick else 1_000
    runs = [folder / "outputs" / name for name in ("one", "two")]
    for shift, run in enumerate(runs):
        run_script("fill_store.py", run, answers, folder=folder)
        run_script("judge_store.py", run, answers, 2 * shift, folder=folder)
    one, two = map(str, runs)
    lines = [
        _line("vlures tables, one run", run_child([VLURES, "tables", one], folder)),
        _line("bare means of one run", run_script("bare_means.py", one, folder=folder)),
        _line("vlures compare, two runs", run_child([VLURES, "compare", one, two], folder)),
        _line("bare means of two runs", run_script("bare_means.py", one, two, folder=folder)),
    ]
    title = f"Tables of {answers * CELLS:,} answers × 2 judges, and two people on every tenth"
    headers = ["what", "seconds", "CPU s", "peak MB", f"≤ {MOST_S:.0f} s", "≤ 500 MB"]
    notes = [
        "Bare means: json.loads on every verdict, a mean and a standard error per judge and cell; no answers, "
        "statuses, clusters, agreement, correction, pairs or tests."
    ]
    return [Table(title, headers, lines, notes)]


def _line(what: str, child: Child) -> list[object]:
    return [
        what,
        f"{child.wall_s:.1f}",
        f"{child.cpu_s:.1f}",
        f"{child.peak_bytes / 1e6:,.0f}",
        against(child.wall_s, MOST_S),
        against(child.peak_bytes, MOST_BYTES),
    ]


if __name__ == "__main__":
    sys.exit("Run it with `python tests/speed/run_all.py --only tables`.")

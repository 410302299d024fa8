"""1,000 live requests with a 200 KB image each at 200 ms, 20 at a time: the time against the ideal, the CPU against the
bare SDK."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import VLURES, Child, Table, against, make_dataset, run_child, run_script, running_server

IMAGE_BYTES = 200_000
LATENCY_S = 0.2
CONCURRENCY = 20
TIME_GOAL = 1.1
CPU_GOAL = 1.3
REPEATS = 3
MODEL = "gemini-3.5-flash-lite"


Run = tuple[Child, dict[str, Any]]
"""What a run took, and what its server saw."""


@dataclass(frozen=True)
class Measured:
    """Runs of the same many requests, and one of a single request over the same dataset."""

    runs: list[Run]
    single: Child

    @property
    def fastest(self) -> Run:
        return min(self.runs, key=lambda run: run[1]["span_s"])

    @property
    def span_s(self) -> float:
        return float(self.fastest[1]["span_s"])

    def cpu_each_ms(self, start_s: float) -> float:
        """CPU of a request in the run that took least, without what a start costs."""
        return min((child.cpu_s - start_s) / (int(seen["requests"]) - 1) for child, seen in self.runs) * 1e3


def measure(folder: Path, quick: bool) -> list[Table]:
    images, repeats = (96, 1) if quick else (1_000, REPEATS)
    ideal_s = -(-images // CONCURRENCY) * LATENCY_S
    many = make_dataset(folder / "many", images, IMAGE_BYTES)
    few = make_dataset(folder / "few", images // 8, IMAGE_BYTES)
    one = make_dataset(folder / "one", 1, IMAGE_BYTES)
    run_live(folder, one, "1", "warm")
    start, _ = run_live(folder, one, "1", "start")

    run_script("write_questions.py", many, "1", folder / "many.json", folder=folder)
    run_script("write_questions.py", few, "1-8", folder / "few.json", folder=folder)
    run_bare(folder, "many.json", 1)
    distinct_words, shared_words = f"{images:,} images × 1 task", f"{images // 8:,} images × 8 tasks"
    # In turns, so that a noisy moment of the machine meets all of them.
    rounds = [
        (
            run_live(folder, many, "1", f"many{number}"),
            run_bare(folder, "many.json"),
            run_live(folder, few, "1-8", f"few{number}"),
            run_bare(folder, "few.json"),
        )
        for number in range(repeats)
    ]
    singles = (
        run_live(folder, many, "1", "many-single", limit=True)[0],
        run_bare(folder, "many.json", 1)[0],
        run_live(folder, few, "1", "few-single", limit=True)[0],
        run_bare(folder, "few.json", 1)[0],
    )
    ours, bare, ours_shared, bare_shared = (
        Measured(list(runs), single) for runs, single in zip(zip(*rounds, strict=True), singles, strict=True)
    )
    rows = [
        _row(f"vlures run, {distinct_words}", ours, ideal_s),
        _row(f"bare SDK, {distinct_words}", bare, ideal_s),
        _row(f"vlures run, {shared_words}", ours_shared, ideal_s),
        _row(f"bare SDK, {shared_words}", bare_shared, ideal_s),
    ]
    bare_ms, shared_ms = bare.cpu_each_ms(bare.single.cpu_s), bare_shared.cpu_each_ms(bare_shared.single.cpu_s)
    cpu, cpu_shared = ours.cpu_each_ms(ours.single.cpu_s), ours_shared.cpu_each_ms(ours_shared.single.cpu_s)
    goals = [
        _goal(f"time / ideal, {distinct_words}", ours.span_s / ideal_s, TIME_GOAL),
        _goal(f"time / ideal, {shared_words}", ours_shared.span_s / ideal_s, TIME_GOAL),
        _goal(f"CPU / bare SDK, {distinct_words}", cpu / bare_ms, CPU_GOAL),
        _goal(f"CPU / bare SDK, {distinct_words}, with loading", ours.cpu_each_ms(start.cpu_s) / bare_ms, CPU_GOAL),
        _goal(f"CPU / bare SDK, {shared_words}", cpu_shared / shared_ms, CPU_GOAL),
    ]
    notes = [
        f"{IMAGE_BYTES / 1e3:.0f} KB an image, {LATENCY_S * 1e3:.0f} ms after a request was read, {CONCURRENCY} at a time; "
        f"ideal {ideal_s:.1f} s. Span: first request received to last answer sent, by the server's clock.",
        "CPU per request: (run of all - run of one request over the same dataset) / (requests - 1); so without the start, the "
        "imports and the loading of the dataset; 'with loading' leaves out only a run over one image. Bare SDK: google-genai as installed, gather over a semaphore, Part.from_bytes.",
        f"A run of one request over a dataset of one image: {start.wall_s:.2f} s wall, {start.cpu_s:.2f} s CPU.",
    ]
    times = ["span s", "× ideal", "all spans", "most in flight"]
    headers = ["what", *times, "CPU ms each", "user s", "system s", "wall s", "peak MB"]
    return [
        Table("Live", headers, rows, notes),
        Table("Live, goals", ["what", "measured", "goal", "reached"], goals),
    ]


def run_live(folder: Path, dataset: Path, tasks: str, name: str, *, limit: bool = False) -> Run:
    """The real command against a server of its own. limit: one request only."""
    with running_server(folder, LATENCY_S) as server:
        command = [VLURES, "run", "--backend", "gemini", "--dataset", str(dataset), "--languages", "En"]
        command += ["--tasks", tasks, "--name", name, "--concurrency", str(CONCURRENCY), "--model", MODEL]
        environment = {"GEMINI_API_KEY": "dummy", "GOOGLE_GEMINI_BASE_URL": server.url}
        return run_child(command + ["--limit", "1"] * limit, folder, environment), server.counts()


def run_bare(folder: Path, questions: str, limit: int = 0) -> Run:
    """The SDK in a loop. limit: of the questions; 0 is all of them."""
    with running_server(folder, LATENCY_S) as server:
        child = run_script("bare_gemini.py", server.url, MODEL, questions, CONCURRENCY, limit, folder=folder)
        return child, server.counts()


def _row(what: str, measured: Measured, ideal_s: float) -> list[object]:
    child, seen = measured.fastest
    spans = ", ".join(f"{run[1]['span_s']:.1f}" for run in measured.runs)
    times = [f"{measured.span_s:.2f}", f"{measured.span_s / ideal_s:.3f}", spans, seen["most_in_flight"]]
    processor = [f"{measured.cpu_each_ms(measured.single.cpu_s):.2f}", f"{child.user_s:.2f}", f"{child.system_s:.2f}"]
    return [what, *times, *processor, f"{child.wall_s:.2f}", f"{child.peak_bytes / 1e6:.0f}"]


def _goal(what: str, value: float, goal: float) -> list[object]:
    return [what, f"{value:.3f}", f"{goal:.1f}", against(value, goal)]

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
MODEL = "gemini-3.5-flash-lite"


@dataclass(frozen=True)
class Measured:
    """A run of many requests, and one of a single request over the same dataset."""

    many: Child
    seen: dict[str, Any]
    single: Child

    @property
    def cpu_each_ms(self) -> float:
        """Of a request, without what the process takes to start and to load the dataset."""
        return (self.many.cpu_s - self.single.cpu_s) / (self.seen["requests"] - 1) * 1e3


def measure(folder: Path, quick: bool) -> list[Table]:
    images = 96 if quick else 1_000
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
    distinct = Measured(*run_live(folder, many, "1", "many"), run_live(folder, many, "1", "many1", limit=True)[0])
    shared = Measured(*run_live(folder, few, "1-8", "few"), run_live(folder, few, "1", "few1", limit=True)[0])
    bare_distinct = Measured(*run_bare(folder, "many.json"), run_bare(folder, "many.json", 1)[0])
    bare_shared = Measured(*run_bare(folder, "few.json"), run_bare(folder, "few.json", 1)[0])

    rows = [
        _row(f"vlures run, {distinct_words}", distinct, ideal_s),
        _row(f"vlures run, {shared_words}", shared, ideal_s),
        _row(f"bare SDK, {distinct_words}", bare_distinct, ideal_s),
        _row(f"bare SDK, {shared_words}", bare_shared, ideal_s),
    ]
    # The same once more with the dataset's loading counted as the requests' own.
    with_loading_ms = (distinct.many.cpu_s - start.cpu_s) / (distinct.seen["requests"] - 1) * 1e3
    goals = []
    for words, ours, bare in ((distinct_words, distinct, bare_distinct), (shared_words, shared, bare_shared)):
        goals.append(_goal(f"time / ideal, {words}", ours.seen["span_s"] / ideal_s, TIME_GOAL))
        goals.append(_goal(f"CPU / bare SDK, {words}", ours.cpu_each_ms / bare.cpu_each_ms, CPU_GOAL))
    loaded = with_loading_ms / bare_distinct.cpu_each_ms
    goals.append(_goal(f"CPU / bare SDK, {distinct_words}, dataset's loading counted", loaded, CPU_GOAL))
    notes = [
        f"{IMAGE_BYTES / 1e3:.0f} KB an image, {LATENCY_S * 1e3:.0f} ms after a request was read, {CONCURRENCY} at a time; "
        f"ideal {ideal_s:.1f} s. Span: first request received to last answer sent, by the server's clock.",
        "CPU per request: (run of all - run of one request over the same dataset) / (requests - 1); so without the start, the "
        "imports and the dataset's loading. Bare SDK: google-genai as installed, gather over a semaphore, Part.from_bytes.",
        f"A run of one request over a dataset of one image: {start.wall_s:.2f} s wall, {start.cpu_s:.2f} s CPU.",
    ]
    headers = ["what", "span s", "× ideal", "most in flight", "CPU ms each", "user s", "system s", "wall s", "peak MB"]
    return [
        Table("Live", headers, rows, notes),
        Table("Live, goals", ["what", "measured", "goal", "reached"], goals),
    ]


def run_live(
    folder: Path, dataset: Path, tasks: str, name: str, *, limit: bool = False
) -> tuple[Child, dict[str, Any]]:
    """The real command against a server of its own. limit: one request only."""
    with running_server(folder, LATENCY_S) as server:
        command = [VLURES, "run", "--backend", "gemini", "--dataset", str(dataset), "--languages", "En"]
        command += ["--tasks", tasks, "--name", name, "--concurrency", str(CONCURRENCY), "--model", MODEL]
        environment = {"GEMINI_API_KEY": "dummy", "GOOGLE_GEMINI_BASE_URL": server.url}
        return run_child(command + ["--limit", "1"] * limit, folder, environment), server.counts()


def run_bare(folder: Path, questions: str, limit: int = 0) -> tuple[Child, dict[str, Any]]:
    """The SDK in a loop. limit: of the questions; 0 is all of them."""
    with running_server(folder, LATENCY_S) as server:
        child = run_script("bare_gemini.py", server.url, MODEL, questions, CONCURRENCY, limit, folder=folder)
        return child, server.counts()


def _row(what: str, measured: Measured, ideal_s: float) -> list[object]:
    many, seen = measured.many, measured.seen
    times = [f"{seen['span_s']:.2f}", f"{seen['span_s'] / ideal_s:.3f}", seen["most_in_flight"]]
    processor = [f"{measured.cpu_each_ms:.2f}", f"{many.user_s:.2f}", f"{many.system_s:.2f}"]
    return [what, *times, *processor, f"{many.wall_s:.2f}", f"{many.peak_bytes / 1e6:.0f}"]


def _goal(what: str, value: float, goal: float) -> list[object]:
    return [what, f"{value:.3f}", f"{goal:.1f}", against(value, goal)]

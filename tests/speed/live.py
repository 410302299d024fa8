"""Live requests against a server whose latencies are known: the time against the ideal, the CPU of a request, each
beside bare loops over the SDKs and over aiohttp."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bare_server import Behaviour, draw_latencies
from contenders import Run, ask_by_loop, ask_by_vlures
from measure import Table, against, make_dataset, run_script

CPU_GOAL_MS = 2.5
REPEATS = 3
CONTENDERS = {
    "vlures, openai": ("vlures", "openai"),
    "openai SDK": ("loop", "openai"),
    "vlures, gemini": ("vlures", "gemini"),
    "google-genai": ("loop", "gemini"),
    "aiohttp": ("loop", "aiohttp"),
}


@dataclass(frozen=True)
class Scenario:
    """A run of live requests, and its goals."""

    words: str
    images: int
    tasks: int
    image_bytes: int
    latencies_s: tuple[float, ...]
    concurrency: int
    goal: float
    """The most that its time may be, as a multiple of the ideal one."""
    cpu_goal_ms: float | None = CPU_GOAL_MS
    """The most that a request may take, if that is a goal."""

    @property
    def ideal_s(self) -> float:
        """The list's latencies one after the other, each in the place of those `concurrency` that is free first."""
        requests = self.images * self.tasks
        repeated = self.latencies_s * (requests // len(self.latencies_s) + 1)
        return schedule_s(repeated[:requests], self.concurrency)

    @property
    def folder_name(self) -> str:
        return f"images-{self.images}-{self.image_bytes}"

    @property
    def questions(self) -> str:
        return f"{self.folder_name}-{self.tasks}.json"


def schedule_s(latencies_s: Sequence[float], concurrency: int) -> float:
    """When the last is done, if all are begun in order and as soon as there is a place."""
    free_at_s = [0.0] * concurrency
    for latency_s in latencies_s:
        heapq.heapreplace(free_at_s, free_at_s[0] + latency_s)
    return max(free_at_s)


VARIED = draw_latencies(1_000, lowest_s=0.05, highest_s=2.0)
SCENARIOS = (
    Scenario("50-2,000 ms log-normal, 50 at a time", 1_000, 1, 200_000, VARIED, 50, 1.08, None),
    Scenario("200 ms, 20 at a time", 1_000, 1, 100_000, (0.2,), 20, 1.05),
    Scenario("200 ms, 100 at a time", 1_000, 1, 100_000, (0.2,), 100, 1.2),
    Scenario("200 ms, 100 at a time, 8 tasks an image", 125, 8, 100_000, (0.2,), 100, 1.2),
)


@dataclass(frozen=True)
class Measured:
    """Runs of the same many requests, and as many of a single request over the same dataset."""

    runs: list[Run]
    singles: list[Run]

    @property
    def fastest(self) -> Run:
        return min(self.runs, key=lambda run: run[1]["span_s"])

    @property
    def span_s(self) -> float:
        return float(self.fastest[1]["span_s"])

    def cpu_each_ms(self) -> float:
        """CPU of a request in the run that took least, without what a start costs."""
        start_s = min(child.cpu_s for child, _ in self.singles)
        return min((child.cpu_s - start_s) / (int(seen["requests"]) - 1) for child, seen in self.runs) * 1e3

    def server_cpu_each_ms(self) -> float:
        return min(float(seen["cpu_s"]) / int(seen["requests"]) for _, seen in self.runs) * 1e3


def measure(folder: Path, quick: bool) -> Iterator[Table]:
    scenarios = [_shrunk(scenario) for scenario in SCENARIOS] if quick else list(SCENARIOS)
    repeats = 1 if quick else REPEATS
    goals = []
    for number, scenario in enumerate(scenarios):
        dataset = _prepare(folder, scenario)
        for name in CONTENDERS:  # writes the bytecode, brings the files into memory
            _ask(folder, dataset, scenario, name, f"warm{number}", limit=1)
        measured = {name: Measured([], []) for name in CONTENDERS}
        for repeat in range(repeats):  # in turns, so that a noisy moment of the machine meets all of them
            for name, found in measured.items():
                found.runs.append(_ask(folder, dataset, scenario, name, f"s{number}r{repeat}"))
                found.singles.append(_ask(folder, dataset, scenario, name, f"s{number}r{repeat}-single", limit=1))
        yield _tell(scenario, measured)
        goals += _goals(scenario, measured)
    yield Table("Live, goals", ["what", "measured", "goal", "reached"], goals, _notes())


def _shrunk(scenario: Scenario) -> Scenario:
    """A tenth of the images."""
    return replace(scenario, images=max(scenario.images // 10, 1), latencies_s=scenario.latencies_s[:100])


def _prepare(folder: Path, scenario: Scenario) -> Path:
    dataset = folder / scenario.folder_name
    if not dataset.exists():
        make_dataset(dataset, scenario.images, scenario.image_bytes)
    tasks = f"1-{scenario.tasks}" if scenario.tasks > 1 else "1"
    run_script("write_questions.py", dataset, tasks, folder / scenario.questions, folder=folder)
    return dataset


def _ask(folder: Path, dataset: Path, scenario: Scenario, name: str, run: str, *, limit: int = 0) -> Run:
    """limit: of the requests; 0 is all of them."""
    how, client = CONTENDERS[name]
    behaviour = Behaviour(latencies_s=scenario.latencies_s)
    if how == "loop":
        return ask_by_loop(folder, client, folder / scenario.questions, behaviour, scenario.concurrency, limit)
    tasks = 1 if limit else scenario.tasks
    options = ["--dataset", str(dataset), "--tasks", f"1-{tasks}" if tasks > 1 else "1", "--name", f"{client}-{run}"]
    options += ["--limit", str(limit)] if limit else []
    return ask_by_vlures(folder, client, behaviour, scenario.concurrency, options)


def _tell(scenario: Scenario, measured: dict[str, Measured]) -> Table:
    rows = []
    for name, found in measured.items():
        child, seen = found.fastest
        spans = ", ".join(f"{run[1]['span_s']:.2f}" for run in found.runs)
        times = [f"{found.span_s:.2f}", f"{found.span_s / scenario.ideal_s:.3f}", spans, seen["most_in_flight"]]
        processor = [f"{found.cpu_each_ms():.2f}", f"{child.user_s:.2f}", f"{child.system_s:.2f}"]
        rows.append([name, *times, *processor, f"{child.wall_s:.2f}", f"{child.peak_bytes / 1e6:.0f}"])
    headers = [
        "what",
        "span s",
        "× ideal",
        "all spans",
        "most in flight",
        "CPU ms each",
        "user s",
        "system s",
        "wall s",
    ]
    server_ms = min(found.server_cpu_each_ms() for found in measured.values())
    notes = [
        f"{scenario.images * scenario.tasks:,} requests, {scenario.image_bytes / 1e3:.0f} KB an image; ideal "
        f"{scenario.ideal_s:.2f} s. The server, on the same cores, takes {server_ms:.2f} ms of CPU for a request, its "
        "own start included.",
    ]
    return Table(f"Live, {scenario.words}", [*headers, "peak MB"], rows, notes)


def _goals(scenario: Scenario, measured: dict[str, Measured]) -> list[list[object]]:
    rows = []
    for name, found in measured.items():
        if CONTENDERS[name][0] == "vlures":
            rows.append(
                _goal(f"{name}: time / ideal, {scenario.words}", found.span_s / scenario.ideal_s, scenario.goal)
            )
            if scenario.cpu_goal_ms:
                words = f"{name}: CPU ms per request, {scenario.words}"
                rows.append(_goal(words, found.cpu_each_ms(), scenario.cpu_goal_ms))
    return rows


def _notes() -> list[str]:
    return [
        "Span: first request received to last answer sent, by the server's clock; a latency counts from a request's "
        "last byte. The fastest of all runs, which go in turns.",
        "The ideal: the same latencies, one after the other, each in the place that is free first.",
        "CPU per request: (run of all - run of one request over the same dataset, the least of each) / (requests - "
        "1); so without the start, the imports and the loading of the dataset. The loops build each body from the "
        "image's file.",
    ]


def _goal(what: str, value: float, goal: float) -> list[object]:
    return [what, f"{value:.3f}", f"{goal:.2f}", against(value, goal)]

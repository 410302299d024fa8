"""Live requests against a server that lets only so many pass: how much of the limit is used, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bare_loop import MOST_TRIES
from bare_server import Behaviour, draw_latencies
from contenders import Run, ask_by_loop, ask_by_vlures
from measure import Table, against, make_dataset, run_script

IMAGE_BYTES = 10_000
LATENCIES_S = (0.2,)
PER_MINUTE = 600
MINUTE_REQUESTS = 950
MINUTE_CONCURRENCY = 50
USED_GOAL = 0.95
LATE_REFUSED_GOAL = 0.02

PER_SECOND = 100
SECOND_REQUESTS = 1_000
SECOND_CONCURRENCY = 64
TIME_GOAL = 1.15
REFUSED_GOAL = 60
REPEATS = 3

Ask = Callable[[Path, Behaviour], Run]

TELLING = Behaviour(LATENCIES_S, per_minute=PER_MINUTE, tells=True, refused_count=True)
"""As OpenAI documents it: headers say what is left and when to come back, and what is refused counts too."""
SILENT = Behaviour(LATENCIES_S, per_minute=PER_MINUTE)
BUCKET = Behaviour(LATENCIES_S, per_second=PER_SECOND, burst=10)


@dataclass(frozen=True)
class Outcome:
    """A run against a limit."""

    run: Run
    lost: int
    """Requests without an answer at the end."""

    @property
    def seen(self) -> dict[str, Any]:
        return self.run[1]

    @property
    def span_s(self) -> float:
        return float(self.seen["span_s"])

    @property
    def late_share(self) -> float:
        """Refused of those that came after the first 30 s."""
        return float(self.seen["late_refused"]) / max(1, int(self.seen["late_requests"]))


# 600 a minute


def measure_minute(folder: Path, quick: bool) -> list[Table]:
    """All at the same time: ten requests a second are no work, and each takes a minute and a half."""
    requests = 60 if quick else MINUTE_REQUESTS
    dataset, questions = _prepare(folder, requests)
    asks: dict[str, tuple[Behaviour, Ask]] = {}
    for words, behaviour in (("limit told", TELLING), ("silent", SILENT)):
        asks |= {
            f"vlures --rpm {PER_MINUTE}, {words}": (
                behaviour,
                _vlures(dataset, MINUTE_CONCURRENCY, "--rpm", str(PER_MINUTE)),
            ),
            f"vlures, {words}": (behaviour, _vlures(dataset, MINUTE_CONCURRENCY)),
            f"openai SDK, {words}": (behaviour, _loop("openai", questions, MINUTE_CONCURRENCY)),
            f"aiohttp, {words}": (behaviour, _loop("aiohttp", questions, MINUTE_CONCURRENCY)),
        }
    with ThreadPoolExecutor(len(asks)) as pool:
        begun = {
            name: pool.submit(_run, folder / f"run{number}", ask, behaviour, requests)
            for number, (name, (behaviour, ask)) in enumerate(asks.items())
        }
    found = {name: future.result() for name, future in begun.items()}
    soonest_s = (requests - 1) // PER_MINUTE * 60 + LATENCIES_S[0]
    rows: list[list[object]] = []
    goals: list[list[object]] = []
    for name, outcome in found.items():
        per_minute = outcome.seen["answered"] / outcome.span_s * 60
        late = f"{outcome.seen['late_refused']} of {outcome.seen['late_requests']}"
        told = [outcome.seen["requests"], outcome.seen["refused"], late, f"{outcome.late_share:.1%}", outcome.lost]
        rows.append([name, f"{outcome.span_s:.1f}", f"{per_minute:.0f}", f"{per_minute / PER_MINUTE:.0%}", *told])
        if name.startswith("vlures"):
            used = per_minute / PER_MINUTE
            goals += [
                [f"{name}: part of the limit used", f"{used:.3f}", f"≥ {USED_GOAL}", against(-used, -USED_GOAL)],
                _goal(f"{name}: part of 429 after 30 s", outcome.late_share, LATE_REFUSED_GOAL),
                _goal(f"{name}: lost", outcome.lost, 0),
            ]
    notes = [
        f"{requests:,} requests of {IMAGE_BYTES / 1e3:.0f} KB, {MINUTE_CONCURRENCY} at a time, "
        f"{LATENCIES_S[0] * 1e3:.0f} ms each; not more than {PER_MINUTE} in any 60 s. Who uses up each minute at once "
        f"is done after {soonest_s:.1f} s (more than 100 % of the limit), who spreads them after "
        f"{requests / PER_MINUTE * 60:.0f} s. All run at the same time, each against a server of its own.",
        (
            "Told: x-ratelimit headers and Retry-After, and refused requests use up the limit, as OpenAI documents it. "
            "Silent: a bare 429."
        ),
        (
            f"The loops try again up to {MOST_TRIES - 1} times: the SDK by its own rules, the other after Retry-After "
            "or twice as long each time."
        ),
    ]
    headers = ["what", "span s", "a minute", "of the limit", "requests", "429", "429 after 30 s", "share", "lost"]
    return [
        Table(f"Limits, {PER_MINUTE} a minute", headers, rows, notes),
        Table(f"Limits, {PER_MINUTE} a minute, goals", ["what", "measured", "goal", "reached"], goals),
    ]


# 100 a second, untold


def measure_second(folder: Path, quick: bool) -> list[Table]:
    requests = 100 if quick else SECOND_REQUESTS
    dataset, questions = _prepare(folder, requests)
    ideal_s = requests / PER_SECOND
    asks = {
        "vlures": _vlures(dataset, SECOND_CONCURRENCY),
        "openai SDK": _loop("openai", questions, SECOND_CONCURRENCY),
        "aiohttp": _loop("aiohttp", questions, SECOND_CONCURRENCY),
    }
    found: dict[str, list[Outcome]] = {name: [] for name in asks}
    for repeat in range(1 if quick else REPEATS):
        for number, (name, ask) in enumerate(asks.items()):
            found[name].append(_run(folder / f"run{number}-{repeat}", ask, BUCKET, requests))
    rows: list[list[object]] = []
    goals: list[list[object]] = []
    for name, outcomes in found.items():
        best = min(outcomes, key=lambda outcome: outcome.span_s)
        spans = ", ".join(f"{outcome.span_s:.1f}" for outcome in outcomes)
        refused = [int(outcome.seen["refused"]) for outcome in outcomes]
        lost = max(outcome.lost for outcome in outcomes)
        rows.append(
            [name, f"{best.span_s:.2f}", f"{best.span_s / ideal_s:.3f}", spans, ", ".join(map(str, refused)), lost]
        )
        if name == "vlures":
            goals += [
                _goal("time / ideal", best.span_s / ideal_s, TIME_GOAL),
                _goal("429 in the worst run", max(refused), REFUSED_GOAL),
                _goal("lost", lost, 0),
            ]
    notes = [
        f"{requests:,} requests of {IMAGE_BYTES / 1e3:.0f} KB, {LATENCIES_S[0] * 1e3:.0f} ms each, up to "
        f"{SECOND_CONCURRENCY} at a time. A bucket of {BUCKET.burst} that fills with {PER_SECOND} a second; what finds "
        f"it empty gets a bare 429. Ideal: {ideal_s:.0f} s.",
    ]
    headers = ["what", "span s", "× ideal", "all spans", "429 in each", "lost"]
    return [
        Table(f"Limits, {PER_SECOND} a second, which is not announced", headers, rows, notes),
        Table(f"Limits, {PER_SECOND} a second, goals", ["what", "measured", "goal", "reached"], goals),
    ]


# Limits over several windows, untold


@dataclass(frozen=True)
class Untold:
    """A limit that the server does not announce, and the load on it."""

    name: str
    a_second: int
    behaviour: Behaviour
    concurrency: int
    windows: int
    """How many windows the load lasts; the first two are for learning."""

    @property
    def requests(self) -> int:
        return round(self.a_second * self.behaviour.window_s * self.windows)


def _untold(name: str, a_second: int, window_s: float, windows: int, concurrency: int, **kind: Any) -> Untold:
    most = 0 if "per_second" in kind else round(a_second * window_s)
    latencies_s = draw_latencies(200, 0.1, 1.0)
    behaviour = Behaviour(latencies_s, most=most, window_s=window_s, settled_s=2 * window_s, **kind)
    return Untold(name, a_second, behaviour, concurrency, windows)


UNTOLD = {
    1.0: (
        _untold("50 in any 1 s", 50, 1.0, 40, 100),
        _untold("50 in each 1 s", 50, 1.0, 40, 100, fixed=True),
        _untold("a bucket of 50, 50 a second", 50, 1.0, 40, 100, per_second=50, burst=50),
    ),
    10.0: (
        _untold("100 in any 10 s", 10, 10.0, 8, 50),
        _untold("the same, refusals count", 10, 10.0, 8, 50, refused_count=True),
        _untold("100 in each 10 s", 10, 10.0, 8, 50, fixed=True),
        _untold("a bucket of 100, 10 a second", 10, 10.0, 8, 50, per_second=10, burst=100),
    ),
    60.0: (
        _untold("600 in any 60 s", 10, 60.0, 6, 50),
        _untold("600 in each 60 s", 10, 60.0, 6, 50, fixed=True),
    ),
}
"""By the length of their window in seconds."""
UNTOLD_USED_GOAL = 0.9
UNTOLD_REFUSED_GOAL = 0.05


def measure_untold(folder: Path, quick: bool, windows_s: Sequence[float] = tuple(UNTOLD)) -> list[Table]:
    """Each limit for as long as its windows last; those of ten requests a second all at once: they are little work."""
    rows: list[list[object]] = []
    goals: list[list[object]] = []
    for window_s in windows_s:
        limits = UNTOLD[window_s]
        dataset, questions = _prepare(folder / f"window{window_s:g}", max(limit.requests for limit in limits))
        asks: dict[tuple[Untold, str], Ask] = {}
        for limit in limits:
            asks[limit, "vlures"] = _vlures(dataset, limit.concurrency, "--limit", str(limit.requests))
        for limit in limits:
            asks[limit, "aiohttp"] = _loop("aiohttp", questions, limit.concurrency, limit.requests)
        with ThreadPoolExecutor(len(limits) if window_s >= 10 else 1) as pool:
            begun = {
                (limit, who): pool.submit(
                    _run, folder / f"window{window_s:g}-{number}", ask, limit.behaviour, limit.requests
                )
                for number, ((limit, who), ask) in enumerate(asks.items())
            }
        for (limit, who), future in begun.items():
            outcome = future.result()
            used = _late_used(limit, outcome)
            rows.append(
                [
                    limit.name,
                    who,
                    f"{used:.0%}",
                    f"{outcome.late_share:.1%}",
                    outcome.seen["late_requests"],
                    outcome.lost,
                ]
            )
            if who == "vlures":
                goals += [
                    [
                        f"{limit.name}: used",
                        f"{used:.3f}",
                        f"≥ {UNTOLD_USED_GOAL}",
                        against(-used, -UNTOLD_USED_GOAL),
                    ],
                    _goal(f"{limit.name}: part of 429", outcome.late_share, UNTOLD_REFUSED_GOAL),
                    _goal(f"{limit.name}: lost", outcome.lost, 0),
                ]
        if quick:
            break
    notes = [
        f"{IMAGE_BYTES / 1e3:.0f} KB each, answers after 0.1 to 1 s (log-normal), a bare 429 beyond the limit. Used "
        "and refused: of requests after the first two windows. Each limit has a server of its own; windows of 10 s "
        f"and more are tried at the same time. Load of the machine at the end: {os.getloadavg()[0]:.1f}.",
        (
            f"The loop tries again up to {MOST_TRIES - 1} times, after twice as long each time; requests unanswered by "
            "then are lost."
        ),
    ]
    headers = ["limit", "who", "used", "429", "requests", "lost"]
    return [
        Table("Limits that are not announced", headers, rows, notes),
        Table("Limits that are not announced, goals", ["what", "measured", "goal", "reached"], goals),
    ]


def _late_used(limit: Untold, outcome: Outcome) -> float:
    """Of what the limit let pass from the end of the second window until the last request came."""
    seen = outcome.seen
    span_s = seen["last_received_s"] - seen["first_received_s"] - limit.behaviour.settled_s
    return float((seen["late_requests"] - seen["late_refused"]) / max(1.0, span_s) / limit.a_second)


# All


def _prepare(folder: Path, requests: int) -> tuple[Path, Path]:
    """A dataset of one image for each request, and the questions about it."""
    dataset = make_dataset(folder / "dataset", requests, IMAGE_BYTES)
    run_script("write_questions.py", dataset, "1", folder / "questions.json", folder=folder)
    return dataset, folder / "questions.json"


def _vlures(dataset: Path, concurrency: int, *options: str) -> Ask:
    command = ["--dataset", str(dataset), "--tasks", "1", "--name", "run", *options]
    return lambda folder, behaviour: ask_by_vlures(folder, "openai", behaviour, concurrency, command, complete=False)


def _loop(client: str, questions: Path, concurrency: int, limit: int = 0) -> Ask:
    return lambda folder, behaviour: ask_by_loop(folder, client, questions, behaviour, concurrency, limit)


def _run(folder: Path, ask: Ask, behaviour: Behaviour, requests: int) -> Outcome:
    """In a folder of its own, as others run at the same time."""
    folder.mkdir()
    run = ask(folder, behaviour)
    return Outcome(run, requests - int(run[1]["answered"]))


def _goal(what: str, value: float, goal: float) -> list[object]:
    return [what, f"{value:.3g}", f"≤ {goal:g}", against(value, goal)]

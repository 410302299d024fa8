"""A random campaign: runs of both providers in both modes, with any options and faults, are killed again and again.

VLURES_CAMPAIGN_SEED says which (without it, one is drawn and printed), VLURES_CAMPAIGN_KILLS how many kill -9 in all;
each takes a process of its own. VLURES_CAMPAIGN_CASE tries one case again: its words stand in the message of a failure.

What must hold, by the server's own account of what it charged: - No request of a batch is paid twice, and live calls
are paid twice no more often than they were in flight at a kill, or than a fault took the reply that was paid. - Nothing
is lost: once the kills and the faults are over, a few more runs complete, and every answer stands in the results word
for word as the server gave it. Nothing else stands there. - `--max-cost` is never passed.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import secrets
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.conftest import Result, Sandbox, make_dataset, size_of_checkpoints
from tests.e2e.account import charged_usd
from tests.warm import Process, WarmCommand

KILLS = int(os.environ.get("VLURES_CAMPAIGN_KILLS", "8"))
SEED = os.environ.get("VLURES_CAMPAIGN_SEED") or str(
    int(os.environ.get("PYTEST_XDIST_TESTRUNUID", secrets.token_hex(3))[:6], 16)  # the same in all of pytest's workers
)
ONLY = os.environ.get("VLURES_CAMPAIGN_CASE")
PARTS = 4
SAMPLES = 5
REQUESTS = 2 * SAMPLES * 2
CONCURRENCY = 3
MOST_RERUNS = 5
MOST_WRONGS = 5
"""So many cases that went wrong are enough to look at."""
LONGEST_S = 60.0
NAME = "case"
SETTING = "1shot_rationales"

MODELS = {"openai": "gpt-5.4-mini", "gemini": "gemini-3.8-flash"}
LIVE_PLACES = {"openai": "chat", "gemini": "gemini"}
PREFIX = {"openai": "", "gemini": "gemini_"}
"""Of the names of the places of a provider's batches."""

BATCH_FAULTS = (
    *(
        "expire:keep=0.5,times=2",
        "expire:keep=0.34,every=2",
        "cancelled:keep=0.5,times=1",
        "cancelled:keep=0.5,every=3",
    ),
    *("line_error:every=5,status=500,times=4", "line_error:every=7,status=400,times=2", "line_status0:times=2"),
    *("missing:every=6,times=3", "doubled:every=3", "unknown_id", "null_id", "garbage_line", "shuffle"),
    *("503@{p}status:every=3,times=6", "429@{p}status:every=4,times=4,retry_after=1", "html@{p}status:times=2"),
    *("truncate@{p}content:every=2,times=3", "drop_after@{p}content:times=2", "503@{p}content:times=2"),
    *("drop_after@{p}create:every=2,times=2", "drop_before@{p}create:times=2", "503@{p}create:times=2"),
    *("bad_json@{p}create:times=1", "latency@{p}create:seconds=0.5", "drop_after@{p}upload:every=2,times=2"),
    *("truncate@{p}status:times=2", "503@{p}upload:times=2", "token_limit:times=2", "queued:seconds=0.7"),
    *("503@{p}list:times=2", "drop_before@{p}list:times=1", "error@{p}delete:status=403", "max_tokens@line:every=5"),
    *(
        "safety@line:every=7",
        "other_model@line:every=4",
        "finish@line:every=5,reason=mystery",
        "think_tags@line:every=3",
    ),
    *("results_late:looks=2,times=2", "portal@{p}content:times=2", "empty_body@{p}content:every=2,times=2"),
    *("half_lines@{p}content:times=2", "uncounted", "new_state:seconds=0.7,times=1", "list_late:seconds=0.8"),
    *("malformed@{p}status:how=two_lengths,times=1", "malformed@{p}create:how=no_http,times=1"),
    *("malformed@{p}content:how=not_gzip,times=1", "cut_at@{p}create:times=1", "cut_at@{p}content:bytes=700,times=1"),
)
ONE_PROVIDERS = {
    "openai": ("cannot_find_file:times=1", "empty_ids", "refusal@line:every=6"),
    "gemini": ("partial:keep=0.5,times=2", "paused:seconds=0.5", "inline"),
}
LIVE_FAULTS = (
    *("429@{l}:every=4,times=4", "429@{l}:times=2,retry_after=1", "503@{l}:every=5,times=3", "500@{l}:times=2"),
    *("drop_before@{l}:every=5,times=3", "html@{l}:times=2", "latency@{l}:every=3,seconds=0.4"),
    *("drop_after@{l}:every=6,times=2", "truncate@{l}:every=7,times=2", "bad_json@{l}:every=8,times=2"),
    *("max_tokens@{l}:every=5", "safety@{l}:every=6", "other_model@{l}:every=4", "limit@{l}:per_second=20"),
    *("malformed@{l}:how=two_lengths,times=1", "malformed@{l}:how=long_header,times=1", "endless@{l}:how=drip,times=1"),
    *("cut_at@{l}:every=6,times=2", "redirect@{l}:to=http://127.0.0.1:9/,times=1", "finish@{l}:every=5,reason=mystery"),
    *("think_tags@{l}:every=3", "reasoning_only@{l}:every=7,times=2"),
)
LOSE_REPLIES = ("drop_after", "truncate", "bad_json", "hang_after", "malformed", "cut_at", "endless", "reasoning_only")
"""Faults that take an answer which was charged. At a live call nobody can have it again."""

Blow = Literal["kill", "term", "int", "int twice", "hup", "stop"]
BLOWS: tuple[Blow, ...] = (*("kill",) * 8, "term", "int", "int twice", "hup", "stop")
SIGNALS = {"term": signal.SIGTERM, "int": signal.SIGINT, "int twice": signal.SIGINT, "hup": signal.SIGHUP}


@dataclass(frozen=True)
class Strike:
    """What befalls one process, and when: after some seconds, or once the server has charged, or the run's folder has
    grown by, so much."""

    blow: Blow
    clock: Literal["seconds", "answers", "bytes"]
    amount: float
    command: Literal["run", "no wait", "cancel"] = "run"


@dataclass
class Case:
    """One run: how it is called, what goes wrong at the provider, what befalls its processes."""

    number: int
    backend: str
    mode: str
    options: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    strikes: list[Strike] = field(default_factory=list)
    cap_share: float | None = None
    redo: bool = False

    @property
    def goes_live(self) -> bool:
        """Whether calls of it that are paid may be in flight at a kill."""
        return self.mode == "live" or "--finish-live" in self.options

    def __str__(self) -> str:
        words = [
            (
                f"case {self.number} (VLURES_CAMPAIGN_SEED={SEED} VLURES_CAMPAIGN_CASE={self.number}): {self.backend} "
                f"{self.mode}"
            )
        ]
        words.append(f"options {' '.join(self.options)}; cap {self.cap_share}; redo {self.redo}")
        words.append(f"faults {self.faults}")
        words += [f"{strike}" for strike in self.strikes]
        return "\n".join(words)


def draw_case(number: int) -> Case:
    """The same number and seed give the same case."""
    chance = random.Random(f"{SEED} {number}")
    backend = chance.choice(tuple(MODELS))
    mode = ("batch", "batch", "live")[number % 3]
    case = Case(number, backend, mode)
    words = {"p": PREFIX[backend], "l": LIVE_PLACES[backend]}
    if mode == "batch":
        case.options += [
            "--batch-size",
            str(chance.choice((3, 4, 7, 50))),
            "--poll-s",
            "0.2",
            "--doubt-patience-s",
            "3",
        ]
        case.options.append(chance.choice(("--no-canary", "--no-canary", "--canary")))
        if chance.random() < 0.3:
            case.options += ["--finish-live", chance.choice(("100%", "30%"))]
        if chance.random() < 0.3:
            case.options.append("--delete-remote-files")
        case.faults += chance.sample((*BATCH_FAULTS, *ONE_PROVIDERS[backend]), chance.choice((0, 1, 2, 3)))
    if case.goes_live or "--canary" in case.options:
        case.options += ["--concurrency", str(CONCURRENCY), "--timeout-s", "2"]
        case.faults += chance.sample(LIVE_FAULTS, chance.choice((0, 1, 2)))
    case.faults = [fault.format(**words) for fault in case.faults]
    if chance.random() < 0.25:
        case.cap_share = chance.uniform(0.3, 0.9)
    if chance.random() < 0.2:
        case.redo = True
        case.faults.append(f"max_tokens@{'line' if mode == 'batch' else words['l']}:every=3")
    case.strikes = [draw_strike(chance, mode) for _ in range(chance.choice((3, 4, 6)))]
    return case


def draw_strike(chance: random.Random, mode: str) -> Strike:
    clock = chance.choice(("seconds", "seconds", "answers", "bytes", "bytes"))
    longest = {"seconds": 3.0 if mode == "batch" else 1.4, "answers": REQUESTS * 0.7, "bytes": 9_000.0}[clock]
    command = "run" if mode == "live" else chance.choice(("run", "run", "run", "run", "no wait", "cancel"))
    return Strike(chance.choice(BLOWS), clock, round(chance.uniform(0.05, longest), 2), command)  # type: ignore[arg-type]


@dataclass
class Account:
    """What the server charged from some moment on, as its ledger has it."""

    path: Path
    begin: int

    def lines(self) -> list[dict[str, Any]]:
        with self.path.open("rb") as file:
            file.seek(self.begin)
            return [json.loads(line) for line in file if line.endswith(b"\n")]

    def count(self) -> int:
        with self.path.open("rb") as file:
            file.seek(self.begin)
            return file.read().count(b"\n")


EMPTY = hashlib.sha256(b"").hexdigest()


class Played:
    """A case as it is played: its processes, one after the other, and what they may cost."""

    def __init__(self, case: Case, vlures: WarmCommand, sandbox: Sandbox) -> None:
        self.case = case
        self.vlures = vlures
        self.sandbox = sandbox
        self.folder = vlures.folder / "outputs" / NAME
        shutil.rmtree(self.folder, ignore_errors=True)
        ledger = sandbox.state / "ledger.jsonl"
        self.account = Account(ledger, ledger.stat().st_size)
        self.kills = 0
        self.may_repeat = 0
        """Payments that nobody could avoid: live calls in flight at a kill, live replies that a fault took."""
        self.cap: float | None = None
        self.said: list[str] = []

    def arguments(self, *more: str) -> tuple[str, ...]:
        case = self.case
        return (
            *("run", "--backend", case.backend, "--mode", case.mode, "--model", MODELS[case.backend]),
            *("--dataset", "data", "--languages", "En,Sw", "--tasks", "1,7", "--max-output-tokens", "300"),
            *("--name", NAME, *case.options, *more),
        )

    def play(self) -> None:
        case = self.case
        if case.redo:
            self.sandbox.show(*case.faults)
            self.finish()
            truncated = sum(line["status"] == "truncated" for line in self.standing().values())
            self.may_repeat += truncated
            self.lift_faults()
            self.befall("--redo", "truncated")
            self.finish("--redo", "truncated")
            return self.judge(redone=True)
        self.sandbox.show(*case.faults)
        if case.cap_share is not None:
            self.cap = case.cap_share * self.price_of_all()
            self.befall("--max-cost", f"{self.cap:.6f}")
            self.check_cap()
            self.lift_faults()
            self.spend_cap()
            self.cap = None
        else:
            self.befall()
        self.lift_faults()
        self.finish()
        self.judge()
        return None

    def price_of_all(self) -> float:
        """What `plan` expects at most."""
        planned = self.vlures("plan", *self.arguments()[1:])
        assert planned.code == 0, planned
        row = next(line for line in planned.out.splitlines() if line.startswith("total ")).split()
        amounts = [float(word.lstrip("≤$")) for word in row if "$" in word]
        return max(min(amounts), 0.0001)

    def befall(self, *more: str) -> None:
        for strike in self.case.strikes:
            self.strike(strike, *more)
            self.check_cap()

    def strike(self, strike: Strike, *more: str) -> None:
        arguments = self.arguments(*more)
        if strike.command == "no wait":
            arguments = (*arguments, "--no-wait")
        elif strike.command == "cancel" and self.folder.is_dir():
            arguments = ("cancel", f"outputs/{NAME}", "--poll-s", "0.2")
        process = self.vlures.start(*arguments)
        if not self.wait_for(strike, process):
            self.look_at(process, arguments)
            return
        if strike.blow == "kill":
            process.kill()
            self.kills += 1
            self.allow_flying()
        elif strike.blow == "stop":
            process.send_signal(signal.SIGSTOP)
            time.sleep(2.6 if self.case.goes_live else 0.4)
            process.send_signal(signal.SIGCONT)
        else:
            process.send_signal(SIGNALS[strike.blow])
            if strike.blow == "int twice":
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.05)
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                self.allow_flying()
        self.look_at(process, arguments, strike)

    def allow_flying(self) -> None:
        if self.case.goes_live:
            self.may_repeat += CONCURRENCY
        elif "--canary" in self.case.options:
            self.may_repeat += 1

    def wait_for(self, strike: Strike, process: Process) -> bool:
        """False if the process has ended before its moment came."""
        begun, answers, size = time.monotonic(), self.account.count(), size_of_checkpoints(self.folder)
        while process.poll() is None:
            if strike.clock == "seconds":
                reached = time.monotonic() - begun >= strike.amount
            elif strike.clock == "answers":
                reached = self.account.count() - answers >= max(1.0, strike.amount)
            else:
                reached = size_of_checkpoints(self.folder) - size >= strike.amount
            if reached:
                return True
            assert time.monotonic() - begun < LONGEST_S, (
                f"{self.case}\nno end, and no {strike}\n{process.communicate()}"
            )
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.01)
        return False

    def look_at(self, process: Process, arguments: tuple[str, ...], strike: Strike | None = None) -> Result:
        try:
            out, err = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            pytest.fail(f"{self.case}\nno end after {strike}\n{process.communicate()}")
        assert process.returncode is not None
        result = Result(process.returncode, out, err)
        self.said.append(f"$ vlures {' '.join(arguments)}\n[{strike}] {result}")
        unhinged = "Traceback" in err or "internal error of vlures" in err
        assert not unhinged, f"{self.case}\n{result}"
        expected = {0, 1, 3, 130}
        if strike is not None:  # before a run is in somebody's hands a signal does what it does to any process
            expected |= {-9} if strike.blow == "kill" else {-SIGNALS[strike.blow]} if strike.blow in SIGNALS else set()
        assert result.code in expected, f"{self.case}\n{strike}: {result}"
        return result

    def lift_faults(self) -> None:
        """No more of them; what they have cost at live calls is counted."""
        place = LIVE_PLACES[self.case.backend]
        for fault in self.sandbox.stats["faults"]:
            kind = str(fault["fault"]).partition(":")[0]
            if kind in {f"{loses}@{place}" for loses in LOSE_REPLIES}:
                self.may_repeat += int(fault["struck"])
        self.sandbox.show()

    def check_cap(self) -> None:
        if self.cap is not None:
            spent = charged_usd(self.account.lines())
            assert spent <= self.cap, f"{self.case}\nspent ${spent:.6f} of --max-cost {self.cap:.6f}\n{self.story()}"

    def spend_cap(self) -> None:
        """The same command until it has nothing more to do, or nothing more to spend."""
        for _ in range(MOST_RERUNS):
            arguments = self.arguments("--max-cost", f"{self.cap:.6f}")
            result = self.look_at(self.vlures.start(*arguments), arguments)
            self.check_cap()
            if result.code == 0 or "--max-cost" in result.err:
                return
        pytest.fail(f"{self.case}\nneither complete nor at its cap\n{self.story()}")

    def finish(self, *more: str) -> None:
        arguments = self.arguments(*more)
        for _ in range(MOST_RERUNS):
            if self.look_at(self.vlures.start(*arguments), arguments).code == 0:
                return
        pytest.fail(f"{self.case}\nnot complete after {MOST_RERUNS} runs\n{self.story()}")

    def standing(self) -> dict[str, dict[str, Any]]:
        """The last final line of every request in the checkpoints."""
        final = ("ok", "truncated", "refused")
        return {line["key"]: line for line in self.vlures.checkpoint_lines(NAME) if line["status"] in final}

    def judge(self, *, redone: bool = False) -> None:
        standing, charged = self.standing(), self.account.lines()
        assert len(standing) == REQUESTS, f"{self.case}\n{REQUESTS - len(standing)} without an answer\n{self.story()}"
        paid = Counter(line["digest"] for line in charged if line["said"] != EMPTY)
        again = paid.total() - len(paid)
        assert again <= self.may_repeat, (
            f"{self.case}\n{again} paid twice, of {self.may_repeat} that had to be\n{self.story()}"
        )
        if redone:
            assert {line["status"] for line in standing.values()} <= {"ok", "refused"}, f"{self.case}\n{self.story()}"
        self.judge_texts(standing, charged)

    def judge_texts(self, standing: dict[str, dict[str, Any]], charged: list[dict[str, Any]]) -> None:
        """What stands in the results is what the server said to that request, and nothing else."""
        said: dict[str, set[str]] = {}
        for line in charged:
            said.setdefault(line["id"] or "live", set()).add(line["said"])
        answers = self.vlures.answers(NAME)
        ok = {key for key, line in standing.items() if line["status"] == "ok"}
        assert len(answers) == len(ok), f"{self.case}\n{len(answers)} in the results, {len(ok)} ok\n{self.story()}"
        for key, line in standing.items():
            cell, number = key.rsplit("-", 1)[0].removesuffix("-1shot-rationales"), key.rsplit("-", 1)[1]
            if line["status"] == "ok":
                digest = hashlib.sha256(answers[f"{cell}-{number}"].encode()).hexdigest()
                words = said.get(key, set()) | said.get("live", set())
                assert digest in words, f"{self.case}\n{key} has another text than was said\n{self.story()}"

    def story(self) -> str:
        journal = self.folder / f"checkpoints_{SETTING}/jobs.jsonl"
        events = journal.read_text(encoding="utf-8") if journal.is_file() else ""
        return "\n".join((*self.said, events))[-14_000:]


def begin(vlures: WarmCommand, start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    sandbox = start_sandbox("--batch-seconds", "0.3", "--latency", "0.08")
    vlures.use(sandbox)
    return sandbox


@pytest.mark.parametrize("part", range(PARTS))
def test_kills_at_random_moments_lose_nothing_and_pay_nothing_twice(
    tmp_path: Path,
    start_sandbox: Callable[..., Sandbox],
    record_property: Callable[[str, object], None],
    part: int,
) -> None:
    print(f"VLURES_CAMPAIGN_SEED={SEED}")
    vlures = WarmCommand(make_dataset(tmp_path / "work/data", samples=SAMPLES).parent)
    sandbox = begin(vlures, start_sandbox)
    if ONLY is not None:
        if int(ONLY) % PARTS == part:
            Played(draw_case(int(ONLY)), vlures, sandbox).play()
        return
    kills = cases = blows = 0
    wrongs: list[str] = []
    while kills < KILLS / PARTS and len(wrongs) < MOST_WRONGS:
        played = Played(draw_case(cases * PARTS + part), vlures, sandbox)
        try:
            played.play()
        except (AssertionError, pytest.fail.Exception) as wrong:
            wrongs.append(str(wrong))
            sandbox = begin(vlures, start_sandbox)  # what it has left under way is none of the others' business
        kills, cases, blows = kills + played.kills, cases + 1, blows + len(played.case.strikes)
    assert not wrongs, f"{len(wrongs)} of {cases} cases went wrong:\n\n" + "\n\n".join(wrongs)
    record_property(
        "summary",
        f"campaign, part {part}: {kills} kills, {blows - kills} other blows in {cases} cases "
        f"(VLURES_CAMPAIGN_SEED={SEED}): nothing lost, nothing paid twice but what was in flight live",
    )

"""The disk fails under a run, at any of its calls: nothing is lost, nothing is paid twice, and the next run completes.

A run without a fault says how many calls of each kind there are; then a run each is tried for the calls that fail,
once, for a while or for good, in both modes of both providers. A fault meant for a call that this run did not come to
is followed by another. VLURES_DISK_FAULTS says how many faults strike in all, and VLURES_DISK_SEED which: in
`make contract` 480, in `make test` a few.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import pytest

from tests.conftest import Result, Sandbox, make_dataset
from tests.disk_faults import CALLS, FLAWS, Call, DiskFault, FailingDisk, Struck
from tests.warm import WarmCommand

FAULTS = int(os.environ.get("VLURES_DISK_FAULTS", "20"))
SEED = int(os.environ.get("VLURES_DISK_SEED", "1"))
SAMPLES = 4
REQUESTS = 2 * SAMPLES
LASTS: tuple[int | None, ...] = (1, 3, 1, None)
LASTS_OF_ANY: tuple[int | None, ...] = (4, 12, None)
"""How many calls fail in a row. None: all from then on."""
PATIENCE_S = 3.0
"""A run whose disk fails for good waits for it. After so long the user interrupts it, twice if need be."""
LONGEST_S = 60.0

PAIRS = {
    ("openai", "batch"): ("--model", "gpt-6-luna"),
    ("gemini", "batch"): ("--model", "gemini-3.8-flash"),
    ("openai", "live"): ("--model", "gpt-6-luna"),
    ("gemini", "live"): ("--model", "gemini-3.8-flash"),
}
MODES = {
    "batch": ("--no-canary", "--batch-size", "3", "--poll-s", "0.1", "--doubt-patience-s", "1"),
    "live": ("--concurrency", "3"),
}
SHARE = {"batch": 0.3, "live": 0.2}
"""Of all faults, for each provider."""


@dataclass(frozen=True)
class Trial:
    """The same run again and again, each time in a folder of its own and with another fault."""

    vlures: WarmCommand
    sandbox: Sandbox
    backend: str
    mode: str

    def arguments(self, name: str) -> tuple[str, ...]:
        return (
            *("run", "--backend", self.backend, "--mode", self.mode, *PAIRS[self.backend, self.mode]),
            *("--dataset", "data", "--languages", "En,Sw", "--tasks", "1", *MODES[self.mode], "--name", name),
        )

    def disk(self, name: str, fault: DiskFault, root: str) -> FailingDisk:
        return FailingDisk((self.vlures.folder / root,), fault, self.vlures.folder / f"{name}.calls")

    def count_calls(self, root: str) -> Counter[Call]:
        """Of a run without a fault, under one of its folders."""
        disk = self.disk(f"clean-{root}", DiskFault("write", 0, "EIO"), root)
        result = replace(self.vlures, disk=disk)(*self.arguments(f"clean-{root}"))
        assert result.code == 0, result
        return disk.counts()

    def try_fault(self, name: str, fault: DiskFault, root: str) -> tuple[bool, str | None]:
        """Whether the fault struck, and what was wrong then, if something was."""
        self.sandbox.since = 0
        self.sandbox.since = len(self.sandbox.ledger)
        disk = self.disk(name, fault, root)
        patience_s = PATIENCE_S if fault.times is None else LONGEST_S
        first = run_to_its_end(replace(self.vlures, disk=disk), self.arguments(name), patience_s)
        if not disk.strikes():
            return False, None
        if wrong := self._judge_end(first, fault):
            return True, f"{fault} in {root}: {wrong}\n{first}"
        result = self.vlures(*self.arguments(name))
        if result.code:
            return True, f"{fault} in {root}: the rerun does not complete\n{first}\n{result}"
        answers, paid = self.vlures.answers(name), Counter(entry["digest"] for entry in self.sandbox.ledger)
        if len(answers) != REQUESTS:
            return True, f"{fault} in {root}: {REQUESTS - len(answers)} lost\n{first}\n{result}"
        if again := paid.total() - len(paid):
            return True, f"{fault} in {root}: {again} paid twice\n{first}\n{result}"
        return True, None

    def _judge_end(self, first: Result, fault: DiskFault) -> str | None:
        if "Traceback" in first.err or "internal error of vlures" in first.err:
            return "it ends without a sentence"
        if first.code not in (0, 1, 3, 130):
            return f"exit code {first.code}"
        return None


def run_to_its_end(vlures: WarmCommand, arguments: tuple[str, ...], patience_s: float) -> Result:
    """Interrupt a run that waits for its disk."""
    process = vlures.start(*arguments)
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
        try:
            out, err = process.communicate(timeout=patience_s)
            break
        except subprocess.TimeoutExpired:
            process.send_signal(number)
    else:
        out, err = process.communicate(timeout=20)
    assert process.returncode is not None
    return Result(process.returncode, out, err)


def choose_faults(counts: Counter[Call], most: int, chance: random.Random) -> list[DiskFault]:
    """Calls of every kind in turn, each with a flaw that is its turn; a quarter of the faults take calls of all
    kinds."""
    calls: list[tuple[Struck, int]] = [(call, number) for call in CALLS for number in range(1, counts[call] + 1)]
    anywhere: list[tuple[Struck, int]] = [("any", number) for number in range(1, counts.total() + 1)]
    chance.shuffle(calls)
    calls += chance.sample(anywhere, len(calls) // 3)
    chance.shuffle(calls)
    flaws = {
        call: cycle([(flaw, times) for times in (LASTS_OF_ANY if call == "any" else LASTS) for flaw in FLAWS[call]])
        for call in (*CALLS, "any")
    }
    return [DiskFault(call, number, *next(flaws[call])) for call, number in islice(cycle(calls), most)]


@pytest.fixture
def vlures(tmp_path: Path) -> WarmCommand:
    folder = make_dataset(tmp_path / "work/data", samples=SAMPLES).parent
    (folder / "tmp").mkdir()
    command = WarmCommand(folder)
    (folder / "home").mkdir()
    command.environment |= {"TMPDIR": str(folder / "tmp"), "HOME": str(folder / "home")}
    return command


@pytest.mark.parametrize(("backend", "mode"), PAIRS)
def test_whatever_the_disk_does_nothing_is_lost_and_nothing_paid_twice(
    vlures: WarmCommand,
    shared_sandbox: Sandbox,
    record_property: Callable[[str, object], None],
    backend: str,
    mode: str,
) -> None:
    vlures.use(shared_sandbox)
    trial = Trial(vlures, shared_sandbox, backend, mode)
    chance = random.Random(f"{SEED} {backend} {mode}")
    tried = struck = calls = 0
    wrongs = []
    for root, share in (("outputs", 0.9), ("tmp", 0.1)) if mode == "batch" else (("outputs", 1.0),):
        counts = trial.count_calls(root)
        calls += counts.total()
        wanted = struck + round(FAULTS * SHARE[mode] * share)
        for fault in choose_faults(counts, 2 * (wanted - struck), chance):
            tried += 1
            hit, wrong = trial.try_fault(f"case{tried}", fault, root)
            struck += hit
            if wrong:
                wrongs.append(wrong)
            if struck == wanted:
                break
        assert struck == wanted, f"{backend} {mode}: {struck} disk faults struck, of {tried} tried"
    summary = (
        f"{backend} {mode}: {struck} disk faults struck, of {tried} tried over {calls} calls (VLURES_DISK_SEED={SEED})"
    )
    record_property("summary", f"{summary}: 0 lost, 0 paid twice")
    assert not wrongs, f"{summary}; {len(wrongs)} went wrong:\n\n" + "\n\n".join(wrongs[:8])

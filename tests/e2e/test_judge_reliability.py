"""What a judge costs when something goes wrong or it is killed, for docs/reliability.md; see test_reliability.py."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Result, Sandbox, make_dataset
from tests.e2e.reliability_page import JUDGE_KILLED, JUDGE_WRONG, Row, publish
from tests.e2e.reliability_page import LOCK as PAGE_LOCK
from tests.e2e.test_reliability import (
    IN_FLIGHT,
    KILLS,
    LIVE_PLACES,
    MODELS,
    MOMENTS,
    MOMENTS_LIVE,
    MOST_COMMANDS,
    NAMES,
    JudgeWrong,
    Kill,
    Measured,
    judge_kills,
    judge_wrongs,
    kill_held,
    kill_words,
)
from tests.warm import WarmCommand

ANSWERS = 6
JUDGEMENTS = ANSWERS + 4 + 4 + 1 + 1 + 1
"""Controls: four with another image, four without one, another answer, a padded one, a repeat."""
RUN = "answers"
JUDGE = f"{RUN}/judged/measured"


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory, running_sandbox: Sandbox) -> Path:
    """A folder in which a run has answered one question about each of six images."""
    command = WarmCommand(make_dataset(tmp_path_factory.mktemp("answered") / "work/data", samples=ANSWERS).parent)
    command.use(running_sandbox)
    asked = ("--languages", "En", "--tasks", "1", "--dataset", "data", "--name", RUN)
    result = command("run", "--backend", "openai", "--mode", "live", *asked)
    assert result.code == 0, result
    return command.folder


@pytest.fixture
def vlures(tmp_path: Path, answered: Path, shared_sandbox: Sandbox) -> WarmCommand:
    """The command in a folder of its own with that run, and a sandbox that answers in the providers' place."""
    command = WarmCommand(Path(shutil.copytree(answered, tmp_path / "work")))
    (tmp_path / "tmp").mkdir()
    command.environment |= {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "tmp")}
    command.use(shared_sandbox)
    return command


@pytest.fixture(scope="module", autouse=True)
def _lock_is_removed() -> Iterator[None]:
    yield
    PAGE_LOCK.unlink(missing_ok=True)


def judge_of(provider: str, mode: str, *options: str, canary: bool = False) -> tuple[str, ...]:
    backend, model = MODELS[provider]
    patience = ("--poll-s", "0.2", "--doubt-patience-s", "1") if mode == "batch" else ("--concurrency", str(IN_FLIGHT))
    asked = ("--backend", backend, "--model", model, "--mode", mode, "--canary" if canary else "--no-canary")
    return ("judge", f"outputs/{RUN}", *asked, "--name", "measured", *patience, *options)


def verdicts(vlures: WarmCommand) -> list[dict[str, object]]:
    path = vlures.folder / f"outputs/{JUDGE}/verdicts.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def finish(vlures: WarmCommand, sandbox: Sandbox, arguments: tuple[str, ...], begun: int) -> Measured:
    """Give the same command until it has nothing more to do. begun: commands that were given already."""
    stored = {line["key"]: line["text"] for line in vlures.checkpoint_lines(JUDGE) if line["status"] == "ok"}
    result = Result(3, "", "")
    while begun < MOST_COMMANDS and result.code:
        result = vlures(*arguments)
        begun += 1
    assert result.code == 0, result
    lines = [line for line in vlures.checkpoint_lines(JUDGE) if line["status"] == "ok"]
    now = {line["key"]: line["text"] for line in lines}
    assert stored.items() <= now.items(), "a judgement that was stored is gone or another"
    # A reply that is no verdict is stored, too, and asked for again; nothing else has a second line.
    assert len(lines) - len(now) <= len(sandbox.ledger) - JUDGEMENTS
    judged = sum(verdict["overall"] is not None for verdict in verdicts(vlures))
    # A repeat has the same content as the judgement that it repeats, so digests do not tell them apart.
    return Measured(begun, judged, len(sandbox.ledger) - JUDGEMENTS, JUDGEMENTS - judged)


@pytest.mark.parametrize(
    ("provider", "wrong"), [pytest.param(p, w, id=f"{p}: {w.words}") for p in MODELS for w in judge_wrongs(p)]
)
def test_whatever_goes_wrong_every_answer_is_judged_once(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, wrong: JudgeWrong
) -> None:
    shared_sandbox.show(*wrong.faults)
    sized = ("--batch-size", "9") if wrong.mode == "batch" else ()
    arguments = judge_of(provider, wrong.mode, *sized)
    first = vlures(*arguments)
    assert all(shared_sandbox.struck)
    shared_sandbox.show()
    measured = finish(vlures, shared_sandbox, arguments, 1 if first.code else 0)
    assert measured == Measured(wrong.commands, JUDGEMENTS, wrong.paid_again), first
    publish(Row((provider, JUDGE_WRONG), (wrong.words, JUDGEMENTS, *measured.cells)), NAMES)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("provider", "kill"), [pytest.param(p, k, id=f"{p}: {k.words}") for p in KILLS for k in judge_kills(p)]
)
def test_a_judge_that_is_killed_at_any_boundary_costs_nothing(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, kill: Kill, moment: str
) -> None:
    shared_sandbox.show(f"{MOMENTS[moment]}@{kill.place}:after={kill.after},times=1", *kill.faults)
    arguments = judge_of(provider, "batch", "--delete-remote-files", canary=kill.canary)
    held, stored = shared_sandbox.stats["held"], JUDGEMENTS if kill.stored else 0
    process = vlures.start(*arguments)
    kill_held(
        process,
        shared_sandbox,
        lambda: shared_sandbox.stats["held"] > held and len(vlures.checkpoint_lines(JUDGE)) >= stored,
    )
    measured = finish(vlures, shared_sandbox, arguments, 1)
    assert measured == Measured(2, JUDGEMENTS, paid_again=kill.canary and moment == "after")
    publish(Row((provider, JUDGE_KILLED), (kill_words(kill.words, moment), JUDGEMENTS, *measured.cells)), NAMES)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("provider", MODELS)
def test_a_live_judge_that_is_killed_costs_what_was_in_flight_at_most(
    vlures: WarmCommand, shared_sandbox: Sandbox, provider: str, moment: str
) -> None:
    shared_sandbox.show(f"{MOMENTS[moment]}@{LIVE_PLACES[provider]}:after=3")
    arguments = judge_of(provider, "live")
    held = shared_sandbox.stats["held"]
    process = vlures.start(*arguments)
    kill_held(
        process,
        shared_sandbox,
        lambda: shared_sandbox.stats["held"] == held + IN_FLIGHT and len(vlures.checkpoint_lines(JUDGE)) == 3,
    )
    measured = finish(vlures, shared_sandbox, arguments, 1)
    assert measured == Measured(2, JUDGEMENTS, paid_again=IN_FLIGHT if moment == "after" else 0)
    publish(Row((provider, JUDGE_KILLED), (f"live, {MOMENTS_LIVE[moment]}", JUDGEMENTS, *measured.cells)), NAMES)

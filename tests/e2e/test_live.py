"""`vlures run --mode live` against the faults that a live call of any provider can show."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable

import pytest

from tests.conftest import Command, Sandbox, wait_until
from tests.e2e.targets import EACH_PROVIDER, TARGETS, Target

pytestmark = pytest.mark.warm

OUTPUT = "mine"
REQUESTS = 2 * (6 + 5)


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def run_of(target: Target, languages: str = "Jp,Sw", tasks: str = "2,8") -> tuple[str, ...]:
    return target.run("live", "--languages", languages, "--tasks", tasks, "--name", OUTPUT)


def test_a_run_answers_everything_and_a_second_one_sends_nothing(
    vlures: Command, shared_sandbox: Sandbox, target: Target
) -> None:
    vlures.use(shared_sandbox)
    result = vlures(*run_of(target))
    assert result.code == 0, result
    assert f"{REQUESTS} ok" in result.out.splitlines()[-1]
    answers = vlures.answers(OUTPUT)
    assert len(answers) == REQUESTS
    assert all("sandbox" in text.lower() for text in answers.values())
    ledger = shared_sandbox.ledger
    assert len(ledger) == REQUESTS
    assert {(entry["provider"], entry["mode"]) for entry in ledger} == {(target.backend, "live")}
    files = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (vlures.folder / "data").glob("*.png")}
    assert {image for entry in ledger for image in entry["images"]} == files, "the images are sent as they are"

    assert vlures(*run_of(target)).code == 0
    assert len(shared_sandbox.ledger) == REQUESTS


def test_one_semaphore_stands_over_all_cells(
    vlures: Command, start_sandbox: Callable[..., Sandbox], target: Target
) -> None:
    sandbox = start_sandbox("--latency", "0.3")
    vlures.use(sandbox)
    assert vlures(*run_of(target), "--concurrency", "7").code == 0
    assert sandbox.stats["live_peak"] == 7


# Faults after which the server has not answered: nothing is paid twice. Those of one run strike one after the other.
@pytest.mark.parametrize(
    ("faults", "times"),
    [
        (("429:times=3,retry_after=1", "429:times=3", "503:times=1,retry_after=1"), 7),
        (("500:times=3", "503:every=5,times=4", "html:times=2"), 9),
        (
            (
                "drop_before:times=2",
                "error:times=1,status=408,message=Too slow.",
                "error:times=1,status=409,message=Locked.",
                "latency:times=2,seconds=0.3",
            ),
            4,
        ),
    ],
    ids=["limits", "errors", "mishaps"],
)
def test_a_run_survives_without_paying_twice(
    vlures: Command, shared_sandbox: Sandbox, target: Target, faults: tuple[str, ...], times: int
) -> None:
    shared_sandbox.show(*target.live(*faults))
    vlures.use(shared_sandbox)
    result = vlures(*run_of(target))
    assert result.code == 0, result
    assert 0 not in shared_sandbox.struck
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert len(shared_sandbox.ledger) == len(shared_sandbox.paid) == REQUESTS
    assert sum(line["attempts"] - 1 for line in vlures.last_lines(OUTPUT).values()) == times


def test_a_lost_answer_is_asked_for_again(vlures: Command, shared_sandbox: Sandbox, target: Target) -> None:
    """The server has answered, or may have, but no answer arrived: there is nothing but to ask again."""
    lost = ("drop_after:times=2", "truncate:times=2", "bad_json:times=2", "hang:times=2", "empty:times=2,after=6")
    shared_sandbox.show(*target.live(*lost))
    vlures.use(shared_sandbox)
    result = vlures(*run_of(target), "--timeout-s", "2")
    assert result.code == 0, result
    assert shared_sandbox.struck == [2] * 5
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert len(shared_sandbox.ledger) == REQUESTS + 2 * 4, "the server that hangs has not answered"
    assert sum(line["attempts"] - 1 for line in vlures.last_lines(OUTPUT).values()) == 2 * 5


CUT_SHORT = {
    "max_tokens": ("truncated", True, ""),
    "max_tokens_empty": ("truncated", False, "no text"),
}
OPENAI_REFUSES = {
    "refusal": ("refused", True, ""),
    "safety": ("refused", False, ""),
    "blocked_prompt": ("refused", False, "400 invalid_prompt"),
}
NO_ANSWERS = {
    "openai": CUT_SHORT | OPENAI_REFUSES,
    "gemini": CUT_SHORT | {"safety": ("refused", False, ""), "blocked_prompt": ("refused", False, "")},
}
"""Kind of fault → what is stored: the status, whether the model spoke, and the code of the error."""


def test_what_is_no_answer_has_its_own_status_and_is_not_asked_twice(
    vlures: Command, shared_sandbox: Sandbox, target: Target
) -> None:
    kinds = NO_ANSWERS[target.backend]
    shared_sandbox.show(*target.live(*(f"{kind}:times=2" for kind in kinds)))
    vlures.use(shared_sandbox)
    result = vlures(*run_of(target))
    assert result.code == 0, result
    answered = REQUESTS - 2 * len(kinds)
    refused = 2 * (len(kinds) - len(CUT_SHORT))
    assert f"{answered} ok, 4 truncated, {refused} refused" in result.out.splitlines()[-1]
    assert len(vlures.answers(OUTPUT)) == answered
    lines = [line for line in vlures.last_lines(OUTPUT).values() if line["status"] != "ok"]
    said = sorted((line["status"], "text" in line, line.get("error", {}).get("code", "")) for line in lines)
    assert said == sorted([*kinds.values()] * 2)
    assert vlures(*run_of(target)).code == 0
    assert f"0 due of {REQUESTS}" in vlures("plan", *run_of(target)[1:]).out
    assert max(shared_sandbox.paid.values()) == 1
    assert len(shared_sandbox.ledger) == REQUESTS - 2, "a prompt that was blocked is not paid"
    again = vlures(*run_of(target), "--redo", "truncated,refused")
    assert again.code == 0, again
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert len(shared_sandbox.ledger) == REQUESTS - 2 + 2 * len(kinds)


def test_an_answer_that_stays_empty_becomes_a_failure(vlures: Command, shared_sandbox: Sandbox, target: Target) -> None:
    shared_sandbox.show(*target.live("empty"))
    vlures.use(shared_sandbox)
    result = vlures(*run_of(target, "Jp", "2"), "--limit", "2")
    assert result.code == 3, result
    assert "2 failed" in result.out.splitlines()[-1]
    assert vlures.answers(OUTPUT) == {}
    assert {line["attempts"] for line in vlures.last_lines(OUTPUT).values()} == {3}


RENEWALS = {"openai": ("retry_after=7200,", "UTC"), "gemini": ("", "midnight Pacific")}
"""Backend → what its refusal says of the renewal, and what the run says of it."""


def test_the_days_quota_ends_the_run_with_the_time_of_its_renewal(
    vlures: Command, shared_sandbox: Sandbox, target: Target
) -> None:
    hint, words = RENEWALS[target.backend]
    shared_sandbox.show(*target.live(f"429:{hint}per_day=1,after=8"))
    vlures.use(shared_sandbox)
    result = vlures(*run_of(target), "--concurrency", "2")
    result.assert_stopped(3, "day's quota", words, "run the same command again")
    assert len(vlures.answers(OUTPUT)) == len(shared_sandbox.ledger) == 8
    shared_sandbox.show()
    assert vlures(*run_of(target)).code == 0
    assert set(shared_sandbox.paid.values()) == {1}


def test_ctrl_c_does_not_wait_for_requests_that_are_only_waiting(
    vlures: Command, shared_sandbox: Sandbox, target: Target
) -> None:
    shared_sandbox.show(*target.live("429:retry_after=600"))
    vlures.use(shared_sandbox)
    process = vlures.start(*run_of(target))
    wait_until(process, lambda: shared_sandbox.struck > [0])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert shared_sandbox.ledger == []


@EACH_PROVIDER
def test_ctrl_c_waits_for_the_answers_in_flight(vlures: Command, shared_sandbox: Sandbox, target: Target) -> None:
    shared_sandbox.show(*target.live("latency:seconds=1.5"))
    vlures.use(shared_sandbox)
    process = vlures.start(*run_of(target), "--concurrency", "3")
    wait_until(process, lambda: shared_sandbox.struck == [3])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "waiting for the answers in flight" in err
    assert len(vlures.answers(OUTPUT)) == len(shared_sandbox.ledger) == 3
    assert "3 ok" in out

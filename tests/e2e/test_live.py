"""`vlures run --backend gemini` against every fault that a live call can show."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Callable

import pytest

from tests.conftest import Command, Sandbox, wait_until

RUN_ANY = ("run", "--backend", "gemini", "--model", "gemini-3.8-flash", "--dataset", "data")
RUN = (*RUN_ANY, "--languages", "Jp,Sw", "--tasks", "2,8")
RUN_SIX = (*RUN_ANY, "--languages", "Jp", "--tasks", "2")
OUTPUT = "gemini-3.8-flash"
REQUESTS = 2 * (6 + 5)


def test_a_run_answers_everything_and_a_second_one_sends_nothing(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert f"{REQUESTS} ok" in result.out.splitlines()[-1]
    answers = vlures.answers(OUTPUT)
    assert len(answers) == REQUESTS
    assert all("sandbox" in text.lower() for text in answers.values())
    assert len(sandbox.ledger) == REQUESTS
    assert vlures(*RUN).code == 0
    assert len(sandbox.ledger) == REQUESTS


def test_one_semaphore_stands_over_all_cells(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--latency", "0.3")
    vlures.use(sandbox)
    assert vlures(*RUN, "--concurrency", "7").code == 0
    assert sandbox.stats["live_peak"] == 7


# Faults after which the server has not answered: nothing is paid twice.
@pytest.mark.parametrize(
    "fault",
    [
        "429@gemini:times=3,retry_after=1",
        "429@gemini:times=3",
        "500@gemini:times=3",
        "503@gemini:every=5,times=4",
        "html@gemini:times=2",
        "drop_before@gemini:times=2",
    ],
)
def test_a_run_survives_without_paying_twice(
    vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str
) -> None:
    sandbox = start_sandbox("--fault", fault)
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert set(sandbox.paid.values()) == {1}


# Faults after which the server has answered, but the answer did not arrive: there is nothing but to ask again.
@pytest.mark.parametrize(
    "fault",
    [
        "drop_after@gemini:times=2",
        "truncate@gemini:times=2",
        "bad_json@gemini:times=2",
        "hang@gemini:times=2",
        "empty:times=2",
    ],
)
def test_a_lost_answer_is_asked_for_again(vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str) -> None:
    sandbox = start_sandbox("--fault", fault)
    vlures.use(sandbox)
    result = vlures(*RUN, "--timeout-s", "3")
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert sum(sandbox.paid.values()) <= REQUESTS + 2


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("blocked_prompt:times=4", "refused"),
        ("safety:times=4", "refused"),
        ("max_tokens:times=4", "truncated"),
        ("max_tokens_empty:times=4", "truncated"),
    ],
)
def test_what_is_no_answer_has_its_own_status_and_is_not_asked_twice(
    vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str, status: str
) -> None:
    sandbox = start_sandbox("--fault", fault)
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert f"4 {status}" in result.out.splitlines()[-1]
    assert len(vlures.answers(OUTPUT)) == REQUESTS - 4
    assert vlures(*RUN).code == 0
    assert max(sandbox.paid.values()) == 1


def test_an_answer_that_stays_empty_becomes_a_failure(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--fault", "empty")
    vlures.use(sandbox)
    result = vlures(*RUN_SIX, "--limit", "2")
    assert result.code == 3, result
    assert "2 failed" in result.out.splitlines()[-1]
    assert vlures.answers(OUTPUT) == {}


def test_the_days_quota_ends_the_run_with_the_time_of_its_renewal(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--fault", "429@gemini:per_day=1,after=8")
    vlures.use(sandbox)
    result = vlures(*RUN, "--concurrency", "2")
    assert result.code == 3, result
    assert "midnight Pacific" in result.err
    stored = len(vlures.answers(OUTPUT))
    assert stored == len(sandbox.ledger) == 8
    sandbox.show()
    assert vlures(*RUN).code == 0
    assert set(sandbox.paid.values()) == {1}


def test_the_pictures_are_sent_as_they_are(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    assert vlures(*RUN_SIX).code == 0
    files = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (vlures.folder / "data").glob("*.png")}
    assert {image for entry in sandbox.ledger for image in entry["images"]} == files


def test_ctrl_c_does_not_wait_for_requests_that_are_only_waiting(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--fault", "429@gemini:retry_after=600")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    wait_until(process, lambda: bool(sandbox.stats["requests"].get("generateContent")))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert sandbox.ledger == []

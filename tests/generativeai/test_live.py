"""What holds of Gemini's live calls holds through google-generativeai too: the same tests, by another command, and
those of one fault each in two runs."""

from __future__ import annotations

import resource
from pathlib import Path

from tests.conftest import Command, Sandbox, make_dataset
from tests.e2e.targets import TARGETS
from tests.e2e.test_broken_replies import LIVE, QUESTIONS
from tests.e2e.test_failing_disk import NO_ROOM_BYTES, SAMPLES, arguments
from tests.e2e.test_live import (
    OUTPUT,
    REQUESTS,
    run_of,
    test_ctrl_c_does_not_wait_for_requests_that_are_only_waiting,
    test_one_semaphore_stands_over_all_cells,
    test_the_days_quota_ends_the_run_with_the_time_of_its_renewal,
)
from vlures.sandbox.faults.kinds import HOW_WORDS

__all__ = [
    "test_ctrl_c_does_not_wait_for_requests_that_are_only_waiting",
    "test_one_semaphore_stands_over_all_cells",
    "test_the_days_quota_ends_the_run_with_the_time_of_its_renewal",
]

RUN = run_of(TARGETS["gemini"])

# 503 comes last: the SDK would hide it by asking again itself, if it were let.
NOT_ANSWERED = (
    "429:times=2,retry_after=1",
    "429:times=2",
    "500:times=2",
    "html:times=2",
    "drop_before:times=2",
    "503:times=2",
)
ANSWERED_IN_VAIN = ("drop_after:times=2", "truncate:times=2", "bad_json:times=2", "hang:times=2")


def test_a_run_survives_without_paying_twice(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(*TARGETS["gemini"].live(*NOT_ANSWERED))
    before = shared_sandbox.stats["requests"].get("generateContent", 0)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert set(shared_sandbox.paid.values()) == {1}
    failed = sum(line["attempts"] - 1 for line in vlures.checkpoint_lines(OUTPUT))
    assert failed == 2 * len(NOT_ANSWERED)
    assert shared_sandbox.stats["requests"]["generateContent"] - before == REQUESTS + failed


def test_a_lost_answer_is_asked_for_again(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show(*TARGETS["gemini"].live(*ANSWERED_IN_VAIN), "empty:times=2")
    result = vlures(*RUN, "--timeout-s", "3")
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert sum(shared_sandbox.paid.values()) <= REQUESTS + 2 * (len(ANSWERED_IN_VAIN) + 1)


def test_a_reply_that_is_no_http_or_has_no_end_is_a_failed_call(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    # More questions than faults in each run: a request that meets five of them is given up, and rightly.
    for fault, hows in HOW_WORDS.items():
        assert len(hows) <= QUESTIONS
        shared_sandbox.show(*(f"{fault}@gemini:how={how},times=1" for how in hows))
        result = vlures(*LIVE["gemini"], "--name", fault, "--timeout-s", "3", "--concurrency", "40")
        assert result.code == 0, result
        assert len(vlures.answers(fault)) == QUESTIONS


def test_answers_that_find_no_room_wait_elsewhere_and_the_next_run_takes_them_in(
    vlures: Command, shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    make_dataset(vlures.folder / "data", samples=SAMPLES)
    (tmp_path / "tmp").mkdir()
    vlures.use(shared_sandbox)
    vlures.environment |= {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home")}
    process = vlures.start(*arguments("gemini"))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (NO_ROOM_BYTES, resource.RLIM_INFINITY))
    _, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "cannot be written (File too large), so nothing more is sent." in err
    assert "the next run over this folder stores them by itself" in err
    result = vlures(*arguments("gemini"))
    assert result.code == 0, result
    assert len(vlures.answers("run")) == SAMPLES
    assert list(shared_sandbox.paid.values()) == [1] * SAMPLES
    assert not list((tmp_path / "tmp").glob("vlures-rescued-*"))


def test_no_redirect_is_followed(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    before = shared_sandbox.stats["requests"].get("generateContent", 0)
    path = "/gemini/v1beta/models/gemini-3.8-flash:generateContent"
    shared_sandbox.show(f"redirect@gemini:times=1,to={shared_sandbox.url.replace('127.0.0.1', 'localhost')}{path}")
    result = vlures(*RUN, "--concurrency", "1")
    assert result.code == 1, result
    assert "redirects to http://localhost:" in result.err
    assert shared_sandbox.stats["requests"]["generateContent"] - before == 1

"""What holds of Gemini's live calls holds through google-generativeai too: the same tests, by another command, and
those of one fault each in two runs."""

from __future__ import annotations

from tests.conftest import Command, Sandbox
from tests.e2e.test_live import (
    OUTPUT,
    REQUESTS,
    RUN,
    test_ctrl_c_does_not_wait_for_requests_that_are_only_waiting,
    test_one_semaphore_stands_over_all_cells,
    test_the_days_quota_ends_the_run_with_the_time_of_its_renewal,
)

__all__ = [
    "test_ctrl_c_does_not_wait_for_requests_that_are_only_waiting",
    "test_one_semaphore_stands_over_all_cells",
    "test_the_days_quota_ends_the_run_with_the_time_of_its_renewal",
]

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
    shared_sandbox.show(*(fault.replace(":", "@gemini:") for fault in NOT_ANSWERED))
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
    shared_sandbox.show(*(fault.replace(":", "@gemini:") for fault in ANSWERED_IN_VAIN), "empty:times=2")
    result = vlures(*RUN, "--timeout-s", "3")
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert sum(shared_sandbox.paid.values()) <= REQUESTS + 2 * (len(ANSWERED_IN_VAIN) + 1)

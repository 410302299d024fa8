"""`vlures run --backend openai` against every fault that a batch can show."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Command, Sandbox

RUN = (
    "run",
    "--backend",
    "openai",
    "--model",
    "gpt-6-luna",
    "--dataset",
    "data",
    "--languages",
    "En,Ur",
    "--tasks",
    "1,7",
)
RUN_IN_LOTS = (*RUN, "--batch-size", "6", "--doubt-patience-s", "2", "--poll-s", "1")
OUTPUT = "gpt-6-luna"
REQUESTS = 2 * (6 + 5)


def assert_complete(vlures: Command, sandbox: Sandbox) -> None:
    """Every request has one answer of the model, and none was paid twice."""
    answers = vlures.answers(OUTPUT)
    assert len(answers) == REQUESTS
    assert all("sandbox" in text.lower() for text in answers.values())
    paid = sandbox.paid
    assert len(paid) == REQUESTS
    assert set(paid.values()) == {1}


def test_a_run_answers_everything_and_a_second_one_sends_nothing(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    first = vlures(*RUN_IN_LOTS)
    assert first.code == 0, first
    assert f"{REQUESTS} ok" in first.out.splitlines()[-1]
    assert_complete(vlures, sandbox)
    created = sandbox.stats["batches_created"]
    assert created == 4

    again = vlures(*RUN_IN_LOTS)
    assert again.code == 0, again
    assert sandbox.stats["batches_created"] == created


@pytest.mark.parametrize(
    "fault",
    [
        "line_error:times=2,status=500",
        "line_error_b:times=2",
        "line_status0:times=2",
        "missing:times=2",
        "shuffle",
        "doubled:every=3",
        "unknown_id:times=1",
        "null_id:times=1",
        "garbage_line:times=1",
        "empty_ids",
        "expire:keep=0.5,times=2",
        "token_limit:times=2",
        "cannot_find_file:times=1",
        "429@create:times=2,retry_after=1",
        "429@upload:times=1",
        "503@status:times=2",
        "500@content:times=1",
        "html@status:times=1",
        "bad_json@status:times=1",
        "truncate@content:times=1",
        "truncate@status:times=1",
        "drop_before@upload:times=1",
        "drop_after@upload:times=1",
        "drop_before@create:times=1",
        "drop_after@create:times=1",
        "500@create:times=1",
        "truncate@create:times=1",
        "bad_json@create:times=1",
        "drop_before@status:times=2",
        "drop_before@content:times=1",
    ],
)
def test_a_run_survives(vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", fault)
    vlures.use(sandbox)
    result = vlures(*RUN_IN_LOTS)
    assert result.code == 0, result
    answers = vlures.answers(OUTPUT)
    assert len(answers) == REQUESTS, result
    stored = [line["key"] for line in vlures.checkpoint_lines(OUTPUT) if line["status"] == "ok"]
    assert len(stored) == len(set(stored)) == REQUESTS
    if not fault.startswith("missing"):  # what a provider charged for and did not hand over has to be asked again
        assert set(sandbox.paid.values()) == {1}, result


def test_the_lost_reply_to_a_creation_leaves_exactly_one_batch(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "drop_after@create:times=1")
    vlures.use(sandbox)
    result = vlures(*RUN, "--doubt-patience-s", "2")
    assert result.code == 0, result
    assert "looking for it by its tag" in result.err
    assert sandbox.stats["batches_created"] == 1
    assert_complete(vlures, sandbox)


def test_an_expired_batch_keeps_its_answers_and_only_the_rest_is_sent_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "expire:keep=0.5,times=1")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 2
    assert_complete(vlures, sandbox)


def test_lines_that_fail_for_good_end_as_failed_and_are_due_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox(
        "--batch-seconds", "0.2", "--fault", "line_error:every=5,status=400,code=bad_thing,message=No."
    )
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 3, result
    assert "4 failed" in result.out.splitlines()[-1]
    assert "400 bad_thing" in result.err
    assert sandbox.stats["batches_created"] == 1
    assert len(vlures.answers(OUTPUT)) == REQUESTS - 4
    assert not any("No." in text for text in vlures.answers(OUTPUT).values())

    sandbox.show()
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def test_lines_that_keep_failing_are_given_up_after_max_attempts(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "line_error:status=500")
    vlures.use(sandbox)
    result = vlures(*RUN, "--max-attempts", "2")
    assert result.code == 3, result
    assert sandbox.stats["batches_created"] == 2
    lines = vlures.checkpoint_lines(OUTPUT)
    assert {line["status"] for line in lines} == {"failed"}
    assert {line["attempts"] for line in lines} == {2}
    assert vlures.answers(OUTPUT) == {}


def test_cut_short_and_refused_answers_have_their_own_status(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox(
        "--batch-seconds",
        "0.2",
        "--fault",
        "refusal:every=7",
        "--fault",
        "max_tokens:every=5",
        "--fault",
        "max_tokens_empty:every=11",
    )
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    last = result.out.splitlines()[-1]
    assert "refused" in last
    assert "truncated" in last
    statuses = {line["key"]: line for line in vlures.checkpoint_lines(OUTPUT)}
    assert len(vlures.answers(OUTPUT)) == sum(line["status"] == "ok" for line in statuses.values())
    created = sandbox.stats["batches_created"]
    assert vlures(*RUN).code == 0
    assert sandbox.stats["batches_created"] == created

    sandbox.show()
    assert vlures(*RUN, "--redo", "truncated,refused").code == 0
    assert len(vlures.answers(OUTPUT)) == REQUESTS


def test_the_answers_of_a_batch_that_was_cancelled_elsewhere_are_kept(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "cancelled:keep=0.5,times=1")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 3, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS // 2
    assert sandbox.stats["batches_created"] == 1
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def test_a_full_queue_parks_batches_until_others_have_ended(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "1", "--queue-tokens", "12000")
    vlures.use(sandbox)
    result = vlures(*RUN_IN_LOTS)
    assert result.code == 0, result
    assert "not begun and costs nothing" in result.err
    assert_complete(vlures, sandbox)


def test_a_batch_that_another_key_cannot_see_is_left_alone(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "not_found@status")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    process.wait(timeout=60)
    result = vlures(*RUN)
    assert result.code == 1, result
    assert "another key or project" in result.err
    assert sandbox.stats["batches_created"] == 1
    sandbox.show()
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)

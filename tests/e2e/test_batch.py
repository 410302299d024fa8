"""`vlures run --mode batch` against the faults that the batches of any provider can show."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.conftest import Command, Sandbox, make_dataset, wait_until
from tests.e2e.targets import (
    EACH_PROVIDER,
    OUTPUT,
    PROVIDERS,
    REQUESTS,
    Start,
    Target,
    assert_complete,
    run_in_batches,
    start_with,
)

pytestmark = pytest.mark.warm

LOTS = ("--batch-size", "6")
BATCHES = 4
"""Of a run in lots of six."""


@EACH_PROVIDER
def test_a_run_answers_everything_and_a_second_one_sends_nothing(
    vlures: Command, start_sandbox: Start, target: Target
) -> None:
    sandbox = start_with(start_sandbox, target)
    vlures.use(sandbox)
    first = vlures(*run_in_batches(target), *LOTS)
    assert first.code == 0, first
    assert f"{REQUESTS} ok" in first.out.splitlines()[-1]
    assert_complete(vlures, sandbox)
    assert sandbox.stats["batches_created"] == BATCHES
    assert {entry["mode"] for entry in sandbox.ledger} == {"batch"}

    again = vlures(*run_in_batches(target), *LOTS)
    assert again.code == 0, again
    assert sandbox.stats["batches_created"] == BATCHES


FILE_GONE = "status=403,message=You do not have permission to access the File abc or it may not exist."
# Those of one run strike one after the other.
OF_EVERY_PROVIDER = {
    "lines": ("line_error:times=2,status=500", "line_error_b:times=2", "line_status0:times=2"),
    "lost lines": ("empty@line:times=2", "missing:times=2"),
    "limits": (
        "token_limit:times=2",
        "cannot_find_file:times=1",
        "429@create:times=2,retry_after=1",
        "429@upload:times=1",
    ),
    "errors": (
        *("503@upload:times=1,after=1", "503@status:times=2", "500@content:times=1", "500@create:times=1"),
        *("html@upload:times=1", "html@create:times=1", "html@status:times=1"),
    ),
    "garbled replies": (
        *("bad_json@upload:times=1", "bad_json@create:times=1", "bad_json@status:times=1"),
        *("truncate@upload:times=1,after=1", "truncate@create:times=1", "truncate@content:times=1"),
        *("truncate@status:times=1", "500@create:times=1"),
    ),
    "lost calls": (
        *("drop_before@upload:times=1", "drop_before@create:times=1", "drop_before@status:times=2"),
        *("drop_after@upload:times=1", "drop_after@create:times=1", "drop_before@content:times=1"),
    ),
}
STRANGE_LINES = ("shuffle", "doubled:every=3", "unknown_id:times=1", "null_id:times=1", "garbage_line:times=1")
OF_ONE_PROVIDER = {
    "openai": {"strange lines": (*STRANGE_LINES, "empty_ids"), "early ends": ("expire:keep=0.5,times=2",)},
    "gemini": {
        "strange lines": STRANGE_LINES,
        "early ends": ("partial:keep=0.5,times=2", "expire:times=2"),
        "waiting": ("paused:seconds=1,times=2", "queued:seconds=1,times=2", "429@create:times=2"),
        "uploads": (  # of the two calls that an upload takes, the second
            *("drop_before@upload:times=1,after=1", "drop_after@upload:times=1,after=1"),
            f"error@create:times=2,{FILE_GONE}",
        ),
    },
}


@pytest.mark.parametrize(
    ("target", "faults"),
    [
        pytest.param(target, faults, id=f"{name}-{kind}")
        for name, target in PROVIDERS.items()
        for kind, faults in (OF_EVERY_PROVIDER | OF_ONE_PROVIDER[name]).items()
    ],
)
def test_a_run_survives(vlures: Command, start_sandbox: Start, target: Target, faults: tuple[str, ...]) -> None:
    sandbox = start_with(start_sandbox, target, *faults)
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target), *LOTS)
    assert result.code == 0, result
    answers = vlures.answers(OUTPUT)
    assert len(answers) == REQUESTS, result
    stored = [line["key"] for line in vlures.checkpoint_lines(OUTPUT) if line["status"] == "ok"]
    assert len(stored) == len(set(stored)) == REQUESTS
    assert 0 not in sandbox.struck
    if faults is not OF_EVERY_PROVIDER["lost lines"]:  # what was charged and is no answer has to be asked again
        assert set(sandbox.paid.values()) == {1}, result


@EACH_PROVIDER
@pytest.mark.parametrize("fault", ["drop_after", "truncate", "bad_json"])
def test_the_lost_reply_to_a_creation_leaves_exactly_one_batch(
    vlures: Command, start_sandbox: Start, target: Target, fault: str
) -> None:
    sandbox = start_with(start_sandbox, target, f"{fault}@create:times=1")
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target))
    assert result.code == 0, result
    assert "looking for it by its tag" in result.err
    assert sandbox.stats["batches_created"] == 1
    assert_complete(vlures, sandbox)


@EACH_PROVIDER
@pytest.mark.parametrize(
    "fault", ["503@list", "bad_json@list", "error@list:status=401,code=invalid_api_key,message=No."]
)
def test_a_creation_that_stays_in_doubt_is_looked_up_by_the_next_run(
    vlures: Command, start_sandbox: Start, target: Target, fault: str
) -> None:
    sandbox = start_with(start_sandbox, target, "drop_after@create:times=1", fault)
    vlures.use(sandbox)
    first = vlures(*run_in_batches(target), "--retry-budget-s", "2")
    assert first.code in (1, 3), first
    assert "1 batch may have been created" in first.err
    sandbox.show()
    result = vlures(*run_in_batches(target))
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 1
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize(
    ("provider", "end", "words"),
    [
        ("openai", "expire:keep=0.5,times=1", ""),
        ("gemini", "partial:keep=0.5,times=1", ""),
        ("gemini", "expire:times=1", f"(expired) has lines that are {REQUESTS} missing"),  # without any results
    ],
)
def test_a_batch_that_ends_early_keeps_its_answers_and_only_the_rest_is_sent_again(
    vlures: Command, start_sandbox: Start, provider: str, end: str, words: str
) -> None:
    target = PROVIDERS[provider]
    sandbox = start_with(start_sandbox, target, end)
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target))
    assert result.code == 0, result
    assert words in result.err
    assert sandbox.stats["batches_created"] == 2
    assert_complete(vlures, sandbox)


@EACH_PROVIDER
def test_the_answers_of_a_batch_that_was_cancelled_elsewhere_are_kept(
    vlures: Command, start_sandbox: Start, target: Target
) -> None:
    sandbox = start_with(start_sandbox, target, "cancelled:keep=0.5,times=1")
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target))
    assert result.code == 3, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS // 2
    assert sandbox.stats["batches_created"] == 1
    assert vlures(*run_in_batches(target)).code == 0
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize(
    ("provider", "code", "words"),
    [("openai", "bad_thing", "400 bad_thing"), ("gemini", "INVALID_ARGUMENT", "INVALID_ARGUMENT")],
)
def test_lines_that_fail_for_good_end_as_failed_and_are_due_again(
    vlures: Command, start_sandbox: Start, provider: str, code: str, words: str
) -> None:
    target = PROVIDERS[provider]
    sandbox = start_with(start_sandbox, target, f"line_error:every=5,status=400,code={code},message=No.")
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target))
    assert result.code == 3, result
    assert "4 failed" in result.out.splitlines()[-1]
    assert words in result.err
    assert sandbox.stats["batches_created"] == 1
    assert len(vlures.answers(OUTPUT)) == REQUESTS - 4
    assert not any("No." in text for text in vlures.answers(OUTPUT).values())

    sandbox.show()
    assert vlures(*run_in_batches(target)).code == 0
    assert_complete(vlures, sandbox)


@EACH_PROVIDER
def test_lines_that_keep_failing_are_given_up_after_max_attempts(
    vlures: Command, start_sandbox: Start, target: Target
) -> None:
    sandbox = start_with(start_sandbox, target, "line_error:status=500")
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target), "--max-attempts", "2")
    assert result.code == 3, result
    assert sandbox.stats["batches_created"] == 2
    lines = vlures.checkpoint_lines(OUTPUT)
    assert {line["status"] for line in lines} == {"failed"}
    assert {line["attempts"] for line in lines} == {2}
    assert vlures.answers(OUTPUT) == {}


@pytest.mark.parametrize(
    ("provider", "refusals"),
    [("openai", ("refusal@line:every=7",)), ("gemini", ("safety@line:every=7", "blocked_prompt@line:every=6"))],
)
def test_cut_short_and_refused_answers_have_their_own_status(
    vlures: Command, start_sandbox: Start, provider: str, refusals: tuple[str, ...]
) -> None:
    target = PROVIDERS[provider]
    cut_short = ("max_tokens@line:every=5", "max_tokens_empty@line:every=11")
    sandbox = start_with(start_sandbox, target, *refusals, *cut_short)
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target))
    assert result.code == 0, result
    last = result.out.splitlines()[-1]
    assert "refused" in last
    assert "truncated" in last
    lines = vlures.last_lines(OUTPUT).values()
    assert len(vlures.answers(OUTPUT)) == sum(line["status"] == "ok" for line in lines)
    created = sandbox.stats["batches_created"]
    assert vlures(*run_in_batches(target)).code == 0
    assert sandbox.stats["batches_created"] == created

    sandbox.show()
    assert vlures(*run_in_batches(target), "--redo", "truncated,refused").code == 0
    assert len(vlures.answers(OUTPUT)) == REQUESTS


@pytest.mark.parametrize(
    ("provider", "queue_tokens", "creations"),
    [("openai", 12_000, "batches.create"), ("gemini", 18_000, "gemini.batches.create")],
)
def test_a_full_queue_parks_batches_until_others_have_ended(
    vlures: Command, start_sandbox: Start, provider: str, queue_tokens: int, creations: str
) -> None:
    target = PROVIDERS[provider]
    sandbox = start_sandbox("--batch-seconds", "1", "--queue-tokens", str(queue_tokens))
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target), *LOTS)
    assert result.code == 0, result
    assert "not begun and costs nothing" in result.err
    assert sandbox.stats["requests"][creations] > BATCHES
    if provider == "gemini":  # which creates nothing that its queue has no room for
        assert sandbox.stats["batches_created"] == BATCHES
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize(("provider", "code"), [("openai", "invalid_thing"), ("gemini", "INVALID_ARGUMENT")])
def test_a_batch_that_failed_says_why_and_is_due_again(
    vlures: Command, start_sandbox: Start, provider: str, code: str
) -> None:
    target = PROVIDERS[provider]
    sandbox = start_with(start_sandbox, target, f"fail_batch:code={code},message=Not like this.")
    vlures.use(sandbox)
    result = vlures(*run_in_batches(target))
    result.assert_stopped(1, "Not like this.")
    assert f"could not begin and costs nothing: {code}: Not like this." in result.err
    assert vlures.answers(OUTPUT) == {}
    assert sandbox.stats["batches_created"] == 1
    sandbox.show()
    assert vlures(*run_in_batches(target)).code == 0
    assert_complete(vlures, sandbox)


@EACH_PROVIDER
def test_a_batch_that_another_key_cannot_see_is_left_alone(
    vlures: Command, start_sandbox: Start, target: Target
) -> None:
    sandbox = start_with(start_sandbox, target, "not_found@status")
    vlures.use(sandbox)
    for _ in range(2):
        result = vlures(*run_in_batches(target))
        assert result.code == 3, result
        assert "does not know the batch" in result.err
        assert "of this run any more." in result.err
        assert "another key" not in result.err
        assert "1 batch continues" in result.err
        assert sandbox.stats["batches_created"] == 1
    sandbox.show()
    assert vlures(*run_in_batches(target)).code == 0
    assert_complete(vlures, sandbox)


@EACH_PROVIDER
def test_a_batch_that_is_gone_for_good_is_given_up_only_when_asked(
    vlures: Command, start_sandbox: Start, target: Target
) -> None:
    sandbox = start_with(start_sandbox, target, "not_found@content")
    vlures.use(sandbox)
    at_once = ("--result-patience-s", "0.001")
    lost = vlures(*run_in_batches(target), *at_once)
    assert lost.code == 3, lost
    assert "--forget-lost" in lost.err
    assert "another key" not in lost.err
    assert vlures.answers(OUTPUT) == {}
    sandbox.show(*target.in_batches("not_found@content:times=1"))
    result = vlures(*run_in_batches(target), *at_once, "--forget-lost")
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert sandbox.stats["batches_created"] == 2


# kill -9 and Ctrl-C

KILLED = [("hang@upload:times=1", "intended"), ("hang@create:times=1", "creating"), ("hang@content:times=1", "created")]
KILLED_AT_GEMINI = [
    ("hang@upload:after=1,times=1", "intended"),  # of the two calls that an upload takes, the second
    ("queued:seconds=2,times=1", "created"),
    ("hang@status:times=1", "created"),
]


@pytest.mark.parametrize(
    ("target", "fault", "state"),
    [
        *((target, fault, state) for target in PROVIDERS.values() for fault, state in KILLED),
        *((PROVIDERS["gemini"], fault, state) for fault, state in KILLED_AT_GEMINI),
    ],
)
def test_a_run_that_is_killed_goes_on_with_nothing_lost_and_nothing_paid_twice(
    vlures: Command, start_sandbox: Start, target: Target, fault: str, state: str
) -> None:
    sandbox = start_with(start_sandbox, target, fault)
    vlures.use(sandbox)
    process = vlures.start(*run_in_batches(target), *LOTS)
    wait_until(process, lambda: bool(sandbox.struck[0]))
    vlures.wait_for_journal(OUTPUT, f'"{state}"', process)
    process.kill()
    process.communicate()
    sandbox.show()
    result = vlures(*run_in_batches(target), *LOTS)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == BATCHES
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize(("provider", "calls_of_an_upload"), [("openai", 1), ("gemini", 2)])
def test_ctrl_c_ends_a_run_that_uploads_and_leaves_batches_alive(
    vlures: Command, start_sandbox: Start, provider: str, calls_of_an_upload: int
) -> None:
    target = PROVIDERS[provider]
    sandbox = start_with(start_sandbox, target, f"hang@upload:after={2 * calls_of_an_upload}", batch_s=3)
    vlures.use(sandbox)
    process = vlures.start(*run_in_batches(target), *LOTS)
    vlures.wait_for_journal(OUTPUT, '"created"', process, times=2)
    wait_until(process, lambda: sandbox.struck >= [2])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert re.search(r"(1 batch continues|2 batches continue) at the provider", err)
    assert "Traceback" not in err
    assert "cancelled" not in sandbox.stats["batches_by_status"]
    sandbox.show()
    result = vlures(*run_in_batches(target), *LOTS)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == BATCHES
    assert_complete(vlures, sandbox)


# At OpenAI only

OPENAI = PROVIDERS["openai"]
RUN = run_in_batches(OPENAI)
ONE_TASK = OPENAI.run("batch", "--tasks", "1", "--name", OUTPUT, "--no-canary", "--poll-s", "0.2")


def test_a_refused_parameter_is_fixed_by_leaving_it_out(vlures: Command, start_sandbox: Start) -> None:
    make_dataset(vlures.folder / "data", samples=30)
    run = (*ONE_TASK, "--languages", "En,Ur")
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    refused = vlures(*run, "--temperature", "0.1", "--base-url", f"{sandbox.url}/openai/v1")
    assert refused.code == 1, refused
    assert "temperature" in refused.err
    assert vlures.answers(OUTPUT) == {}
    result = vlures(*run)
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == 60
    assert set(sandbox.paid.values()) == {1}


@pytest.mark.parametrize("fault", ["token_limit:times=1", "cannot_find_file:times=1"])
def test_a_batch_that_was_never_begun_goes_again_in_the_next_process_too(
    vlures: Command, start_sandbox: Start, fault: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", fault, "--fault", "latency@status:seconds=3,times=1")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    wait_until(process, lambda: bool(sandbox.stats["requests"].get("batches.create")))
    vlures.wait_for_journal(OUTPUT, '"created"', process)
    process.kill()
    process.communicate()
    result = vlures(*RUN)
    assert result.code == 0, result
    assert_complete(vlures, sandbox)


def test_an_answer_to_a_question_that_changed_in_flight_is_kept_and_not_paid_again_unasked(
    vlures: Command, start_sandbox: Start
) -> None:
    sandbox = start_sandbox("--batch-seconds", "3")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    vlures.wait_for_journal(OUTPUT, '"created"', process)
    process.kill()
    process.communicate()
    changed = (*RUN, "--seed", "7")
    first = vlures(*changed)
    assert first.code == 3, first
    assert "a question that has changed since" in first.err
    assert len(sandbox.ledger) == REQUESTS
    assert vlures(*changed).code == 1
    assert vlures(*changed, "--stale", "keep").code == 0
    assert len(sandbox.ledger) == REQUESTS
    assert vlures(*changed, "--stale", "redo").code == 0
    assert len(sandbox.ledger) == 2 * REQUESTS


def test_another_backend_does_not_touch_a_folder_with_batches_in_flight(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_sandbox("--batch-seconds", "3")
    vlures.use(sandbox)
    process = vlures.start(*RUN, "--name", "shared")
    vlures.wait_for_journal("shared", '"created"', process)
    process.kill()
    process.communicate()
    result = vlures("run", "--backend", "gemini", "--dataset", "data", "--name", "shared", "--stale", "keep")
    assert result.code == 1, result
    assert "batch of OpenAI in flight" in result.err
    assert vlures(*RUN, "--name", "shared").code == 0
    assert len(sandbox.ledger) == REQUESTS


@pytest.mark.parametrize("place", ["upload", "create"])
def test_a_wrong_address_is_one_sentence(vlures: Command, start_sandbox: Start, place: str) -> None:
    sandbox = start_sandbox("--fault", f"not_found@{place}")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 1, result
    assert "check the base URL" in result.err


def test_a_redo_goes_on_where_it_was_interrupted(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "refusal")
    vlures.use(sandbox)
    # Nothing but refusals is no success: each run exits 3.
    assert vlures(*RUN).code == 3
    assert vlures(*RUN, "--redo", "refused", "--samples", "1").code == 3
    assert len(sandbox.ledger) == REQUESTS + 4

    planned = vlures("plan", *RUN[1:], "--redo", "refused")
    assert f"{REQUESTS} due of {REQUESTS}" in planned.out
    process = vlures.start(*RUN, "--redo", "refused", *LOTS)
    vlures.wait_for_journal(OUTPUT, '"created"', process, times=4)
    process.kill()
    process.communicate()
    assert vlures(*RUN, "--redo", "refused", *LOTS).code == 3
    assert len(sandbox.ledger) == 2 * REQUESTS + 4


def test_a_redo_that_is_killed_between_its_last_answer_and_its_end_asks_nothing_again(
    vlures: Command, start_sandbox: Start
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "refusal@line:times=4")
    vlures.use(sandbox)
    assert vlures(*RUN).code == 0
    summary = vlures.folder / "outputs" / OUTPUT / "results_1shot_rationales" / "summary.json"
    barrier = summary.with_name(".summary.json.new")
    os.mkfifo(barrier)  # the results are about to be written, and that takes forever
    process = vlures.start(*RUN, "--redo", "refused")
    wait_until(process, lambda: len(vlures.checkpoint_lines(OUTPUT)) == REQUESTS + 8)
    vlures.wait_for_journal(OUTPUT, '"collected"', process, times=2)
    process.kill()
    process.communicate()
    barrier.unlink()
    paid = len(sandbox.ledger)
    assert vlures(*RUN, "--redo", "refused").code == 0
    assert len(sandbox.ledger) == paid
    assert not (vlures.folder / "outputs" / OUTPUT / "checkpoints_1shot_rationales" / "redo.json").exists()


def test_a_redo_does_not_ask_again_what_it_was_the_first_to_ask(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("refusal", "line_error:times=1,status=400")
    vlures.use(shared_sandbox)
    assert vlures(*ONE_TASK, "--languages", "En", "--samples", "2,3").code == 3
    both = (*ONE_TASK[1:], "--languages", "En,Sw", "--samples", "2,3", "--redo", "refused")
    shared_sandbox.show("refusal", "line_error:times=1,status=400")
    assert vlures("run", *both, "--batch-size", "10").code == 3
    planned = vlures("plan", *both)
    assert "1 due of 4 requests" in planned.out, planned


def test_ctrl_c_ends_a_run_that_collects(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    make_dataset(vlures.folder / "data", samples=400)
    run = (*ONE_TASK, "--languages", "En,Jp,Sw,Ur", "--batch-size", "5000", "--name", "large")
    process = vlures.start(*run)
    store = vlures.folder / "outputs/large/checkpoints_1shot_rationales/checkpoint_task1_En.jsonl"
    wait_until(process, lambda: store.is_file())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert vlures(*run).code == 0
    assert len(shared_sandbox.ledger) == 1600


def test_a_request_that_two_batches_hold_is_not_sent_a_third_time(vlures: Command, start_sandbox: Start) -> None:
    """As after a kill right after what expired was sent again, before the expired batch was marked as collected."""
    sandbox = start_sandbox("--batch-seconds", "3", "--fault", "expire:keep=0,times=1")
    vlures.use(sandbox)
    journals = []
    for name in ("first", "second"):
        process = vlures.start(*RUN, "--name", name)
        vlures.wait_for_journal(name, '"created"', process)
        process.kill()
        process.communicate()
        journals.append(vlures.folder / "outputs" / name / "checkpoints_1shot_rationales/jobs.jsonl")
    with journals[0].open("ab") as first:
        first.write(journals[1].read_bytes())
    result = vlures(*RUN, "--name", "first")
    assert result.code == 0, result
    assert len(vlures.answers("first")) == REQUESTS
    assert sandbox.stats["batches_created"] == 2
    assert set(sandbox.paid.values()) == {1}

"""`vlures run --backend gemini --mode batch` against every fault that a batch can show, and against kill -9."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import urllib.request
from collections.abc import Callable

import pytest
from PIL import Image

from tests.conftest import Command, Sandbox, make_dataset, wait_until

pytestmark = pytest.mark.warm

BACKEND = (
    "run",
    "--no-canary",
    "--backend",
    "gemini",
    "--mode",
    "batch",
    "--model",
    "gemini-3.8-flash",
    "--dataset",
    "data",
)
RUN = (*BACKEND, "--languages", "En,Ur", "--tasks", "1,7")
RUN_IN_LOTS = (*RUN, "--batch-size", "6", "--doubt-patience-s", "2", "--poll-s", "0.2")
OUTPUT = "gemini-3.8-flash"
REQUESTS = 2 * (6 + 5)
LOTS = 4
GONE = "status=403,message=You do not have permission to access the File abc or it may not exist."


def assert_complete(vlures: Command, sandbox: Sandbox, requests: int = REQUESTS) -> None:
    """Every request has one answer of the model, and none was paid twice."""
    answers = vlures.answers(OUTPUT)
    assert len(answers) == requests
    assert all("sandbox" in text.lower() for text in answers.values())
    paid = sandbox.paid
    assert len(paid) == requests
    assert set(paid.values()) == {1}


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_a_run_answers_everything_and_a_second_one_sends_nothing(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    first = vlures(*RUN_IN_LOTS)
    assert first.code == 0, first
    assert f"{REQUESTS} ok" in first.out.splitlines()[-1]
    assert_complete(vlures, sandbox)
    assert sandbox.stats["batches_created"] == LOTS
    assert {entry["mode"] for entry in sandbox.ledger} == {"batch"}

    again = vlures(*RUN_IN_LOTS)
    assert again.code == 0, again
    assert sandbox.stats["batches_created"] == LOTS


@pytest.mark.parametrize(
    "faults",
    [
        ("line_error:times=2,status=500", "line_error_b:times=2", "line_status0:times=2"),
        ("empty@line:times=2",),
        ("missing:times=2",),
        ("shuffle", "doubled:every=3", "unknown_id:times=1", "null_id:times=1", "garbage_line:times=1"),
        ("partial:keep=0.5,times=2",),
        ("paused:seconds=1,times=2", "queued:seconds=1,times=2"),
        ("expire:times=2",),
        ("token_limit:times=2",),
        ("cannot_find_file:times=1",),
        (f"error@gemini_create:times=2,{GONE}",),
        ("429@gemini_create:times=2,retry_after=1", "429@gemini_upload:times=1"),
        ("429@gemini_create:times=2",),
        ("503@gemini_upload:times=1,after=1", "503@gemini_status:times=2", "500@gemini_content:times=1"),
        ("html@gemini_upload:times=1", "html@gemini_create:times=1", "html@gemini_status:times=1"),
        ("bad_json@gemini_upload:times=1", "bad_json@gemini_create:times=1", "bad_json@gemini_status:times=1"),
        ("truncate@gemini_upload:times=1,after=1", "truncate@gemini_create:times=1", "truncate@gemini_content:times=1"),
        ("truncate@gemini_status:times=1", "500@gemini_create:times=1"),
        ("drop_before@gemini_upload:times=1", "drop_before@gemini_create:times=1", "drop_before@gemini_status:times=2"),
        ("drop_before@gemini_upload:times=1,after=1", "drop_before@gemini_content:times=1"),
        ("drop_after@gemini_upload:times=1", "drop_after@gemini_create:times=1"),
        ("drop_after@gemini_upload:times=1,after=1",),
    ],
    ids=lambda faults: faults[0],
)
def test_a_run_survives(vlures: Command, start_sandbox: Callable[..., Sandbox], faults: tuple[str, ...]) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", *(word for fault in faults for word in ("--fault", fault)))
    vlures.use(sandbox)
    result = vlures(*RUN_IN_LOTS)
    assert result.code == 0, result
    answers = vlures.answers(OUTPUT)
    assert len(answers) == REQUESTS, result
    stored = [line["key"] for line in vlures.checkpoint_lines(OUTPUT) if line["status"] == "ok"]
    assert len(stored) == len(set(stored)) == REQUESTS
    assert all(fault["struck"] for fault in sandbox.stats["faults"])
    if not faults[0].startswith(("missing", "empty")):  # what was charged and is no answer has to be asked again
        assert set(sandbox.paid.values()) == {1}, result


@pytest.mark.parametrize("fault", ["drop_after", "truncate", "bad_json"])
def test_the_lost_reply_to_a_creation_leaves_exactly_one_batch(
    vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", f"{fault}@gemini_create:times=1")
    vlures.use(sandbox)
    result = vlures(*RUN, "--doubt-patience-s", "2")
    assert result.code == 0, result
    assert "looking for it by its tag" in result.err
    assert sandbox.stats["batches_created"] == 1
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize(
    "fault", ["503@gemini_list", "bad_json@gemini_list", "error@gemini_list:status=401,message=No."]
)
def test_a_creation_that_stays_in_doubt_is_looked_up_by_the_next_run(
    vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "drop_after@gemini_create:times=1", "--fault", fault)
    vlures.use(sandbox)
    first = vlures(*RUN, "--doubt-patience-s", "2", "--retry-budget-s", "2")
    assert first.code in (1, 3), first
    assert "1 batch(es) may have been created" in first.err
    sandbox.show()
    result = vlures(*RUN, "--doubt-patience-s", "2")
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 1
    assert_complete(vlures, sandbox)


def test_a_batch_in_doubt_is_found_behind_a_page_of_others(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    faults = ("--fault", "drop_after@gemini_create:times=1", "--fault", "503@gemini_list")
    sandbox = start_sandbox("--batch-seconds", "0", *faults)
    vlures.use(sandbox)
    doubtful = vlures(*RUN, "--doubt-patience-s", "2", "--retry-budget-s", "1")
    assert "1 batch(es) may have been created" in doubtful.err
    sandbox.show()
    make_dataset(vlures.folder / "many", samples=26)
    others = vlures(*BACKEND[:-1], "many", "--tasks", "1", "--name", "many", "--batch-size", "1", "--poll-s", "0.2")
    assert others.code == 0, others
    assert sandbox.stats["batches_created"] == 1 + 4 * 26
    result = vlures(*RUN)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 1 + 4 * 26
    assert len(vlures.answers(OUTPUT)) == REQUESTS


def test_a_batch_that_expired_without_results_is_asked_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "expire:times=1")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert f"(expired) has lines that are {REQUESTS} missing" in result.err
    assert sandbox.stats["batches_created"] == 2
    assert_complete(vlures, sandbox)


def test_a_batch_that_partly_succeeded_keeps_its_answers_and_only_the_rest_is_sent_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "partial:keep=0.5,times=1")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 2
    assert_complete(vlures, sandbox)


def test_the_answers_of_a_batch_that_was_cancelled_elsewhere_are_kept(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "cancelled:keep=0.5,times=1")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 3, result
    assert 0 < len(vlures.answers(OUTPUT)) < REQUESTS
    assert sandbox.stats["batches_created"] == 1
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def test_a_batch_that_is_cancelled_before_it_began_is_not_sent_again_unasked(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "queued:seconds=60,times=1")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    vlures.wait_for_journal(OUTPUT, '"created"', process)
    (job,) = (line for line in (vlures.folder / journal()).read_text().splitlines() if "batches/" in line)
    name = job.split('"batches/')[1].split('"')[0]
    cancel = urllib.request.Request(f"{sandbox.url}/gemini/v1/batches/{name}:cancel", data=b"{}", method="POST")
    cancel.add_header("x-goog-api-key", "test-key")
    urllib.request.urlopen(cancel, timeout=30).read()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert sandbox.ledger == []
    assert sandbox.stats["batches_created"] == 1
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def journal(output: str = OUTPUT) -> str:
    return f"outputs/{output}/checkpoints_1shot_rationales/jobs.jsonl"


def test_lines_that_fail_for_good_end_as_failed_and_are_due_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "line_error:every=5,status=400,message=No.")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 3, result
    assert "4 failed" in result.out.splitlines()[-1]
    assert "INVALID_ARGUMENT" in result.err
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


def test_cut_short_blocked_and_withheld_answers_have_their_own_status(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    faults = ("safety@line:every=7", "blocked_prompt@line:every=6", "max_tokens@line:every=5")
    options = [word for fault in faults for word in ("--fault", fault)]
    sandbox = start_sandbox("--batch-seconds", "0.2", *options, "--fault", "max_tokens_empty@line:every=11")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    last = result.out.splitlines()[-1]
    assert "refused" in last
    assert "truncated" in last
    created = sandbox.stats["batches_created"]
    assert vlures(*RUN).code == 0
    assert sandbox.stats["batches_created"] == created
    sandbox.show()
    assert vlures(*RUN, "--redo", "truncated,refused").code == 0
    assert len(vlures.answers(OUTPUT)) == REQUESTS


def test_a_full_queue_parks_batches_until_others_have_ended(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "1", "--queue-tokens", "18000")
    vlures.use(sandbox)
    result = vlures(*RUN_IN_LOTS)
    assert result.code == 0, result
    assert "not begun and costs nothing" in result.err
    assert sandbox.stats["batches_created"] == LOTS
    assert sandbox.stats["requests"]["gemini.batches.create"] > LOTS
    assert_complete(vlures, sandbox)


def test_the_days_quota_ends_the_run_until_it_is_renewed(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "429@gemini_create:per_day=1,retry_after=20")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 3, result
    assert "midnight Pacific time" in result.err
    assert sandbox.stats["batches_created"] == 0
    sandbox.show()
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def test_a_file_that_is_gone_when_its_batch_is_created_is_uploaded_anew(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    """As a file is after 48 hours, when its batch was parked for so long."""
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", f"error@gemini_create:times=1,{GONE}")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert "could not begin and costs nothing: 403 You do not have permission to access the File" in result.err
    assert sandbox.stats["requests"]["gemini.upload"] == 4, "two files, of a start and one part"
    assert_complete(vlures, sandbox)


def test_files_that_are_always_gone_are_given_up_after_max_attempts(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", f"error@gemini_create:{GONE}")
    vlures.use(sandbox)
    result = vlures(*RUN, "--max-attempts", "2")
    assert result.code == 3, result
    assert f"{REQUESTS} failed" in result.out.splitlines()[-1]
    assert sandbox.stats["requests"]["gemini.upload"] == 4
    sandbox.show()
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        pytest.param("latency:seconds=0", 5, id="none"),
        pytest.param("503@gemini_upload:after=3,times=1", 6, id="a part is refused for a moment"),
        pytest.param("drop_before@gemini_upload:after=3,times=1", 4 + 5, id="a part is lost"),
        pytest.param("drop_after@gemini_upload:after=2,times=1", 3 + 5, id="the reply to a part is lost"),
        pytest.param("bad_json@gemini_upload:after=2,times=1", 3 + 2 + 5, id="a part is sent twice"),
    ],
)
def test_a_large_file_goes_up_in_parts(
    vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str, requests: int
) -> None:
    for number in range(1, 4):
        noise = random.Random(number).randbytes(1200 * 1100 * 3)
        Image.frombytes("RGB", (1200, 1100), noise).save(vlures.folder / f"data/image{number}.png")
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", fault)
    vlures.use(sandbox)
    result = vlures(*BACKEND, "--languages", "En,Ur", "--tasks", "1", "--limit", "3")
    assert result.code == 0, result
    assert sandbox.stats["requests"]["gemini.upload"] == requests, "a start and four parts of 8 MB"
    assert_complete(vlures, sandbox, requests=6)


def test_a_batch_that_failed_says_why_and_is_due_again(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "fail_batch:code=INVALID_ARGUMENT,message=Bad lines.")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 1, result
    assert "could not begin and costs nothing: INVALID_ARGUMENT: Bad lines." in result.err
    assert sandbox.stats["batches_created"] == 1
    sandbox.show()
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def test_a_batch_that_another_key_cannot_see_is_left_alone(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "not_found@gemini_status")
    vlures.use(sandbox)
    for _ in range(2):
        result = vlures(*RUN)
        assert result.code == 3, result
        assert "does not know the batch" in result.err
        assert "of this run any more." in result.err
        assert "another key" not in result.err
        assert "1 batch(es) continue" in result.err
        assert sandbox.stats["batches_created"] == 1
    sandbox.show()
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def test_a_batch_that_is_gone_for_good_is_given_up_only_when_asked(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "not_found@gemini_content")
    vlures.use(sandbox)
    at_once = ("--result-patience-s", "0.001")
    lost = vlures(*RUN, *at_once)
    assert lost.code == 3, lost
    assert "--forget-lost" in lost.err
    assert "another key" not in lost.err
    assert vlures.answers(OUTPUT) == {}
    sandbox.show("not_found@gemini_content:times=1")
    result = vlures(*RUN, *at_once, "--forget-lost")
    assert result.code == 0, result
    assert len(vlures.answers(OUTPUT)) == REQUESTS
    assert sandbox.stats["batches_created"] == 2


# What cannot work


def assert_refused(vlures: Command, sandbox: Sandbox, words: str, *options: str) -> None:
    result = vlures(*RUN, *options)
    assert result.code == 1, result
    (last,) = (line for line in result.err.splitlines() if line.startswith("vlures: "))
    assert words in last
    assert sandbox.ledger == []
    assert vlures.answers(OUTPUT) == {}


def test_a_wrong_key(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--api-key", "right")
    vlures.use(sandbox, key="wrong")
    assert_refused(vlures, sandbox, "GOOGLE_API_KEY or GEMINI_API_KEY")


def test_a_key_that_may_upload_but_not_create(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--fault", "error@gemini_create:status=403,message=Your project has been denied access.")
    vlures.use(sandbox)
    assert_refused(vlures, sandbox, "GOOGLE_API_KEY or GEMINI_API_KEY")
    sandbox.show()
    assert vlures(*RUN).code == 0


def test_an_unknown_model(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--model", "another-model")
    vlures.use(sandbox)
    assert_refused(vlures, sandbox, "Choose another with --model")


def test_a_wrong_address(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    assert_refused(vlures, sandbox, "check the base URL", "--base-url", f"{sandbox.url}/gemini/nowhere")


def test_no_network(vlures: Command) -> None:
    vlures.environment = {"GOOGLE_API_KEY": "key", "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9"}
    result = vlures(*RUN, "--first-contact-s", "1")
    assert result.code == 1, result
    assert "Gemini cannot be reached" in result.err


# kill -9 and Ctrl-C


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("hang@gemini_upload:times=1", "intended"),
        ("hang@gemini_upload:after=1,times=1", "intended"),
        ("hang@gemini_create:times=1", "creating"),
        ("queued:seconds=2,times=1", "created"),
        ("hang@gemini_status:times=1", "created"),
        ("hang@gemini_content:times=1", "created"),
    ],
)
def test_a_run_that_is_killed_goes_on_with_nothing_lost_and_nothing_paid_twice(
    vlures: Command, start_sandbox: Callable[..., Sandbox], fault: str, state: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", fault)
    vlures.use(sandbox)
    process = vlures.start(*RUN_IN_LOTS)
    wait_until(process, lambda: bool(sandbox.stats["faults"][0]["struck"]))
    vlures.wait_for_journal(OUTPUT, f'"{state}"', process)
    kill(process)
    sandbox.show()
    result = vlures(*RUN_IN_LOTS)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == LOTS
    assert_complete(vlures, sandbox)


def test_a_run_that_is_killed_while_a_creation_is_under_way_finds_the_batch(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox(
        "--batch-seconds", "0.2", "--fault", "drop_after@gemini_create", "--fault", "hang@gemini_list:times=1"
    )
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    wait_until(process, lambda: bool(sandbox.stats["batches_created"]))
    kill(process)
    sandbox.show()
    result = vlures(*RUN, "--doubt-patience-s", "2")
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 1
    assert_complete(vlures, sandbox)


def test_kills_at_any_moment_lose_nothing_and_pay_nothing_twice(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    moments = random.Random(seed)
    make_dataset(vlures.folder / "data", samples=20)
    requests = 2 * (20 + 20)
    sandbox = start_sandbox("--batch-seconds", "1")
    vlures.use(sandbox)
    for _ in range(8):
        process = vlures.start(*RUN_IN_LOTS)
        try:
            process.communicate(timeout=moments.uniform(0.8, 3.0))
        except subprocess.TimeoutExpired:
            kill(process)
    result = vlures(*RUN_IN_LOTS)
    assert result.code == 0, result
    assert_complete(vlures, sandbox, requests)


def test_ctrl_c_ends_a_run_that_uploads_and_leaves_batches_alive(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "3", "--fault", "hang@gemini_upload:after=4")
    vlures.use(sandbox)
    process = vlures.start(*RUN_IN_LOTS)
    vlures.wait_for_journal(OUTPUT, '"created"', process, times=2)
    wait_until(process, lambda: sandbox.stats["requests"]["gemini.upload"] >= 6)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert re.search(r"[12] batch\(es\) continue at the provider", err)
    assert "Traceback" not in err
    sandbox.show()
    result = vlures(*RUN_IN_LOTS)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == LOTS
    assert_complete(vlures, sandbox)


def test_a_restarted_sandbox_still_has_the_batches_of_a_rehearsal(vlures: Command) -> None:
    arguments = (*RUN, "--sandbox")
    process = vlures.start(*arguments)
    vlures.wait_for_journal(f"sandbox-{OUTPUT}", '"created"', process)
    kill(process)
    result = vlures(*arguments)
    assert result.code == 0, result
    assert len(vlures.answers(f"sandbox-{OUTPUT}")) == REQUESTS
    ledger = vlures.folder / f"outputs/sandbox-{OUTPUT}/sandbox/ledger.jsonl"
    assert len(ledger.read_bytes().splitlines()) == REQUESTS

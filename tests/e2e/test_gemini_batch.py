"""What is Gemini's own in `vlures run --backend gemini --mode batch`. What the batches of every provider share is in
test_batch.py."""

from __future__ import annotations

import random
import urllib.request

import pytest
from PIL import Image

from tests.conftest import Command, make_dataset, wait_until
from tests.e2e.targets import OUTPUT, REQUESTS, TARGETS, Start, assert_complete, run_in_batches, start_with
from tests.e2e.test_batch import FILE_GONE

pytestmark = pytest.mark.warm

GEMINI = TARGETS["gemini"]
RUN = run_in_batches(GEMINI)


def test_a_batch_in_doubt_is_found_behind_a_page_of_others(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_with(start_sandbox, GEMINI, "drop_after@create:times=1", "503@list", batch_s=0)
    vlures.use(sandbox)
    doubtful = vlures(*RUN, "--retry-budget-s", "1")
    assert "1 batch may have been created" in doubtful.err
    sandbox.show()
    make_dataset(vlures.folder / "many", samples=26)
    many = GEMINI.run("batch", "--tasks", "1", "--name", "many", "--no-canary", dataset="many")
    others = vlures(*many, "--batch-size", "1", "--poll-s", "0.2")
    assert others.code == 0, others
    assert sandbox.stats["batches_created"] == 1 + 4 * 26
    result = vlures(*RUN)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 1 + 4 * 26
    assert len(vlures.answers(OUTPUT)) == REQUESTS


def test_a_batch_that_is_cancelled_before_it_began_is_not_sent_again_unasked(
    vlures: Command, start_sandbox: Start
) -> None:
    sandbox = start_with(start_sandbox, GEMINI, "queued:seconds=60,times=1")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    vlures.wait_for_journal(OUTPUT, '"created"', process)
    journal = vlures.folder / f"outputs/{OUTPUT}/checkpoints_1shot_rationales/jobs.jsonl"
    (job,) = (line for line in journal.read_text().splitlines() if "batches/" in line)
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


def test_the_days_quota_ends_the_run_until_it_is_renewed(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_with(start_sandbox, GEMINI, "429@create:per_day=1,retry_after=20")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 3, result
    assert "midnight Pacific time" in result.err
    assert sandbox.stats["batches_created"] == 0
    sandbox.show()
    assert vlures(*RUN).code == 0
    assert_complete(vlures, sandbox)


def test_a_file_that_is_gone_when_its_batch_is_created_is_uploaded_anew(vlures: Command, start_sandbox: Start) -> None:
    """As a file is after 48 hours, when its batch was parked for so long."""
    sandbox = start_with(start_sandbox, GEMINI, f"error@create:times=1,{FILE_GONE}")
    vlures.use(sandbox)
    result = vlures(*RUN)
    assert result.code == 0, result
    assert "could not begin and costs nothing: 403 You do not have permission to access the File" in result.err
    assert sandbox.stats["requests"]["gemini.upload"] == 4, "two files, of a start and one part"
    assert_complete(vlures, sandbox)


def test_files_that_are_always_gone_are_given_up_after_max_attempts(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_with(start_sandbox, GEMINI, f"error@create:{FILE_GONE}")
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
        pytest.param("503@upload:after=3,times=1", 6, id="a part is refused for a moment"),
        pytest.param("drop_before@upload:after=3,times=1", 4 + 5, id="a part is lost"),
        pytest.param("drop_after@upload:after=2,times=1", 3 + 5, id="the reply to a part is lost"),
        pytest.param("bad_json@upload:after=2,times=1", 3 + 2 + 5, id="a part is sent twice"),
    ],
)
def test_a_large_file_goes_up_in_parts(vlures: Command, start_sandbox: Start, fault: str, requests: int) -> None:
    for number in range(1, 4):
        noise = random.Random(number).randbytes(1200 * 1100 * 3)
        Image.frombytes("RGB", (1200, 1100), noise).save(vlures.folder / f"data/image{number}.png")
    sandbox = start_with(start_sandbox, GEMINI, fault)
    vlures.use(sandbox)
    few = ("--languages", "En,Ur", "--tasks", "1", "--limit", "3", "--name", OUTPUT, "--no-canary")
    result = vlures(*GEMINI.run("batch", *few))
    assert result.code == 0, result
    assert sandbox.stats["requests"]["gemini.upload"] == requests, "a start and four parts of 8 MB"
    assert_complete(vlures, sandbox, requests=6)


def test_a_key_that_may_upload_but_not_create(vlures: Command, start_sandbox: Start) -> None:
    fault = "error@create:status=403,message=Your project has been denied access."
    sandbox = start_with(start_sandbox, GEMINI, fault)
    vlures.use(sandbox)
    vlures(*RUN).assert_stopped(1, "GOOGLE_API_KEY or GEMINI_API_KEY")
    assert sandbox.ledger == []
    assert vlures.answers(OUTPUT) == {}
    sandbox.show()
    assert vlures(*RUN).code == 0


def test_a_run_that_is_killed_while_a_creation_is_under_way_finds_the_batch(
    vlures: Command, start_sandbox: Start
) -> None:
    sandbox = start_with(start_sandbox, GEMINI, "drop_after@create", "hang@list:times=1")
    vlures.use(sandbox)
    process = vlures.start(*RUN)
    wait_until(process, lambda: bool(sandbox.stats["batches_created"]))
    process.kill()
    process.communicate()
    sandbox.show()
    result = vlures(*RUN)
    assert result.code == 0, result
    assert sandbox.stats["batches_created"] == 1
    assert_complete(vlures, sandbox)

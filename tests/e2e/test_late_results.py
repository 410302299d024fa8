"""Results that are counted and not there, batches of one creation, batches of another account: nothing is asked, or
paid, twice."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Command, Sandbox, wait_until
from tests.e2e.account import charged_usd
from tests.e2e.targets import OUTPUT, PROVIDERS, REQUESTS, Start, run_in_batches, start_with

pytestmark = pytest.mark.warm

FOLDER = f"outputs/{OUTPUT}"
AT_ONCE = ("--result-patience-s", "0.001")
"""Look once."""


def run_of(provider: str) -> tuple[str, ...]:
    return (*run_in_batches(PROVIDERS[provider]), "--doubt-patience-s", "1")


def stored(vlures: Command) -> list[str]:
    return [line["key"] for line in vlures.checkpoint_lines(OUTPUT) if line["status"] == "ok"]


def assert_complete(vlures: Command, sandbox: Sandbox, batches: int = 1) -> None:
    assert len(stored(vlures)) == len(set(stored(vlures))) == REQUESTS
    assert set(sandbox.paid.values()) == {1}
    assert sandbox.stats["batches_created"] == batches


LATE = (
    "results_late:looks=2",
    "portal@content:times=2",
    "empty_body@content:times=2",
    "half_lines@content:times=2",
    "names_only@content:times=2",
    "byte_order_mark@content",
    "bad_json@content:times=1",
    "not_found@content:times=2",
    "error@content:status=409,times=2",
)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", LATE)
def test_results_that_come_late_are_waited_for(
    vlures: Command, start_sandbox: Start, provider: str, fault: str
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], fault)
    vlures.use(sandbox)
    result = vlures(*run_of(provider))
    assert result.code == 0, result
    assert_complete(vlures, sandbox)


HIDING = {
    "of the answers half are counted": ("counts_late:looks=3",),
    "each request has a failed line first": ("failed_first",),
    "and nothing is counted": ("failed_first", "uncounted"),
}
"""With half of a download, the batch looks as if it had answered no more."""


@pytest.mark.parametrize("wait", [(), ("--no-wait",), ("--result-patience-s", "0.1")])
@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("hiding", HIDING)
def test_half_of_the_lines_is_not_taken_for_all(
    vlures: Command, start_sandbox: Start, hiding: str, provider: str, wait: tuple[str, ...]
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], *HIDING[hiding], "half_lines@content:times=2")
    vlures.use(sandbox)
    vlures(*run_of(provider), *wait)
    wait_until(sandbox.process, lambda: sandbox.stats["batches_by_status"].get("completed", 0) >= 1)
    result = vlures(*run_of(provider), *wait)
    assert result.code == 0, result
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize(
    "fault",
    [
        "counts_late",
        "results_late",
        "half_lines@content:times=2",
        "names_only@content:times=2",
        "portal@content:times=2",
    ],
)
@pytest.mark.parametrize("count", ["uncounted", "latency@status:seconds=0"])
def test_results_of_an_expired_batch_too(vlures: Command, start_sandbox: Start, fault: str, count: str) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS["openai"], "expire:keep=0.5,times=1", fault, count)
    vlures.use(sandbox)
    result = vlures(*run_of("openai"))
    assert result.code == 0, result
    assert_complete(vlures, sandbox, batches=2)


@pytest.mark.parametrize(
    ("provider", "end"), [("openai", "cancelled:times=1"), ("gemini", "partial:times=1"), ("gemini", "uncounted")]
)
def test_results_of_a_batch_that_was_cut_short_too(
    vlures: Command, start_sandbox: Start, provider: str, end: str
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], end, "results_late", "half_lines@content:times=1")
    vlures.use(sandbox)
    vlures(*run_of(provider))
    assert set(sandbox.paid.values()) == {1}
    result = vlures(*run_of(provider))
    assert result.code == 0, result
    assert len(stored(vlures)) == REQUESTS
    assert set(sandbox.paid.values()) == {1}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["portal@content", "half_lines@content", "names_only@content", "not_found@content"])
def test_results_that_do_not_come_leave_the_batch_open(
    vlures: Command, start_sandbox: Start, provider: str, fault: str
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], fault)
    vlures.use(sandbox)
    for options in (AT_ONCE, ("--no-wait",), AT_ONCE):
        result = vlures(*run_of(provider), *options)
        assert result.code == 3, result
        assert "stays open" in result.err or "--no-wait" in options
        assert "another key" not in result.err
        assert sandbox.stats["batches_created"] == 1
    part = len(stored(vlures))
    assert part == (REQUESTS // 2 if fault.startswith("half") else 0)
    cancelled = vlures("cancel", FOLDER, *AT_ONCE)
    assert cancelled.code == 3, cancelled
    assert "stays open" in cancelled.err
    sandbox.show()
    result = vlures(*run_of(provider), "--no-wait")
    assert result.code == 0, result
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_only_what_could_not_be_read_is_given_up(vlures: Command, start_sandbox: Start, provider: str) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "half_lines@content")
    vlures.use(sandbox)
    assert vlures(*run_of(provider), *AT_ONCE).code == 3
    sandbox.show(*PROVIDERS[provider].in_batches("half_lines@content:times=1"))
    result = vlures(*run_of(provider), *AT_ONCE, "--forget-lost")
    assert result.code == 0, result
    assert "is given up" in result.err
    assert sandbox.stats["batches_created"] == 2
    assert sorted(sandbox.paid.values()) == [1] * (REQUESTS // 2) + [2] * (REQUESTS // 2)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_kill_while_results_are_looked_for_loses_nothing(
    vlures: Command, start_sandbox: Start, provider: str
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "half_lines@content")
    vlures.use(sandbox)
    process = vlures.start(*run_of(provider))
    wait_until(process, lambda: sum(n for name, n in sandbox.stats["requests"].items() if "content" in name) >= 2)
    process.kill()
    process.communicate()
    sandbox.show()
    result = vlures(*run_of(provider))
    assert result.code == 0, result
    assert_complete(vlures, sandbox)


def test_answers_that_stand_in_a_batch_are_read(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS["gemini"], "inline", "results_late", "line_error:times=1,status=500")
    vlures.use(sandbox)
    result = vlures(*run_of("gemini"))
    assert result.code == 0, result
    assert_complete(vlures, sandbox, batches=2)
    assert "gemini.files.content" not in sandbox.stats["requests"]


def test_answers_in_a_batch_without_keys_are_nobodys(vlures: Command, start_sandbox: Start) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS["gemini"], "inline:nameless=1")
    vlures.use(sandbox)
    for _ in range(2):
        result = vlures(*run_of("gemini"), *AT_ONCE)
        assert result.code == 3, result
        assert "name no request, and their order is not reliable" in result.err
    assert vlures.checkpoint_lines(OUTPUT) == []
    assert sandbox.stats["batches_created"] == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_state_of_a_later_version_is_said_once_and_waited_for(
    vlures: Command, start_sandbox: Start, provider: str
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "new_state:seconds=4,name=reviewing")
    vlures.use(sandbox)
    result = vlures(*run_of(provider))
    assert result.code == 0, result
    assert result.err.count("is reviewing, a state that this version of vlures does not know") == 1
    assert_complete(vlures, sandbox)


# Creations in doubt


@pytest.mark.parametrize("provider", PROVIDERS)
def test_both_batches_of_one_creation_are_adopted_and_nothing_is_asked_from_then_on(
    vlures: Command, start_sandbox: Start, provider: str
) -> None:
    late = "list_late:seconds=2.5,times=1"
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "drop_after@create:times=1", late, batch_s=3)
    vlures.use(sandbox)
    result = vlures(*run_of(provider))
    assert result.code == 0, result
    assert "has made 2 batches of one creation whose reply was lost" in result.err
    assert len(stored(vlures)) == len(set(stored(vlures))) == REQUESTS
    assert set(sandbox.paid.values()) == {2}, "both were made before anybody could know of the first"
    assert vlures(*run_of(provider)).code == 0
    assert sandbox.stats["batches_created"] == 2


@pytest.mark.parametrize("is_killed", [False, True], ids=["", "killed while both are collected"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_both_batches_of_one_creation_count_as_spent(
    vlures: Command, start_sandbox: Start, provider: str, is_killed: bool
) -> None:
    late = "list_late:seconds=2.5,times=1"
    faults = ("drop_after@create:times=1", late, *(["names_only@content:after=1"] if is_killed else []))
    sandbox = start_with(start_sandbox, PROVIDERS[provider], *faults, batch_s=3)
    vlures.use(sandbox)
    run = (*run_of(provider), "--max-output-tokens", "400", "--max-cost", "1")
    if is_killed:
        process = vlures.start(*run)
        wait_until(process, lambda: len(stored(vlures)) == REQUESTS)
        process.kill()
        process.communicate()
        sandbox.show()
    result = vlures(*run)
    assert result.code == 0, result
    assert set(sandbox.paid.values()) == {2}
    summary = vlures.folder / FOLDER / "results_1shot_rationales/summary.json"
    charged, spent = charged_usd(sandbox.ledger), json.loads(summary.read_bytes())["cost_usd"]
    assert charged - 1e-6 <= spent <= 1.1 * charged
    assert "reserved" not in vlures(*run).err


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_second_batch_of_a_creation_is_found_by_a_later_process(
    vlures: Command, start_sandbox: Start, provider: str
) -> None:
    late = "list_late:seconds=2.5,times=1"
    fault = "line_error:times=22,status=500"  # what one of them leaves, the other may answer
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "drop_after@create:times=1", late, fault, batch_s=3)
    vlures.use(sandbox)
    process = vlures.start(*run_of(provider))
    vlures.wait_for_journal(OUTPUT, '"created"', process)
    process.kill()
    process.communicate()
    result = vlures(*run_of(provider))
    assert result.code == 0, result
    assert "has made 2 batches" in result.err
    assert len(stored(vlures)) == len(set(stored(vlures))) == REQUESTS
    assert set(sandbox.paid.values()) == {1}
    assert sandbox.stats["batches_created"] == 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_list_of_another_account_says_nothing_of_a_creation_in_doubt(
    vlures: Command, start_sandbox: Start, provider: str
) -> None:
    ours = start_with(start_sandbox, PROVIDERS[provider], "drop_after@create:times=1", "503@list")
    others = start_with(start_sandbox, PROVIDERS[provider])
    vlures.use(ours)
    assert vlures(*run_of(provider), "--retry-budget-s", "1").code == 3
    ours.show()
    vlures.use(others)
    for command in (run_of(provider), (*run_of(provider), "--no-wait"), ("cancel", FOLDER)):
        result = vlures(*command)
        assert result.code == 3, result
        assert f"Only {ours.url}" in result.err
        assert f"can tell, and this is {others.url}" in result.err
        assert "test-key" not in result.err
    assert others.stats["batches_created"] == 0
    vlures.use(ours)
    assert vlures(*run_of(provider)).code == 0
    assert_complete(vlures, ours)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_of_another_account_is_said_to_be_one(vlures: Command, start_sandbox: Start, provider: str) -> None:
    ours, others = start_with(start_sandbox, PROVIDERS[provider]), start_with(start_sandbox, PROVIDERS[provider])
    vlures.use(ours)
    assert vlures(*run_of(provider), "--no-wait").code == 3
    vlures.use(others)
    result = vlures(*run_of(provider))
    assert result.code == 3, result
    assert f"it belongs to {ours.url}" in result.err
    assert "another key" not in result.err
    assert ours.url in vlures("status", FOLDER).out
    assert others.stats["batches_created"] == 0
    vlures.use(ours)
    assert vlures(*run_of(provider)).code == 0
    assert_complete(vlures, ours)

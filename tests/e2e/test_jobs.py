"""Batches in hand: sent and left, collected by another process, cancelled, watched; nothing is paid twice."""

from __future__ import annotations

import json
import re
import shutil
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command, Sandbox, make_dataset, wait_until
from tests.e2e.targets import OUTPUT, PROVIDERS, REQUESTS, assert_complete, run_in_batches, start_with
from tests.warm import WarmCommand

FOLDER = f"outputs/{OUTPUT}"
LOTS = 4

pytestmark = pytest.mark.warm


def run_of(provider: str) -> tuple[str, ...]:
    return (*run_in_batches(PROVIDERS[provider]), "--batch-size", "6")


def journal(vlures: Command) -> list[dict[str, Any]]:
    path = vlures.folder / FOLDER / "checkpoints_1shot_rationales/jobs.jsonl"
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def wait_for_ends(sandbox: Sandbox, ended: int) -> None:
    """Until so many batches are over."""

    def have_ended() -> bool:
        states = sandbox.stats["batches_by_status"]
        return sum(states.get(state, 0) for state in ("completed", "cancelled", "expired", "failed")) >= ended

    wait_until(sandbox.process, have_ended)


def remote_files(sandbox: Sandbox, provider: str) -> list[dict[str, Any]]:
    """The files that a provider's own list shows."""
    path = {"openai": "/openai/v1/files", "gemini": "/gemini/v1beta/files?pageSize=100"}[provider]
    request = urllib.request.Request(sandbox.url + path)
    request.add_header("Authorization", "Bearer test-key")
    request.add_header("x-goog-api-key", "test-key")
    with urllib.request.urlopen(request, timeout=30) as reply:
        listed = json.loads(reply.read())
    files: list[dict[str, Any]] = listed.get("data") or listed.get("files") or []
    return files


@pytest.mark.parametrize("provider", PROVIDERS)
def test_batches_are_sent_by_one_process_and_collected_by_another(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "5")
    vlures.use(sandbox)
    for _ in range(2):  # the second finds them under way, and leaves them
        sent = vlures(*run_of(provider), "--no-wait")
        assert sent.code == 3, sent
        assert f"{LOTS} batches continue at the provider; run the same command again to collect the answers" in sent.err
        assert sandbox.stats["batches_created"] == LOTS
        assert vlures.answers(OUTPUT) == {}
    wait_for_ends(sandbox, LOTS)
    collected = vlures(*run_of(provider), "--no-wait")
    assert collected.code == 0, collected
    assert sandbox.stats["batches_created"] == LOTS
    assert_complete(vlures, sandbox)


def test_a_copy_of_the_folder_collects_elsewhere(
    vlures: Command, start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    sandbox = start_sandbox("--batch-seconds", "1")
    vlures.use(sandbox)
    assert vlures(*run_of("openai"), "--no-wait").code == 3
    elsewhere = WarmCommand(tmp_path / "elsewhere", vlures.environment)
    shutil.copytree(vlures.folder, elsewhere.folder)
    shutil.rmtree(vlures.folder / "outputs")
    result = elsewhere(*run_of("openai"))
    assert result.code == 0, result
    assert_complete(elsewhere, sandbox)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_creation_in_doubt_is_settled_without_waiting(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "drop_after@create:times=1", batch_s=2)
    vlures.use(sandbox)
    sent = vlures(*run_of(provider), "--no-wait")
    assert sent.code == 3, sent
    assert f"{LOTS} batches continue" in sent.err
    assert vlures(*run_of(provider)).code == 0
    assert sandbox.stats["batches_created"] == LOTS
    assert_complete(vlures, sandbox)


def test_what_an_expired_batch_left_is_sent_without_waiting(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "expire:keep=0.5,times=1")
    vlures.use(sandbox)
    assert vlures(*run_of("openai"), "--no-wait").code == 3
    wait_for_ends(sandbox, LOTS)
    again = vlures(*run_of("openai"), "--no-wait")
    assert again.code == 3, again
    assert "1 batch continues" in again.err
    assert len(vlures.answers(OUTPUT)) == REQUESTS - 3
    wait_for_ends(sandbox, LOTS + 1)
    assert vlures(*run_of("openai"), "--no-wait").code == 0
    assert_complete(vlures, sandbox)


def test_without_waiting_the_one_request_that_goes_first_goes_alone(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "3")
    vlures.use(sandbox)
    run = (*run_of("openai"), "--endpoint", "responses", "--image-transport", "file")
    for _ in range(2):
        first = vlures(*run, "--no-wait")
        assert first.code == 3, first
        assert "Nothing more is sent until the batch of the request that goes first has ended" in first.err
        assert sandbox.stats["batches_created"] == 1
    wait_for_ends(sandbox, 1)
    second = vlures(*run, "--no-wait")
    assert second.code == 3, second
    assert sandbox.stats["batches_created"] == 1 + LOTS
    assert vlures(*run).code == 0
    assert_complete(vlures, sandbox)


def test_not_to_wait_is_for_batches(vlures: Command) -> None:
    result = vlures("run", "--backend", "gemini", "--dataset", "data", "--no-wait")
    assert result.code == 2, result
    assert "--no-wait is for batches" in result.err


@pytest.mark.parametrize("provider", PROVIDERS)
def test_cancel_keeps_what_was_answered_and_the_rest_is_due(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str
) -> None:
    make_dataset(vlures.folder / "data", samples=40)
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "latency@cancel:seconds=1", batch_s=8)
    vlures.use(sandbox)
    run = (*run_of(provider), "--batch-size", "40")
    assert vlures(*run, "--no-wait").code == 3
    wait_until(sandbox.process, lambda: sandbox.stats["batches_by_status"].get("in_progress", 0) >= 4)
    shutil.rmtree(vlures.folder / "data")  # no dataset is needed
    cancelled = vlures("cancel", FOLDER, "--poll-s", "0.2")
    assert cancelled.code == 0, cancelled
    answered = len(sandbox.ledger)
    assert f"4 of 4 batches ended, {answered} answers stored" in cancelled.out
    assert 0 < answered < 160
    assert len(vlures.answers(OUTPUT)) == answered
    assert sandbox.stats["batches_created"] == 4
    assert {line["status"] for line in vlures.checkpoint_lines(OUTPUT)} <= {"ok"}

    again = vlures("cancel", FOLDER)
    assert again.code == 0, again
    assert "has no batch under way" in again.out
    make_dataset(vlures.folder / "data", samples=40)
    assert vlures(*run).code == 0
    assert_complete(vlures, sandbox, requests=160)


def test_after_a_cancellation_the_next_run_asks_what_is_left(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "2")
    vlures.use(sandbox)
    assert vlures(*run_of("openai"), "--no-wait").code == 3
    cancelled = vlures("cancel", "--name", OUTPUT, "--poll-s", "0.2")
    assert cancelled.code == 0, cancelled
    assert vlures(*run_of("openai")).code == 0
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_that_has_ended_is_just_collected_by_cancel(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    assert vlures(*run_of(provider), "--no-wait").code == 3
    wait_for_ends(sandbox, LOTS)
    cancelled = vlures("cancel", FOLDER)
    assert cancelled.code == 0, cancelled
    assert not any("cancel" in name for name in sandbox.stats["requests"])
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_batch_in_doubt_is_found_and_cancelled(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str
) -> None:
    sandbox = start_with(start_sandbox, PROVIDERS[provider], "drop_after@create:times=1", "503@list", batch_s=30)
    vlures.use(sandbox)
    run = (*run_of(provider), "--batch-size", "50")
    doubtful = vlures(*run, "--no-wait", "--retry-budget-s", "1")
    assert "1 batch may have been created" in doubtful.err, doubtful
    assert "in doubt" in vlures("status", FOLDER).out
    sandbox.show()
    cancelled = vlures("cancel", FOLDER, "--poll-s", "0.2")
    assert cancelled.code == 0, cancelled
    assert "1 of 1 batch ended" in cancelled.out
    assert "in_progress" not in sandbox.stats["batches_by_status"]


def test_cancel_leaves_what_another_key_created(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox("--batch-seconds", "30")
    vlures.use(sandbox)
    assert vlures(*run_of("openai"), "--no-wait").code == 3
    sandbox.show("not_found@status")
    vlures.environment["OPENAI_PROJECT_ID"] = "proj-other"
    lost = vlures("cancel", FOLDER)
    assert lost.code == 3, lost
    assert re.search(r"it belongs to \S+ \(key \w{8}\), and this is \S+ \(project proj-other, key \w{8}\)", lost.err), (
        lost
    )
    status = vlures("status", FOLDER)
    assert "unknown to the provider" in status.out
    assert f"{LOTS} batches unknown to the provider when last looked for" in status.out.splitlines()[-1]
    sandbox.show()
    del vlures.environment["OPENAI_PROJECT_ID"]
    assert vlures("cancel", FOLDER, "--poll-s", "0.2").code == 0


def test_a_cancellation_that_is_killed_is_gone_through_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    make_dataset(vlures.folder / "data", samples=40)
    late = ("latency@cancel:seconds=1", "latency@content:seconds=0.5")  # by then some lines are answered
    sandbox = start_sandbox("--batch-seconds", "6", *(word for fault in late for word in ("--fault", fault)))
    vlures.use(sandbox)
    run = (*run_of("openai"), "--batch-size", "20")
    assert vlures(*run, "--no-wait").code == 3
    for reached in ("batches.cancel", "files.content"):
        process = vlures.start("cancel", FOLDER, "--poll-s", "0.2")
        wait_until(process, lambda reached=reached: reached in sandbox.stats["requests"])  # type: ignore[misc]
        process.kill()
        process.communicate()
    result = vlures("cancel", FOLDER, "--poll-s", "0.2")
    assert result.code == 0, result
    stored = [line["key"] for line in vlures.checkpoint_lines(OUTPUT)]
    assert len(stored) == len(set(stored)) == len(sandbox.ledger)
    assert vlures(*run).code == 0
    assert_complete(vlures, sandbox, requests=2 * (40 + 40))


@pytest.mark.parametrize(("provider", "hours"), [("openai", "23 h 59 min"), ("gemini", "47 h 59 min")])
def test_status_tells_of_every_batch(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str, hours: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "30")
    vlures.use(sandbox)
    assert vlures(*run_of(provider), "--no-wait").code == 3
    sandbox.process.kill()  # what status says it reads from the journal
    sandbox.process.wait()
    status = vlures("status", FOLDER)
    assert status.code == 0, status
    ids = [event["batch_id"] for event in journal(vlures) if event.get("batch_id")]
    assert len(ids) == LOTS
    for batch_id in ids:
        line = next(line for line in status.out.splitlines() if batch_id in line)
        assert " 0 h 00 min " in line
        assert hours in line
        assert "UTC" in line
    for header in ("state when last seen", "time left", "input kept until", "results kept until"):
        assert header in status.out
    path = vlures.folder / FOLDER / "checkpoints_1shot_rationales/jobs.jsonl"
    path.write_text(
        re.sub(r'"deadline":"\d{4}', '"deadline":"2020', path.read_text(encoding="utf-8")), encoding="utf-8"
    )
    late = vlures("status", FOLDER).out
    assert hours not in late
    assert all(" over " in line for line in late.splitlines() if any(batch_id in line for batch_id in ids))


def test_shards_that_do_not_fit_the_queue_wait_for_room(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    make_dataset(vlures.folder / "data", samples=30, texts=0)
    requests = 2 * (30 + 5)
    sandbox = start_sandbox("--batch-seconds", "1.5", "--queue-tokens", "14000")
    vlures.use(sandbox)
    result = vlures(*run_of("openai"), "--batch-size", "7", "--max-attempts", "1")
    assert result.code == 0, result
    assert_complete(vlures, sandbox, requests)
    assert {line["attempts"] for line in vlures.checkpoint_lines(OUTPUT)} == {1}
    refused = sandbox.stats["batches_by_status"].get("failed", 0)
    print(f"{refused} of {sandbox.stats['batches_created']} batches refused")
    assert 0 < refused <= requests // 7


def test_what_was_learned_of_the_queue_is_known_to_the_next_process(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    make_dataset(vlures.folder / "data", samples=30, texts=0)
    sandbox = start_sandbox("--batch-seconds", "0.6", "--queue-tokens", "14000")
    vlures.use(sandbox)
    refused = []
    for tasks in ("1,7", "1,2,7"):
        before = sandbox.stats["batches_by_status"].get("failed", 0)
        result = vlures(*run_of("openai"), "--batch-size", "5", "--max-attempts", "1", "--tasks", tasks)
        assert result.code == 0, result
        refused.append(sandbox.stats["batches_by_status"].get("failed", 0) - before)
    print(refused)
    assert refused[0] > 2 * refused[1]
    assert_complete(vlures, sandbox, 2 * (2 * 30 + 5))


def test_a_shard_that_no_queue_would_hold_goes_in_halves(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--queue-tokens", "6000")
    vlures.use(sandbox)
    result = vlures(*run_of("openai"), "--batch-size", "50", "--max-attempts", "1")
    assert result.code == 0, result
    assert "has no room for a batch of 22 lines, even alone" in result.err
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_without_waiting_a_full_queue_ends_the_sending(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "token_limit:every=2")
    vlures.use(sandbox)
    results = [vlures(*run_of(provider), "--no-wait")]
    assert results[0].code == 3, results[0]
    sandbox.show()
    result = vlures(*run_of(provider))
    assert result.code == 0, result
    assert_complete(vlures, sandbox)


def test_a_batch_that_stays_in_one_state_is_told_of_and_left_alone(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "4")
    vlures.use(sandbox)
    result = vlures(*run_of("openai"), "--batch-size", "50", "--stall-after-s", "1")
    assert result.code == 0, result
    told = [line for line in result.err.splitlines() if "has been in_progress since" in line]
    assert len(told) == 1, result
    created = next(event["batch_id"] for event in journal(vlures) if event.get("batch_id"))
    assert created in told[0]
    assert not any("cancel" in name for name in sandbox.stats["requests"])
    assert_complete(vlures, sandbox)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_stalled_batch_is_told_of_without_waiting_and_cancelled_once_no_run_holds_the_folder(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2", "--fault", "stuck")
    vlures.use(sandbox)
    assert vlures(*run_of(provider), "--no-wait").code == 3
    wait_until(sandbox.process, lambda: sandbox.stats["batches_by_status"].get("in_progress", 0) >= LOTS)
    # Less than any look takes: the journal's times are whole seconds, and a look may fall into the first millisecond of
    # one.
    looked = vlures(*run_of(provider), "--no-wait", "--stall-after-s", "0.000001")
    assert looked.code == 3, looked
    told = [line for line in looked.err.splitlines() if " since " in line and "it is left alone" in line]
    assert len(told) == LOTS, looked
    assert not any("cancel" in name for name in sandbox.stats["requests"])

    def polls() -> int:
        return sum(count for name, count in sandbox.stats["requests"].items() if name.endswith("batches.show"))

    before = polls()
    waiting = vlures.start(*run_of(provider))
    wait_until(waiting, lambda: polls() > before)  # type: ignore[arg-type]
    held = vlures("cancel", FOLDER)
    assert held.code == 1, held
    assert re.search(r"is in use by process \d+ on .*; stop it first \(Ctrl-C leaves its batches alive\)", held.err), (
        held
    )
    waiting.send_signal(signal.SIGINT)
    waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    cancelled = vlures("cancel", FOLDER, "--poll-s", "0.2")
    assert cancelled.code == 0, cancelled
    assert f"{LOTS} of {LOTS} batches ended" in cancelled.out
    assert_complete(vlures, sandbox)


def test_a_sandbox_named_by_its_address_never_mixes_with_a_model(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    first = vlures(*run_of("openai"), "--base-url", f"{sandbox.url}/openai/v1")
    assert first.code == 0, first
    marked = f"is a sandbox, so the folder {FOLDER} holds sandbox answers only"
    assert marked in first.err
    assert "sandbox answers only" in vlures("status", FOLDER).out
    again = vlures(*run_of("openai"))
    assert again.code == 0, again
    assert "is a sandbox" not in again.err

    sandbox.show("not_found")
    nowhere = ("--base-url", "http://127.0.0.1:9/v1")
    model = vlures(*run_of("openai"), *nowhere, "--redo", "refused")
    assert model.code == 1, model
    assert "holds the answers of a sandbox; give this run another --name" in model.err

    path = vlures.folder / FOLDER / "checkpoints_1shot_rationales/jobs.jsonl"
    events = path.read_text(encoding="utf-8").splitlines(keepends=True)
    unmarked = "".join(event for event in events if '"rehearsal"' not in event)
    path.write_text(unmarked, encoding="utf-8")
    older = vlures(*run_of("openai"))
    assert older.code == 0, older
    assert marked in older.err, "the last run was at that very address"

    path.write_text(unmarked, encoding="utf-8")
    run = json.loads(path.with_name("run.json").read_bytes())
    run["config"]["base_url"] = None
    path.with_name("run.json").write_text(json.dumps(run), encoding="utf-8")
    mixed = vlures(*run_of("openai"))
    assert mixed.code == 1, mixed
    assert "is a sandbox, and" in mixed.err
    assert "holds answers that may be a model's; use --sandbox, or another --name" in mixed.err
    assert_complete(vlures, sandbox)


def test_a_sandbox_that_never_answered_leaves_its_folder_free(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    shared_sandbox.show("error@chat:status=400,code=invalid_value,message=It is odd.")
    failed = vlures(*run_of("openai"), "--mode", "live")
    assert failed.code == 1, failed
    assert "is a sandbox, so the folder" in failed.err
    assert "sandbox answers only" in vlures("status", FOLDER).out
    nowhere = ("--base-url", "http://127.0.0.1:9/v1", "--first-contact-s", "0.1")
    model = vlures(*run_of("openai"), *nowhere, "--mode", "live")
    assert model.code == 1, model
    assert "holds the answers of a sandbox" not in model.err
    assert "127.0.0.1:9" in model.err
    assert "sandbox answers only" not in vlures("status", FOLDER).out


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("delete", [True, False])
def test_files_are_deleted_only_when_asked(
    vlures: Command, start_sandbox: Callable[..., Sandbox], provider: str, delete: bool
) -> None:
    sandbox = start_sandbox("--batch-seconds", "0.2")
    vlures.use(sandbox)
    result = vlures(*run_of(provider), *(["--delete-remote-files"] if delete else []))
    assert result.code == 0, result
    assert bool(remote_files(sandbox, provider)) != delete
    said = [line for line in result.err.splitlines() if "keeps the file" in line]
    assert len(said) == (1 if delete and provider == "gemini" else 0), result
    assert_complete(vlures, sandbox)

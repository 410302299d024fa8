"""kill -9, Ctrl-C, torn and garbled checkpoints, full and read-only folders: nothing is lost and nothing paid twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Command, Sandbox, make_dataset, size_of_checkpoints, wait_until

pytestmark = pytest.mark.warm

KILLS = 5
CONCURRENCY = 4
BATCHES = (
    *("--mode", "batch", "--batch-size", "9", "--poll-s", "0.2", "--doubt-patience-s", "1"),
    "--no-canary",  # a live call, and so paid again if the kill comes between its answer and the disk
)
WAYS = {
    "openai-batch": ("gpt-6-luna", BATCHES),
    "gemini-batch": ("gemini-3.8-flash", BATCHES),
    "gemini-live": ("gemini-3.8-flash", ("--mode", "live", "--concurrency", str(CONCURRENCY))),
}
"""The model and the options of each."""


def run_arguments(way: str) -> tuple[str, ...]:
    model, options = WAYS[way]
    asked = ("--backend", way.partition("-")[0], "--model", model, *options)
    return ("run", *asked, "--dataset", "data", "--languages", "En,Sw", "--tasks", "1,6")


@pytest.mark.parametrize("way", WAYS)
def test_kills_at_random_moments_lose_nothing_and_pay_nothing_twice(
    vlures: Command, start_sandbox: Callable[..., Sandbox], way: str
) -> None:
    """Runs are killed and begun again until they end by themselves. tests/e2e/test_campaign.py kills hundreds."""
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    moments = random.Random(seed)
    make_dataset(vlures.folder / "data", samples=30)
    requests = 2 * (30 + 30)
    sandbox = start_sandbox("--batch-seconds", "1.5", "--latency", "0.25")
    vlures.use(sandbox)
    kills = finished = 0
    while kills < KILLS:
        finished += 1
        arguments = (*run_arguments(way), "--name", f"run{finished}")
        folder = vlures.folder / "outputs" / f"run{finished}"
        while not ends_by_itself(vlures.start(*arguments), folder, moments.uniform(100, 30_000)):
            kills += 1
        answers = vlures.answers(f"run{finished}")
        stored = [line["key"] for line in vlures.checkpoint_lines(f"run{finished}") if line["status"] == "ok"]
        assert len(answers) == len(stored) == len(set(stored)) == requests

    paid = sandbox.paid
    assert len(paid) == requests
    if way.endswith("batch"):
        assert set(paid.values()) == {finished}
    else:
        assert sum(paid.values()) - finished * requests <= kills * CONCURRENCY


def ends_by_itself(process: subprocess.Popen[str], folder: Path, grown_bytes: float) -> bool:
    """Kill the process once its folder has grown so much, which it does also on a slow machine. True if it had ended
    before, with exit code 0."""
    goal = size_of_checkpoints(folder) + grown_bytes
    while process.poll() is None and size_of_checkpoints(folder) < goal:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return False
    _, err = process.communicate()
    assert process.returncode == 0, err
    return True


CTRL_C_WHILE_A_LOOP_IS_MADE = """
import os, signal, socket, sys

sent = []

def watch(event, arguments):
    # A loop's constructor makes a pair of sockets to wake itself.
    if event == "socket.__new__" and arguments[1] == socket.AF_UNIX and not sent:
        sent.append(os.kill(os.getpid(), signal.SIGINT))

sys.addaudithook(watch)
"""


@pytest.mark.parametrize("way", ["openai-batch", "gemini-live"])
def test_ctrl_c_while_the_event_loop_is_made_sends_nothing_and_leaves_no_half_of_it(
    vlures: Command, start_sandbox: Callable[..., Sandbox], way: str
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    hooks = vlures.folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(CTRL_C_WHILE_A_LOOP_IS_MADE)
    hooked = Command(vlures.folder, vlures.environment | {"PYTHONPATH": str(hooks)})  # read when Python starts
    result = hooked(*run_arguments(way))
    assert result.code == 130, result
    for word in ("Exception ignored", "never awaited", "Warning"):
        assert word not in result.err
    assert "the same command continues from here" in result.err
    assert not sandbox.ledger
    assert sandbox.stats["batches_created"] == 0
    assert vlures(*run_arguments(way)).code == 0
    assert set(sandbox.paid.values()) == {1}


def test_a_torn_last_line_is_cut_off_and_its_request_asked_again(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    assert vlures(*run_arguments("gemini-live")).code == 0
    path = vlures.folder / "outputs/gemini-3.8-flash/checkpoints_1shot_rationales/checkpoint_task1_Sw.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    result = vlures(*run_arguments("gemini-live"))
    assert result.code == 0, result
    assert "was torn" in result.err
    assert len(vlures.answers("gemini-3.8-flash")) == 22
    assert len(sandbox.ledger) == 23
    assert len(list(path.parent.glob("checkpoint_task1_Sw.jsonl.torn-*"))) == 1


def test_garbage_in_the_middle_stops_the_run_and_changes_nothing(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    assert vlures(*run_arguments("gemini-live")).code == 0
    path = vlures.folder / "outputs/gemini-3.8-flash/checkpoints_1shot_rationales/checkpoint_task1_En.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\x00\x00{garbage\n"
    path.write_bytes(b"".join(lines))
    result = vlures(*run_arguments("gemini-live"))
    assert result.code == 1, result
    assert "checkpoint_task1_En.jsonl, line 3" in result.err
    assert path.read_bytes() == b"".join(lines)
    assert len(sandbox.ledger) == 22


def test_a_second_process_on_the_same_output_is_told_who_holds_it(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox("--latency", "2")
    vlures.use(sandbox)
    first = vlures.start(*run_arguments("gemini-live"))
    wait_until(first, lambda: bool(sandbox.stats["live_peak"]))
    second = vlures(*run_arguments("gemini-live"))
    assert second.code == 1, second
    assert f"process {first.pid} on" in second.err
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=60)


def test_a_folder_that_cannot_be_made_or_written_is_said_before_anything_is_sent(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    (vlures.folder / "outputs").write_text("a file where the folder should be")
    result = vlures(*run_arguments("gemini-live"))
    assert result.code == 1, result
    assert "outputs" in result.err
    assert sandbox.ledger == []


def test_a_read_only_folder_is_said_before_anything_is_sent(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    result = vlures(*run_arguments("gemini-live"), "--output", "/proc/self")  # not even root may make a folder there
    assert result.code == 1, result
    assert "/proc/self/gemini-3.8-flash cannot be written" in result.err
    assert sandbox.ledger == []


def test_a_disk_that_is_nearly_full_ends_the_sending_but_loses_nothing(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    small_disk = vlures.folder / "small"
    small_disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(small_disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        result = vlures(*run_arguments("gemini-live"), "--output", "small")
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)
    assert result.code == 3, result
    assert "nearly full" in result.err
    assert sandbox.ledger == []


def test_an_answer_to_another_question_is_stale(vlures: Command, start_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = start_sandbox()
    vlures.use(sandbox)
    assert vlures(*run_arguments("gemini-live")).code == 0
    (vlures.folder / "data/text3.txt").write_text("Another article altogether, about Zanzibar.", encoding="utf-8")
    stopped = vlures(*run_arguments("gemini-live"))
    assert stopped.code == 1, stopped
    assert "2 stored answers" in stopped.err
    assert "the images or texts of En, Sw changed since" in stopped.err
    kept = vlures(*run_arguments("gemini-live"), "--stale", "keep")
    assert kept.code == 0, kept
    assert len(sandbox.ledger) == 22
    redone = vlures(*run_arguments("gemini-live"), "--stale", "redo")
    assert redone.code == 0, redone
    assert len(sandbox.ledger) == 24
    answers = vlures.answers("gemini-3.8-flash")
    assert len(answers) == 22
    assert "Zanzibar" in json.dumps(answers)


@pytest.mark.parametrize("way", ["openai-batch", "gemini-batch"])
def test_a_restarted_sandbox_still_has_the_batches_of_a_rehearsal(vlures: Command, way: str) -> None:
    arguments = (*run_arguments(way), "--sandbox")
    name = f"sandbox-{WAYS[way][0]}"
    process = vlures.start(*arguments)
    vlures.wait_for_journal(name, '"created"', process)
    process.kill()
    process.communicate()
    result = vlures(*arguments)
    assert result.code == 0, result
    assert len(vlures.answers(name)) == 22
    assert len((vlures.folder / f"outputs/{name}/sandbox/ledger.jsonl").read_bytes().splitlines()) == 22

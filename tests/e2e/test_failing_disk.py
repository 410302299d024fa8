"""A disk that fails in the middle of a live run: what is in flight is paid, so it is waited for and finds a place."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Command, Sandbox, make_dataset, wait_until
from tests.warm import Process, WarmCommand
from vlures.errors import counted

pytestmark = pytest.mark.warm
MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
SAMPLES = 30
NO_ROOM_BYTES = 6_000
"""Of a checkpoint: room for some ten answers, and for all other files. The system refuses the rest with "File too
large"."""
ENDLESS = resource.RLIM_INFINITY


@pytest.fixture
def command(vlures: Command, shared_sandbox: Sandbox, tmp_path: Path) -> Iterator[WarmCommand]:
    assert isinstance(vlures, WarmCommand)
    make_dataset(vlures.folder / "data", samples=SAMPLES)
    (tmp_path / "tmp").mkdir()
    vlures.use(shared_sandbox)
    vlures.environment |= {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home")}
    yield vlures
    assert not list((tmp_path / "tmp").glob("vlures-rescued-*"))


def arguments(backend: str) -> tuple[str, ...]:
    what = ("--dataset", "data", "--languages", "En", "--tasks", "1", "--name", "run", "--concurrency", "3")
    return ("run", "--backend", backend, "--model", MODELS[backend], "--mode", "live", *what)


def start_without_room(command: WarmCommand, sandbox: Sandbox, backend: str) -> Process:
    command.limits = {resource.RLIMIT_FSIZE: NO_ROOM_BYTES}
    process = command.start(*arguments(backend))
    command.limits = {}

    def all_are_in() -> bool:
        return "cannot be written (File too large)" in process.err.read_text() and sandbox.stats["live_now"] == 0

    wait_until(process, all_are_in)  # type: ignore[arg-type]
    return process


def assert_all_answered_once(command: WarmCommand, sandbox: Sandbox) -> None:
    assert len(command.answers("run")) == SAMPLES
    assert len(sandbox.paid) == SAMPLES
    assert set(sandbox.paid.values()) == {1}
    keys = [line["key"] for line in command.checkpoint_lines("run")]
    assert len(keys) == len(set(keys)) == SAMPLES


@pytest.mark.parametrize("backend", MODELS)
def test_a_run_goes_on_when_the_disk_has_room_again(
    command: WarmCommand, shared_sandbox: Sandbox, backend: str
) -> None:
    process = start_without_room(command, shared_sandbox, backend)
    process.limit(resource.RLIMIT_FSIZE, ENDLESS)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert err.count("cannot be written (File too large), so nothing more is sent.") == 1, err
    assert "Raise the limit of file sizes (`ulimit -f`); then the run continues." in err
    assert "can be written again; the waiting answers are stored." in err
    assert_all_answered_once(command, shared_sandbox)


@pytest.mark.parametrize("backend", MODELS)
def test_answers_that_find_no_room_wait_elsewhere_and_the_next_run_takes_them_in(
    command: WarmCommand, shared_sandbox: Sandbox, backend: str
) -> None:
    process = start_without_room(command, shared_sandbox, backend)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the next run over this folder stores them by itself" in err
    assert "the waiting answers are stored" not in err
    assert "safe" not in err
    rescued = _rescued_lines(command)
    assert len(shared_sandbox.ledger) == len(rescued) + len(command.checkpoint_lines("run"))

    result = command(*arguments(backend))
    assert result.code == 0, result
    assert f"{counted(len(rescued), 'answer')} that an earlier run had not written" in result.err
    assert_all_answered_once(command, shared_sandbox)


def test_a_run_that_nobody_watches_gives_the_disk_up_with_requests_left(
    command: WarmCommand, shared_sandbox: Sandbox
) -> None:
    command.limits = {resource.RLIMIT_FSIZE: NO_ROOM_BYTES}
    result = command(*arguments("openai"))
    command.limits = {}
    assert result.code == 3, result
    assert "the next run over this folder stores them by itself" in result.err
    assert len(shared_sandbox.ledger) < SAMPLES
    assert command(*arguments("openai")).code == 0
    assert_all_answered_once(command, shared_sandbox)


def test_a_kill_while_the_disk_is_waited_for_loses_nothing(command: WarmCommand, shared_sandbox: Sandbox) -> None:
    process = start_without_room(command, shared_sandbox, "openai")
    received = {json.loads(line)["key"] for line in _rescued_lines(command)}
    assert received
    process.kill()
    process.wait(20)
    assert command(*arguments("openai")).code == 0
    assert len(command.answers("run")) == SAMPLES
    lines = command.checkpoint_lines("run")
    assert len({line["key"] for line in lines}) == len(lines) == SAMPLES
    assert len(shared_sandbox.ledger) <= SAMPLES + max(0, 4 - len(received))  # one more may have left just before


@pytest.mark.parametrize("backend", MODELS)
def test_what_a_batch_has_answered_stays_at_the_provider_until_it_can_be_stored(
    command: WarmCommand, shared_sandbox: Sandbox, backend: str
) -> None:
    batches = (*arguments(backend), "--mode", "batch", "--batch-size", "5", "--poll-s", "0.2", "--no-canary")
    batches = (*batches, "--doubt-patience-s", "2")
    before = shared_sandbox.stats["batches_created"]
    command.limits = {resource.RLIMIT_FSIZE: NO_ROOM_BYTES}
    result = command(*batches)
    command.limits = {}
    assert result.code == 1, result
    assert (
        "cannot be written (File too large). Raise the limit of file sizes (`ulimit -f`), then run again." in result.err
    )
    assert _rescued_lines(command) == []
    result = command(*batches)
    assert result.code == 0, result
    assert shared_sandbox.stats["batches_created"] - before == 6
    assert_all_answered_once(command, shared_sandbox)


def _rescued_lines(command: WarmCommand) -> list[bytes]:
    files = Path(command.environment["TMPDIR"]).glob("vlures-rescued-*")
    return [line for file in files for line in file.read_bytes().splitlines()]

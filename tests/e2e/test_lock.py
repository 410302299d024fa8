"""`.lock` is removed, or its folder moved, under a run: one process sends, and what is in flight finds its place."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from tests.conftest import Command, Sandbox, wait_until
from vlures.errors import VluresError
from vlures.store.lock import hold_folder

pytestmark = pytest.mark.warm
MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
CONCURRENCY = 2
REQUESTS = 6


def arguments(backend: str) -> tuple[str, ...]:
    what = ("--dataset", "data", "--languages", "En", "--tasks", "1", "--name", "run")
    how = ("--mode", "live", "--concurrency", str(CONCURRENCY))
    return ("run", "--backend", backend, "--model", MODELS[backend], *what, *how)


@pytest.mark.parametrize("backend", MODELS)
def test_a_run_makes_its_lock_anew_and_the_later_one_is_told_who_holds_the_folder(
    vlures: Command, shared_sandbox: Sandbox, backend: str
) -> None:
    shared_sandbox.show("latency:seconds=2")
    vlures.use(shared_sandbox)
    first = vlures.start(*arguments(backend))
    wait_until(first, lambda: shared_sandbox.stats["live_now"] == CONCURRENCY)
    (vlures.folder / "outputs/run/.lock").unlink()
    second = vlures(*arguments(backend))
    assert second.code == 1, second
    assert "outputs/run is in use by process" in second.err
    shared_sandbox.show()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 0, err
    assert err.count(".lock was removed or replaced; this run has created it again.") == 1, err
    assert len(shared_sandbox.ledger) == len(vlures.answers("run")) == REQUESTS


def test_a_run_whose_folder_another_machine_has_taken_stores_what_is_in_flight_and_stops(
    vlures: Command, shared_sandbox: Sandbox
) -> None:
    shared_sandbox.show("latency:seconds=1")
    vlures.use(shared_sandbox)
    process = vlures.start(*arguments("gemini"))
    wait_until(process, lambda: shared_sandbox.stats["live_now"] == CONCURRENCY)
    lock = vlures.folder / "outputs/run/.lock"
    lock.unlink()
    with lock.open("w") as other:  # another machine does not see the lock on the folder itself
        fcntl.flock(other, fcntl.LOCK_EX)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "this run sends nothing more and stores what was in flight" in err
    assert len(shared_sandbox.ledger) == len(vlures.checkpoint_lines("run")) == CONCURRENCY
    assert vlures.answers("run") == {}  # which are the other's to write
    shared_sandbox.show()
    assert vlures(*arguments("gemini")).code == 0
    assert len(shared_sandbox.ledger) == len(vlures.answers("run")) == REQUESTS


def test_a_folder_that_is_moved_away_is_waited_for(vlures: Command, shared_sandbox: Sandbox, tmp_path: Path) -> None:
    vlures.environment["TMPDIR"] = str(tmp_path)
    shared_sandbox.show("latency:seconds=1")
    vlures.use(shared_sandbox)
    process = vlures.start(*arguments("openai"))
    wait_until(process, lambda: shared_sandbox.stats["live_now"] == CONCURRENCY)
    folder = vlures.folder / "outputs/run"
    folder.rename(folder.with_name("elsewhere"))
    wait_until(process, lambda: list(tmp_path.glob("vlures-rescued-*")) != [])
    shared_sandbox.show()
    folder.with_name("elsewhere").rename(folder)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "outputs/run cannot be written (No such file or directory), so nothing more is sent." in err
    assert len(shared_sandbox.ledger) == len(vlures.answers("run")) == REQUESTS


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_drive_without_locks_has_a_sentence_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(VluresError, match=r"has no locks \(.*\), so it could not keep two runs apart.*--output"),
        hold_folder(tmp_path / "run"),
    ):
        pass

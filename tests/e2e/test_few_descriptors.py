"""A process that may open few files at a time, as many systems have it: nothing is paid twice, nothing fails."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from tests.conftest import Command, Sandbox, make_dataset
from tests.warm import WarmCommand
from vlures.backends.open_files import RESERVE, fit, is_shortage
from vlures.errors import Retry

pytestmark = pytest.mark.warm
MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
SAMPLES = 2
REQUESTS = 4 * 8 * SAMPLES


def arguments(backend: str, mode: str) -> tuple[str, ...]:
    what = ("--dataset", "data", "--languages", "En,Sw,Jp,Ur", "--name", "run")
    how = ("--concurrency", "90", "--batch-size", "5", "--poll-s", "0.2", "--no-canary")
    return ("run", "--backend", backend, "--model", MODELS[backend], "--mode", mode, *what, *how)


@pytest.mark.parametrize("mode", ["live", "batch"])
@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.parametrize("limit", [64, 256])
def test_a_run_does_with_the_files_that_it_may_open(
    vlures: Command, shared_sandbox: Sandbox, backend: str, mode: str, limit: int
) -> None:
    assert isinstance(vlures, WarmCommand)
    make_dataset(vlures.folder / "data", samples=SAMPLES)
    for spare in range(SAMPLES + 1, 7):
        for path in (vlures.folder / "data").glob(f"*{spare}.*"):
            path.unlink()
    shared_sandbox.show("latency:seconds=0.1")
    vlures.use(shared_sandbox)
    vlures.hard_limits = {resource.RLIMIT_NOFILE: limit}
    result = vlures(*arguments(backend, mode))
    assert result.code == 0, result
    assert (f"not 90: this process may open {limit} files (`ulimit -n`)" in result.err) == (limit == 64), result
    assert len(vlures.answers("run")) == REQUESTS
    assert len(shared_sandbox.paid) == REQUESTS
    assert set(shared_sandbox.paid.values()) == {1}


def test_a_soft_limit_is_raised_without_a_word(vlures: Command, shared_sandbox: Sandbox) -> None:
    assert isinstance(vlures, WarmCommand)
    vlures.use(shared_sandbox)
    vlures.limits = {resource.RLIMIT_NOFILE: 64}
    result = vlures(*arguments("gemini", "live"))
    assert result.code == 0, result
    assert "ulimit" not in result.err


def test_a_limit_below_the_checkpoints_is_said_before_anything_is_sent(
    vlures: Command, shared_sandbox: Sandbox
) -> None:
    assert isinstance(vlures, WarmCommand)
    vlures.use(shared_sandbox)
    vlures.hard_limits = {resource.RLIMIT_NOFILE: 36}
    result = vlures(*arguments("gemini", "live"))
    assert result.code == 1, result
    assert "cannot be written (Too many open files). Raise the limit of open files (`ulimit -n`)" in result.err
    assert shared_sandbox.ledger == []


def test_connections_share_what_the_files_leave() -> None:
    assert fit(100, 256, 50) == 100
    assert fit(1_000, 256, 50) == 256 - 50 - RESERVE
    assert fit(100, 64, 60) == 1


def test_a_shortage_is_known_wherever_it_hides() -> None:
    retry = Retry("Too many open files", code="connection", reached=False)
    retry.__cause__ = RuntimeError("Connection error.")
    retry.__cause__.__context__ = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    assert is_shortage(retry)
    assert not is_shortage(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))

"""A command that is stopped for longer than its time-out, or whose terminal goes away: what is in flight is waited
for."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import Command, Sandbox, wait_until

pytestmark = pytest.mark.warm
MODELS = {"openai": "gpt-6-luna", "gemini": "gemini-3.8-flash"}
CONCURRENCY = 3
REQUESTS = 6


def arguments(backend: str, *options: str) -> tuple[str, ...]:
    what = ("--dataset", "data", "--languages", "En", "--tasks", "1", "--name", "run")
    how = ("--mode", "live", "--concurrency", str(CONCURRENCY))
    return ("run", "--backend", backend, "--model", MODELS[backend], *what, *how, *options)


@pytest.mark.parametrize("backend", MODELS)
def test_a_stop_longer_than_the_time_out_costs_nothing(vlures: Command, shared_sandbox: Sandbox, backend: str) -> None:
    """The replies come while the process cannot read them."""
    shared_sandbox.show("latency:seconds=1")
    vlures.use(shared_sandbox)
    process = vlures.start(*arguments(backend, "--timeout-s", "2"))
    wait_until(process, lambda: shared_sandbox.stats["live_now"] == CONCURRENCY)
    process.send_signal(signal.SIGSTOP)
    time.sleep(3.5)  # the time that matters is the process's own
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(shared_sandbox.ledger) == len(vlures.answers("run")) == REQUESTS


@pytest.mark.parametrize("backend", MODELS)
def test_a_terminal_that_is_closed_lets_the_answers_in_flight_come_in(
    vlures: Command, shared_sandbox: Sandbox, backend: str
) -> None:
    shared_sandbox.show("latency:seconds=4")
    vlures.use(shared_sandbox)
    terminal, side = pty.openpty()
    command = [sys.executable, "-m", "vlures", *arguments(backend)]
    process = subprocess.Popen(  # a new session, so that the terminal is its own and tells it of its end
        [sys.executable, "-c", LOGIN, *command],
        cwd=vlures.folder,
        env=os.environ | vlures.environment,
        stdin=side,
        stdout=side,
        stderr=side,
        start_new_session=True,
        text=True,
    )
    os.close(side)
    wait_until(process, lambda: shared_sandbox.stats["live_now"] == CONCURRENCY)
    os.close(terminal)
    process.send_signal(signal.SIGHUP)  # a shell tells it once more
    assert process.wait(60) == 130
    assert len(shared_sandbox.ledger) == len(vlures.answers("run")) == CONCURRENCY


LOGIN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"


def test_a_hangup_is_nothing_to_a_command_under_nohup(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("latency:seconds=0.5")
    vlures.use(shared_sandbox)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = Command.start(vlures, *arguments("gemini"))
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until(process, lambda: shared_sandbox.stats["live_now"] > 0)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert len(vlures.answers("run")) == REQUESTS


def test_a_reader_who_has_heard_enough_does_not_end_the_run(vlures: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("latency:seconds=0.5")
    vlures.use(shared_sandbox)
    process = Command.start(vlures, *arguments("openai"))
    wait_until(process, lambda: shared_sandbox.stats["live_now"] > 0)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stderr.close()
    assert process.wait(60) == 0
    assert len(shared_sandbox.ledger) == len(vlures.answers("run")) == REQUESTS

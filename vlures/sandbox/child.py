"""A sandbox in a process of its own, for the length of a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vlures.errors import VluresError


@contextmanager
def running_sandbox(state_dir: Path, faults: Sequence[str] = (), options: Sequence[str] = ()) -> Iterator[str]:
    """Start `python -m vlures.sandbox`, give its base URL, and end it. It also ends by itself when this process dies.

    state_dir: where its files, batches and ledger stay, so that a run that was killed finds its batches again.
    """
    command = [sys.executable, "-m", "vlures.sandbox", "--until-stdin-closes", "--state", str(state_dir), *options]
    for fault in faults:
        command += ["--fault", fault]
    # Our own module, with the user's own words for its faults, and no shell.
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)  # noqa: S603
    try:
        line = child.stdout.readline() if child.stdout else ""
        if " on http://" not in line:
            raise VluresError("The sandbox did not start; what it says stands above.")
        yield line.split()[-1]
    finally:
        if child.stdin:
            child.stdin.close()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout:
            child.stdout.close()

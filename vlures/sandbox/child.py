"""A sandbox in a child process, for the length of a run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vlures.errors import VluresError


@contextmanager
def running_sandbox(state_dir: Path, faults: Sequence[str] = (), options: Sequence[str] = ()) -> Iterator[str]:
    """Start `python -m vlures.sandbox`, yield its base URL, and end it. It also ends by itself when this process dies.

    state_dir: where it keeps files, batches and ledger, so that a run that was killed finds its batches again.
    options: further options of the command. Raises VluresError if it does not start.
    """
    command = [sys.executable, "-m", "vlures.sandbox", "--until-stdin-closes", "--state", str(state_dir), *options]
    for fault in faults:
        command += ["--fault", fault]
    # S603: our own module, with faults that the user typed, and no shell.
    child = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        line = child.stdout.readline() if child.stdout else ""
        if " on http://" not in line:
            raise VluresError("The sandbox did not start; its own message is above.")
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

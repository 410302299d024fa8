"""Tells the user that a run has ended: by a command of theirs, and by the terminal's bell after a long one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vlures.errors import VluresError

LONG_S = 600.0
COMMAND_TIMEOUT_S = 60.0


@dataclass(slots=True)
class End:
    """How a run has ended, in a word or a sentence. None: the user has ended it, and knows."""

    outcome: str | None = None


@contextmanager
def giving_notice(command: str | None, folder: Path, say: Callable[[str], None]) -> Iterator[End]:
    """Give notice of the end of what happens inside.

    command: a shell command, if the user wants one. say: called with a sentence if the command fails, which changes
    nothing.
    """
    began_s = time.monotonic()
    end = End()
    try:
        yield end
    except VluresError as error:
        end.outcome = f"stopped: {error}"
        raise
    finally:
        if end.outcome is not None:
            if time.monotonic() - began_s >= LONG_S and sys.stderr.isatty():
                print("\a", end="", file=sys.stderr, flush=True)
            if command is not None:
                _run(command, folder, end.outcome, say)


def _run(command: str, folder: Path, outcome: str, say: Callable[[str], None]) -> None:
    environment = os.environ | {"VLURES_OUTCOME": outcome, "VLURES_RUN": str(folder)}
    try:
        done = subprocess.run(  # noqa: S602 (the user's own command line)
            command, shell=True, env=environment, stdin=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        say(f"The command of --notify failed ({error}); the run itself ended as it says.")
    else:
        if done.returncode:
            say(f"The command of --notify ended with code {done.returncode}; the run itself ended as it says.")

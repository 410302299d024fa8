"""run.log in the run's folder: every sentence of every command that held the folder, and every call that failed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from vlures.backends import secret_variables
from vlures.config.environment import read_environment
from vlures.safety.control_characters import as_line
from vlures.safety.redaction import Blot, find_secrets, make_blot
from vlures.store.clock import now

RUN_LOG = "run.log"


class RunLog:
    """Lines with their time. What is written before the folder is known is kept until then.

    The log is a help, and no promise: a disk that does not take it stops nothing.
    """

    def __init__(self, blot: Blot) -> None:
        self._blot = blot
        self._early: list[str] | None = []
        """None once the folder is known."""
        self._file: TextIO | None = None

    @classmethod
    def of_environment(cls) -> RunLog:
        """One that never gets a key of the environment."""
        return cls(make_blot(find_secrets(read_environment(), secret_variables())))

    def open(self, folder: Path) -> None:
        """Call it once the folder is held: two processes never write."""
        early, self._early = self._early or [], None
        with suppress(OSError):
            self._file = (folder / RUN_LOG).open("a", encoding="utf-8", errors="backslashreplace")
            self._file.writelines(early)
            self._file.flush()

    def write(self, sentence: str) -> None:
        line = f"{now()} {self._blot(as_line(sentence))}\n"
        if self._early is not None:
            self._early.append(line)
        elif self._file is not None:
            with suppress(OSError, ValueError):  # ValueError: it was closed
                self._file.write(line)
                self._file.flush()

    def tee(self, say: Callable[[str], None]) -> Callable[[str], None]:
        """Says a sentence and writes it."""

        def say_and_write(sentence: str) -> None:
            self.write(sentence)
            say(sentence)

        return say_and_write

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

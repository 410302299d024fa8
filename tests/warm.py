"""The real command in processes that are forked from one that has loaded its packages already.

Loading an SDK costs a second of processor time, which a test that gives dozens of commands pays for each. Everything else is as
in a process of its own: arguments, environment, folder, exit code, and what a signal does to it.
"""

from __future__ import annotations

import gc
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from tests.conftest import Command

LOADED = (
    *(
        "tests.warm",
        "vlures.cli",
        "vlures.session",
        "vlures.progress",
        "vlures.status",
        "vlures.cancel",
        "vlures.sandbox",
    ),
    *("vlures.backends.openai", "openai.resources.batches", "openai.resources.files", "openai.resources.chat"),
    *("openai.resources.responses", "openai.pagination", "vlures.backends.gemini.batch", "google.auth.aio.credentials"),
    *("genai_prices.data", "tiktoken.model", "tiktoken_ext.openai_public", "aiohttp", "httpcore2", "h11", "truststore"),
    *("anyio._backends._asyncio", "concurrent.futures.thread", "encodings.idna", "filelock"),
    *("PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.PpmImagePlugin"),
)
"""What one run or another takes the longest to load. One that is not there is left out."""
OURS = ("OPENAI_", "GOOGLE_", "GEMINI_")


@dataclass
class Process:
    """A command under way, with what the tests ask of a `subprocess.Popen`."""

    process: ForkServerProcess
    out: Path
    err: Path

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise subprocess.TimeoutExpired("vlures", timeout or 0.0)
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()

    def send_signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self.out.read_text(encoding="utf-8"), self.err.read_text(encoding="utf-8")


@dataclass
class WarmCommand(Command):
    """The command. largest_file: bytes; the system ends a process that would write past them, as kill -9 would."""

    largest_file: int | None = None
    _numbers: count[int] = field(default_factory=count)

    def start(self, *arguments: str) -> Process:  # type: ignore[override]
        said = self.folder.parent / f"said-{next(self._numbers)}"
        out, err = said.with_suffix(".out"), said.with_suffix(".err")
        for path in (out, err):
            path.touch()
        process = _server().Process(
            target=run_command,
            args=(arguments, self.folder, self.environment, out, err, self.largest_file),
            daemon=True,
        )
        process.start()
        return Process(process, out, err)


@cache
def _server() -> ForkServerContext:
    """It ends when this process does."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context


def run_command(
    arguments: tuple[str, ...], folder: Path, environment: Mapping[str, str], out: Path, err: Path, largest: int | None
) -> None:
    """What the forked process does: all that a shell does for a command, then the command."""
    from vlures.cli import main

    gc.freeze()  # or each collection would go through all that is loaded
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ.update(environment)
    for number, path in ((1, out), (2, err)):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    main(list(arguments))

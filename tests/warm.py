"""The real command, and the real sandbox, in processes that are forked from one that has loaded their packages already.

Loading an SDK costs a second of processor time, which a test that gives dozens of commands pays for each. Everything
else is as in a process of its own: arguments, environment, folder, exit code, and what a signal does to it.
"""

from __future__ import annotations

import gc
import io
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

import vlures
from tests.conftest import Command
from tests.disk_faults import FailingDisk

PACKAGE = Path(vlures.__file__).parent
LOADED = (
    *("tests.warm", "tests.warm_documents"),
    *sorted(
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
    ),
    *("openai.resources.batches", "openai.resources.files", "openai.resources.chat", "openai.resources.responses"),
    *("openai.pagination", "google.auth.aio.credentials", "genai_prices.data", "genai_prices.decompose"),
    *("genai_prices.validation", "tiktoken.model", "tiktoken_ext.openai_public", "aiohttp", "httpcore2", "h11"),
    *("truststore", "anyio._backends._asyncio", "concurrent.futures.thread", "encodings.idna", "encodings.utf_8_sig"),
    *("click.shell_completion", "click._textwrap", "filelock", "gzip", "statistics"),
    *("PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.JpegImagePlugin", "PIL.PngImagePlugin", "PIL.PpmImagePlugin"),
    *("PIL.AvifImagePlugin", "PIL.ImageOps", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin"),
)
"""All of ours, and what one command or another takes the longest to load. One that is not there is left out."""
OURS = ("OPENAI_", "GOOGLE_", "GEMINI_")


@dataclass
class Process:
    """A command under way, with what the tests ask of a `subprocess.Popen`."""

    process: ForkServerProcess
    out: Path
    err: Path
    stdin: Connection | None = None

    @property
    def pid(self) -> int | None:
        return self.process.pid

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

    def terminate(self) -> None:
        self.process.terminate()

    def send_signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def limit(self, number: int, soft: int) -> None:
        """Set one of the process's limits."""
        assert self.process.pid is not None
        resource.prlimit(self.process.pid, number, (soft, resource.prlimit(self.process.pid, number)[1]))

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        return self.out.read_text(encoding="utf-8"), self.err.read_text(encoding="utf-8")


@dataclass
class WarmCommand(Command):
    """The command in a forked process."""

    largest_file: int | None = None
    """Bytes; the system ends a process that would write more, as kill -9 would."""
    limits: Mapping[int, int] = field(default_factory=dict)
    """Soft limits by their number in `resource`, which the process may raise, as may a test (`Process.limit`)."""
    hard_limits: Mapping[int, int] = field(default_factory=dict)
    """Limits that it may not raise."""
    disk: FailingDisk | None = None
    """The disk under its folders."""
    _numbers: count[int] = field(default_factory=count)

    def start(self, *arguments: str) -> Process:  # type: ignore[override]
        said = self.folder.parent / f"said-{next(self._numbers)}"
        out, err = said.with_suffix(".out"), said.with_suffix(".err")
        limits = (self.largest_file, self.limits, self.hard_limits, self.disk)
        return Process(_fork(run_command, arguments, out, err, self.folder, self.environment, *limits), out, err)


def start_sandbox(said: Path, *arguments: str) -> Process:
    """The sandbox, which checks each request against the published specifications. It ends when its stdin is closed:
    when this process ends, however it does. said: where what it says goes."""
    out, err = said.with_suffix(".out"), said.with_suffix(".err")
    child, parent = _server().Pipe(duplex=False)
    process = Process(_fork(run_sandbox, arguments, out, err, child), out, err, parent)
    child.close()
    return process


def _fork(
    run: Callable[..., None], arguments: tuple[str, ...], out: Path, err: Path, *more: object
) -> ForkServerProcess:
    for path in (out, err):
        path.touch()
    process = _server().Process(target=run, args=(arguments, out, err, *more), daemon=True)
    process.start()
    return process


@cache
def _server() -> ForkServerContext:
    """It ends when this process does."""
    context = get_context("forkserver")
    context.set_forkserver_preload(list(LOADED))
    return context


def run_command(
    arguments: tuple[str, ...],
    out: Path,
    err: Path,
    folder: Path,
    environment: Mapping[str, str],
    largest: int | None,
    limits: Mapping[int, int],
    hard_limits: Mapping[int, int],
    disk: FailingDisk | None,
) -> None:
    """What the forked process does: all that a shell does for a command, then the command."""
    from vlures.cli import main

    _redirect(out, err)
    os.chdir(folder)
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if largest is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    for number, soft in limits.items():
        resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))
    for number, hard in hard_limits.items():
        resource.setrlimit(number, (hard, hard))
    if disk is not None:
        disk.install()
    try:
        main(list(arguments))
    finally:
        if disk is not None:
            disk.say_counts()


def run_sandbox(arguments: tuple[str, ...], out: Path, err: Path, stdin: Connection) -> None:
    """What the forked process does: all that a shell does for a sandbox, then the sandbox."""
    from tests.sandbox.specs import main

    _redirect(out, err)
    os.dup2(stdin.fileno(), 0)
    stdin.close()
    sys.exit(main(list(arguments)))


def _redirect(out: Path, err: Path) -> None:
    gc.freeze()  # or each collection would go through all that is loaded
    for number, path in ((1, out), (2, err)):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)

"""`vlures urban --framework …`: the flags of the benchmark's first launcher, as runs and scores of vlures."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import click

from vlures.cli.console import EXIT_INCOMPLETE, say
from vlures.errors import UsageError

Framework = Literal["blip2", "instructblip", "llava"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)
ANSWER_TOKENS, REASONED_ANSWER_TOKENS = 20, 128
"""Longest answers of the first launcher, without and with --cot (urban_scope, commit 46ccf53)."""


@dataclass(frozen=True, slots=True)
class Launch:
    """What the launcher was asked to do."""

    framework: Framework
    test_json: Path
    image_dir: Path
    out_dir: Path
    gpus: str | None
    ngpus: int
    cot: bool
    dtype: str
    batch: int | None
    seed: int

    def run_arguments(self) -> list[str]:
        """Of `vlures run`."""
        out = self.out_dir.absolute()
        arguments = {
            "backend": "local",
            "model": self.framework,
            "benchmark": "urban",
            "questions": self.test_json,
            "dataset": self.image_dir,
            "output": out.parent,
            "name": out.name,
            "dtype": self.dtype,
            "max-output-tokens": REASONED_ANSWER_TOKENS if self.cot else ANSWER_TOKENS,
        }
        if self.batch is not None:
            arguments["rows"] = self.batch
        flags = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        return ["run", *flags, *(["--cot"] if self.cot else [])]


def launcher_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The launcher's flags, spelled as they were."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--framework", type=click.Choice(FRAMEWORKS), help="The model that answers."),
    click.option("--mode", type=click.Choice(["zero_shot"]), default="zero_shot", help="What is done with it."),
    click.option("--gpus", metavar="IDS", help="The GPUs to use, as in 0,1; by default all."),
    click.option("--ngpus", type=click.IntRange(1), default=1, help="Processes, each on a GPU of its own."),
    click.option("--test_json", type=_PATH, metavar="FILE", help="The QA file."),
    click.option("--image_dir", type=_PATH, metavar="FOLDER", help="Its images."),
    click.option("--out_dir", type=_PATH, metavar="FOLDER", help="The run's folder."),
    click.option("--cot", is_flag=True, help="Ask for reasoning before the answer."),
    click.option("--fp16", is_flag=True, help="Compute with fp16; by default as the machine does best."),
    click.option("--bf16", is_flag=True, help="Compute with bf16."),
    click.option("--batch", type=click.IntRange(1), help="Questions at a time."),
    click.option("--seed", type=int, default=42, help="Taken, and without effect: the likeliest token is chosen."),
)


def read_launch(given: dict[str, Any]) -> Launch:
    """Raises UsageError for flags that are missing or contradict each other."""
    for name in ("framework", "test_json", "image_dir", "out_dir"):
        if given[name] is None:
            raise UsageError(
                f"--{name} is missing; the launcher takes --framework, --test_json, --image_dir and --out_dir."
            )
    if given["fp16"] and given["bf16"]:
        raise UsageError("--fp16 and --bf16 contradict each other; give one of them.")
    dtype = "fp16" if given.pop("fp16") else "bf16" if given["bf16"] else "auto"
    del given["bf16"], given["mode"]
    return Launch(dtype=dtype, **given)


def launch(asked: Launch) -> int:
    """Run, then score. Returns the exit code."""
    environment = dict(os.environ)
    if asked.gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = asked.gpus
    say(f"$ {shlex.join(['vlures', *asked.run_arguments()])}")
    # torchrun would report a run that is merely incomplete as a failure, and lose its exit code.
    codes = _call([environment | ranks for ranks in _ranks(asked.ngpus)], asked.run_arguments())
    if codes[0] not in (0, EXIT_INCOMPLETE):
        return codes[0]
    return _call([environment], ["score", str(asked.out_dir)])[0] or codes[0]


def _ranks(count: int) -> list[dict[str, str]]:
    """What torchrun tells each of so many processes on one machine."""
    if count == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [common | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def _call(environments: list[dict[str, str]], arguments: list[str]) -> list[int]:
    """Run a command of vlures once in each environment, at the same time; returns the exit codes."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen([sys.executable, "-m", "vlures", *arguments], env=environment))  # noqa: S603 (our own command)
            for environment in environments
        ]
        return [_wait(process) for process in processes]


def _wait(process: subprocess.Popen[bytes]) -> int:
    """A Ctrl-C goes to the process as well, which then ends in good order."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue

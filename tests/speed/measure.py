"""What the benchmarks share: child processes that are measured, a server to talk to, datasets, tables."""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bare_server import Behaviour
from tabulate import tabulate

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VLURES = str(Path(sys.executable).with_name("vlures"))

LONGEST_CHILD_S = 600
LONGEST_COMMENT_BYTES = 65_533
KEYS_AND_PROXIES = ("OPENAI_", "GOOGLE_", "GEMINI_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class Child:
    """What a process took."""

    wall_s: float
    user_s: float
    system_s: float
    peak_bytes: int
    """The most memory that it held, as counted by the kernel."""
    output: str

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.system_s


def run_child(
    command: Sequence[str], folder: Path, extra: Mapping[str, str] | None = None, codes: Sequence[int] = (0,)
) -> Child:
    """Run a command in a folder and measure it. Raises RuntimeError if it ends with another code, or lasts too long.

    Linux counts the parent's memory at the fork into a child's peak, so this process must stay small.
    """
    log = folder / "child.log"
    with log.open("wb") as sink:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=child_environment(folder, extra), stdout=sink, stderr=sink)
        guard = threading.Timer(LONGEST_CHILD_S, process.kill)
        guard.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        finally:
            guard.cancel()
        wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    output = log.read_text(encoding="utf-8", errors="replace")
    if process.returncode not in codes:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output[-2000:]}")
    return Child(wall_s, used.ru_utime, used.ru_stime, used.ru_maxrss * 1024, output)


def run_script(name: str, *arguments: object, folder: Path) -> Child:
    """Run another file of this folder with Python."""
    return run_child([sys.executable, str(HERE / name), *map(str, arguments)], folder)


def child_environment(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without keys, base URLs and proxies. Bytecode is kept, as it is for a user, but in the
    benchmark's own folder."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(KEYS_AND_PROXIES)}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    bytecode = {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    return {**kept, **bytecode, **(extra or {})}


@dataclass(frozen=True)
class Server:
    """A bare server that is running in a process of its own."""

    url: str

    def counts(self) -> dict[str, Any]:
        """What it has seen so far, by its own clock."""
        with urllib.request.urlopen(f"{self.url}/counts", timeout=30) as reply:
            counts: dict[str, Any] = json.load(reply)
            return counts


@contextmanager
def running_server(folder: Path, behaviour: Behaviour | None = None) -> Iterator[Server]:
    """A bare server for as long as the block lasts. It ends by itself when this process does."""
    asked = json.dumps(asdict(behaviour or Behaviour()))
    command = [sys.executable, str(HERE / "bare_server.py"), asked, str(LONGEST_CHILD_S)]
    process = subprocess.Popen(
        command, env=child_environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Server(process.stdout.readline().strip())
    finally:
        process.stdin.close()
        process.wait(timeout=30)


def make_dataset(folder: Path, images: int, image_bytes: int) -> Path:
    """A folder of so many JPEG files of exactly so many bytes, no two the same, each with an article.

    They are one photograph of the sample data whose size is made up by random bytes in comment segments at its end.
    """
    folder.mkdir(parents=True)
    photograph = (ROOT / "data/SampleEn/image1.jpg").read_bytes()
    article = (ROOT / "data/SampleEn/text1.txt").read_text(encoding="utf-8")
    noise = random.Random(1)
    for number in range(1, images + 1):
        (folder / f"image{number}.jpg").write_bytes(_padded(photograph, image_bytes, noise))
        (folder / f"text{number}.txt").write_text(f"{article}\n{number}\n", encoding="utf-8")
    return folder


def _padded(photograph: bytes, size_bytes: int, noise: random.Random) -> bytes:
    missing = size_bytes - len(photograph)
    pieces = [photograph[:-2]]
    while missing > 0:
        # A segment is a marker of two bytes, its length in two bytes, and at least one byte of ours.
        step = min(missing, LONGEST_COMMENT_BYTES + 4)
        step -= 5 if 0 < missing - step < 5 else 0
        pieces.append(b"\xff\xfe" + (step - 2).to_bytes(2) + noise.randbytes(step - 4))
        missing -= step
    return b"".join([*pieces, photograph[-2:]])


@dataclass(frozen=True)
class Table:
    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[object]]
    notes: Sequence[str] = ()


def print_table(table: Table) -> None:
    print(f"\n{table.title}")
    print(tabulate(table.rows, table.headers, tablefmt="simple", disable_numparse=True))
    for note in table.notes:
        print(f"  {note}")
    sys.stdout.flush()


def against(value: float, goal: float) -> str:
    """Whether a value keeps to the most it may be."""
    return "yes" if value <= goal else "NO"


def conditions() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB of memory, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load before: {load}"
    )

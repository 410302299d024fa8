"""What the tests share: a small dataset, a sandbox in a process of its own, and the real command."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.warm import Process

pytest.register_assert_rewrite("tests.e2e.targets")

REPOSITORY = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Undo what `nohup` and a shell's `&` leave behind: what they start ignores signals, and so would the commands
    under test, as they should."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What a test that tries many cases has recorded as its summary is said also when it passed."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    lines = [value for report in reports for name, value in report.user_properties if name == "summary"]
    for line in sorted(lines):
        terminalreporter.write_line(line)


ARTICLE = (
    "The {number}th picture shows one colour. Amina painted it in Mombasa, and Amina sold it in Lahore {{or}} Kyoto."
)


def make_dataset(folder: Path, samples: int, texts: int | None = None) -> Path:
    """A folder of small pictures, each of another colour, the first `texts` of them (default: all) with an article."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, samples + 1):
        colour = (number * 37 % 256, number * 91 % 256, number * 53 % 256)
        Image.new("RGB", (48, 32), colour).save(folder / f"image{number}.png")
        if texts is None or number <= texts:
            (folder / f"text{number}.txt").write_text(ARTICLE.format(number=number), encoding="utf-8")
    return folder


@dataclass
class Sandbox:
    """A running sandbox, seen from outside."""

    url: str
    process: Process
    state: Path
    since: int = 0
    """Where the ledger of the test begins, if the sandbox has served others before."""

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return bytes(reply.read())

    @property
    def stats(self) -> dict[str, Any]:
        stats: dict[str, Any] = json.loads(self.get("/sandbox/stats"))
        return stats

    @property
    def ledger(self) -> list[dict[str, Any]]:
        """Every answer that a real provider would have charged for."""
        return [json.loads(line) for line in self.get("/sandbox/ledger").split(b"\n") if line.strip()][self.since :]

    @property
    def paid(self) -> Counter[str]:
        """How often each request was answered: batch lines by custom id, live ones by their content."""
        return Counter(entry["id"] or entry["digest"] for entry in self.ledger)

    @property
    def struck(self) -> list[int]:
        """How often each of the faults in force has struck."""
        return [fault["struck"] for fault in self.stats["faults"]]

    def show(self, *faults: str) -> None:
        """Replace the faults that the sandbox shows from now on."""
        for method, body in (("DELETE", None), ("POST", json.dumps(list(faults)).encode())):
            request = urllib.request.Request(self.url + "/sandbox/faults", data=body, method=method)
            request.add_header("Content-Type", "application/json")
            urllib.request.urlopen(request, timeout=30).read()


def launch_sandbox(state: Path, *options: str) -> Sandbox:
    """Start a sandbox that checks requests against the published specifications."""
    from tests.warm import start_sandbox

    said = state.with_name(f"{state.name}-said-{uuid4().hex[:8]}")
    process = start_sandbox(said, "--until-stdin-closes", "--state", str(state), *options)
    wait_until(process, lambda: process.out.read_text().endswith("\n"))
    line = process.out.read_text()
    assert "listening on" in line, line
    return Sandbox(line.split()[-1], process, state)


@pytest.fixture
def start_sandbox(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes; at the end each must have seen only requests that the published specifications allow."""
    started: list[Sandbox] = []

    def start(*options: str, state: Path | None = None) -> Sandbox:
        started.append(launch_sandbox(state or tmp_path / f"sandbox{len(started)}", *options))
        return started[-1]

    yield start
    violations = [
        violation
        for sandbox in started
        if sandbox.process.poll() is None
        for violation in sandbox.stats["spec_violations"]
    ]
    for sandbox in started:
        sandbox.process.terminate()
        sandbox.process.wait(timeout=20)
    assert violations == []


@pytest.fixture(scope="module")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for the tests of a file that need no options of their own; its batches take 0.2 s."""
    sandbox = launch_sandbox(tmp_path_factory.mktemp("sandbox"), "--batch-seconds", "0.2")
    yield sandbox
    sandbox.process.terminate()
    sandbox.process.wait(timeout=20)


@pytest.fixture
def shared_sandbox(running_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The file's sandbox without faults and with an empty ledger. For tests that leave nothing under way at their end:
    it saves each the start of its own."""
    running_sandbox.show()
    running_sandbox.since = 0
    running_sandbox.since = len(running_sandbox.ledger)
    yield running_sandbox
    assert running_sandbox.stats["spec_violations"] == []


@dataclass
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def assert_stopped(self, code: int, *words: str) -> None:
        """The command ended with the code and one sentence that has the words."""
        assert self.code == code, self
        sentences = [line for line in self.err.splitlines() if line.startswith("vlures: ")]
        assert len(sentences) == 1, self
        for word in words:
            assert word in sentences[0], self


@dataclass
class Command:
    """The real `vlures` command in a folder of its own, with keys and base URLs of a sandbox in its environment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def use(self, sandbox: Sandbox, key: str = "test-key") -> None:
        self.environment |= {
            "OPENAI_API_KEY": key,
            "GOOGLE_API_KEY": key,
            "OPENAI_BASE_URL": f"{sandbox.url}/openai/v1",
            "GOOGLE_GEMINI_BASE_URL": f"{sandbox.url}/gemini",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        keys = ("OPENAI_", "GOOGLE_", "GEMINI_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(keys)}
        return subprocess.Popen(
            [sys.executable, "-m", "vlures", *arguments],
            cwd=self.folder,
            env=inherited | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, timeout: float = 120) -> Result:
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"vlures {' '.join(arguments)} did not end in {timeout} s\n{out}\n{err}")
        assert "Traceback" not in err, err
        assert "internal error of vlures" not in err, err
        return Result(process.returncode, out, err)

    def wait_for_journal(self, output: str, words: str, process: subprocess.Popen[str], times: int = 1) -> None:
        """Watch a running command until its journal holds the words so many times."""
        path = self.folder / "outputs" / output / "checkpoints_1shot_rationales/jobs.jsonl"
        wait_until(process, lambda: path.is_file() and path.read_text(encoding="utf-8").count(words) >= times)

    def answers(self, output: str) -> dict[str, str]:
        """Every answer of the results files of outputs/<output>: cell and ID → text."""
        found: dict[str, str] = {}
        for path in sorted((self.folder / "outputs" / output).glob("results_*/*/results_*.json")):
            match = re.search(r"_([A-Z][a-z])_task(\d)_", path.name)
            assert match is not None
            cell = f"{match[1]}-t{match[2]}"
            for sample_id, text in json.loads(path.read_text(encoding="utf-8")).items():
                assert isinstance(text, str)
                found[f"{cell}-{sample_id}"] = text
        return found

    def checkpoint_lines(self, output: str) -> list[dict[str, Any]]:
        """Every line of the checkpoint files of outputs/<output>."""
        paths = sorted((self.folder / "outputs" / output).glob("checkpoints_*/checkpoint_*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]

    def last_lines(self, output: str) -> dict[str, dict[str, Any]]:
        """The last line of each request in the checkpoint files of outputs/<output>, by its key."""
        return {line["key"]: line for line in self.checkpoint_lines(output)}


def wait_until(process: Process | subprocess.Popen[str], is_reached: Callable[[], bool]) -> None:
    """Watch a running command until something is reached, without taking the processor from it."""
    while not is_reached():
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.02)
            pytest.fail(f"the command ended before that: {process.communicate()}")


def size_of_checkpoints(output_folder: Path) -> int:
    """Bytes of a run's checkpoints and journal; a file may be replaced meanwhile."""
    total = 0
    for path in output_folder.glob("checkpoints_*/*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


@pytest.fixture
def vlures(tmp_path: Path, request: pytest.FixtureRequest) -> Command:
    """The command, run in a folder that has a dataset of six samples, five of them with a text, in `data/`.

    With the mark `warm` its processes are forked from one that has loaded its packages, which saves a second each.
    """
    folder = tmp_path / "work"
    make_dataset(folder / "data", samples=6, texts=5)
    environment = {"HOME": str(tmp_path / "home")}  # no test leaves a file in a real one
    if request.node.get_closest_marker("warm") is None:
        return Command(folder, environment)
    from tests.warm import WarmCommand

    return WarmCommand(folder, environment)

"""Every command of README and docs/ is run, page by page and in order, with a sandbox in the providers' place.

- A block marked `console` has lines that begin with `$ `, each with its output below it. `\\` continues a line.
- `# … exit code 3` beside a command says how it ends; without it, it ends with 0.
- In an output `...` stands for anything, as in doctest. Tokens, sizes, prices and versions (numbers with a point or
  comma in them) may differ from the page, counts may not.
- A block marked `python` is a cell of a notebook, one marked `toml` a configuration, one marked `json` is only parsed.
- Blocks marked `no-test` are not run; UNTESTED counts them.
"""

from __future__ import annotations

import doctest
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.benchmarks.hub_server import Hub, commit, running_hub
from tests.benchmarks.test_download import published
from tests.conftest import REPOSITORY, Result, Sandbox, launch_sandbox, make_dataset
from tests.docs.pages import PAGES, Block, blocks, page_id
from tests.test_notebook import cell, execute
from tests.warm import WarmCommand

UNTESTED = {
    "README.md": 2,  # make demo and make test; an installation
    "docs/developing.md": 3,  # make; lint-imports; pytest
    "docs/datasets.md": 1,  # an installation
    "docs/export-and-notebook.md": 1,  # an installation
    "docs/local.md": 4,  # torch is not in this environment; tests/local runs such commands
    "docs/providers.md": 1,  # an installation
    "docs/reliability.md": 1,  # make contract
    "docs/speed.md": 1,  # make bench
    "docs/study.md": 1,  # a study with keys
    "docs/tables.md": 2,  # an installation; two runs that one judge has judged
    "docs/urban.md": 2,  # an installation; models that are not there
}
OWN_SERVER = "http://127.0.0.1:8000/v1"
"""Where the pages have a server of one's own; a sandbox stands there."""
OWN_SANDBOX = "127.0.0.1:8080"
"""Where they start a sandbox by hand; it gets a free port instead."""
OLD_CHECKPOINT = {"1": "A harbour with three boats.", "2": "Error: rate limit", "3": ""}
TEXT_OF_SHELLS = re.compile(r"[();<>|&*?$~`]")
"""What makes a line one for a shell."""
INEXACT = (("(?m)^.* 127.0.0.1 may charge others.*\n", ""), (r"\d+(?:[.,]\d+)+", "0.0"), ("-{3,}", "---"))
"""What is said only because a sandbox answers; numbers, and the rules of a table, which may differ."""


def test_blocks_that_are_not_run_are_counted() -> None:
    counts = {page_id(page): sum("no-test" in block.markers for block in blocks(page)) for page in PAGES}
    assert {name: count for name, count in counts.items() if count} == UNTESTED


def _is_followed(block: Block) -> bool:
    return block.language not in ("", "text") and "no-test" not in block.markers


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(_is_followed, blocks(page)))], ids=page_id)
def test_a_page_does_what_it_says(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        if _is_followed(block):
            reader.follow(block)


@dataclass
class Reader:
    """Types what a page says, in a folder that `vlures init` has laid out."""

    command: WarmCommand
    monkeypatch: pytest.MonkeyPatch
    addresses: dict[str, str]
    """What a page calls an address → where it is here."""
    started: list[Sandbox] = field(default_factory=list)

    def follow(self, block: Block) -> None:
        if block.language in ("console", "bash"):
            for line, shown in _commands(block):
                self._type(line, shown)
        elif block.language == "python":
            execute([cell(block.text)], self.command.folder, self.command.environment, self.monkeypatch)
        elif block.language == "toml":
            (self.command.folder / "block.toml").write_text(block.text, encoding="utf-8")
            self._type("vlures config show -c block.toml", "")
        elif block.language == "json":
            json.loads(block.text)
        else:
            pytest.fail(f"line {block.line}: mark a block of {block.language} that is not run with no-test")

    def _type(self, line: str, shown: str) -> None:
        for written, real in self.addresses.items():
            line = line.replace(written, real)
        result = self._run(line)
        stated = re.search(r"#.*exit code (\d+)", line)
        assert result.code == (int(stated[1]) if stated else 0), f"{line}\n{result}"
        if shown:
            want, got = _smooth(shown), _smooth(result.err + result.out)
            flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            assert doctest.OutputChecker().check_output(want, got, flags), f"{line}\n{shown}\n--- is\n{result}"

    def _run(self, line: str) -> Result:
        words = shlex.split(line, comments=True)
        if words[:2] == ["vlures", "sandbox"] and "--port" in words:
            return self._start_sandbox(words[2:])
        if words[0] == "vlures" and not TEXT_OF_SHELLS.search(line.partition(" # ")[0]):
            return self.command(*words[1:])
        return self._run_in_shell(line)

    def _start_sandbox(self, options: list[str]) -> Result:
        port = options.index("--port")
        del options[port : port + 2]
        state = self.command.folder.parent / f"by-hand-{len(self.started)}"
        sandbox = launch_sandbox(state, "--batch-seconds", "0.2", *options)
        self.started.append(sandbox)
        self.addresses[OWN_SANDBOX] = sandbox.url.removeprefix("http://")
        said = sandbox.process.out.read_text(encoding="utf-8").replace(self.addresses[OWN_SANDBOX], OWN_SANDBOX)
        return Result(0, said, "")

    def _run_in_shell(self, line: str) -> Result:
        """A folder that the line changes to is that of the lines after it."""
        place = self.command.folder.parent / "place"
        keys = ("OPENAI_", "GOOGLE_", "GEMINI_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(keys)}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{line}\npwd > {shlex.quote(str(place))}"],
            cwd=self.command.folder,
            env=inherited | self.command.environment | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )
        if ended.returncode == 0:
            self.command.folder = Path(place.read_text(encoding="utf-8").rstrip("\n"))
        return Result(ended.returncode, ended.stdout, ended.stderr)


def _smooth(text: str) -> str:
    for pattern, instead in INEXACT:
        text = re.sub(pattern, instead, text)
    return text


def _commands(block: Block) -> Iterator[tuple[str, str]]:
    """The block's command lines, each with the output that is shown below it."""
    if block.language == "bash":
        yield from ((line, "") for line in block.text.splitlines() if line.strip())
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, shown = part.replace("\\\n", "").partition("\n")
        if document := re.search(r"<<'(\w+)'$", line):
            content, _, shown = shown.partition(f"\n{document[1]}\n")
            line = f"{line}\n{content}\n{document[1]}"
        yield line, shown


@pytest.fixture
def reader(page: Path, tmp_path: Path, shared_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    folder, home = tmp_path / "work", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    offered = published("article") if "vlures fetch" in page.read_text(encoding="utf-8") else {}
    with running_hub(Hub("atamiles/VLURes", {commit(1): offered})) as hub:
        environment = {"HOME": str(home), "HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hub")}
        command = WarmCommand(folder, environment)
        command.use(shared_sandbox)
        _lay_out(folder)
        reader = Reader(command, monkeypatch, {OWN_SERVER: f"{shared_sandbox.url}/plain/v1"})
        yield reader
        for sandbox in reader.started:
            sandbox.process.terminate()
            sandbox.process.wait(timeout=20)


def _lay_out(folder: Path) -> None:
    """What `vlures init` lays out, and what a reader of the pages has: datasets, an original script, its
    checkpoints."""
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    for source in (REPOSITORY / "data").glob("Sample*"):
        shutil.copytree(source, folder / "data" / source.name)
    make_dataset(folder / "data/ImagesTextEn1K", samples=3, texts=2)
    make_dataset(folder / "my/photos", samples=3, texts=2)
    table = make_dataset(folder / "my/table", samples=3, texts=0) / "metadata.csv"
    rows = (
        f"image{number}.png,A story about number {number}.,{code}" for number, code in enumerate(("En", "Sw", "Ur"), 1)
    )
    table.write_text("\n".join(("photo,story,tongue", *rows, "")), encoding="utf-8")
    shutil.copy(REPOSITORY / "tests/legacy/prompt_scripts/in_batches.py", folder / "run_openai_batch.py")
    checkpoint = folder / "old/checkpoints/checkpoint_task1_En.json"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text(json.dumps(OLD_CHECKPOINT), encoding="utf-8")

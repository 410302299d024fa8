"""The notebook of docs/, executed from its first cell to its last in a real kernel; and what an interruption does
there."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import REPOSITORY, Command, Sandbox
from vlures.benchmarks.vlures.languages import LANGUAGES

NOTEBOOK = REPOSITORY / "docs/notebook.ipynb"

# A thread presses the notebook's stop button (a signal to the kernel) when the first answer is on the disk.
PRESS_STOP = """
import signal, threading, time

def press_stop(name):
    def watch():
        folder = Path("outputs") / name
        while not any(path.stat().st_size for path in folder.glob("checkpoints_*/checkpoint_*.jsonl")):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)
    threading.Thread(target=watch).start()

options = dict(
    backend="gemini", model="gemini-3.8-flash", dataset="data/SampleEn", languages="En", tasks="1-5", concurrency=4
)
"""
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"


def execute(cells: list[Any], folder: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Execute cells in a kernel whose folder and environment are these; returns them with their outputs."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IPYTHONDIR", str(folder / ".ipython"))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute()
    done: list[Any] = notebook.cells
    return done


def cell(source: str, *, raises: bool = False) -> Any:
    return nbformat.v4.new_code_cell(source, metadata={"tags": ["raises-exception"]} if raises else {})


def said(executed: Any) -> str:
    """All that a cell has put out, as JSON."""
    return json.dumps(executed.outputs, ensure_ascii=False)


def printed(executed: Any) -> str:
    return "".join(output.text for output in executed.outputs if output.output_type == "stream")


def test_the_notebook_runs_from_its_first_cell_to_its_last(
    tmp_path: Path, shared_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("configs", *(f"data/Sample{code}" for code in LANGUAGES)):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [each for each in notebook.cells if each.cell_type == "code"]
    assert all(not each.outputs and each.execution_count is None for each in code)
    command = Command(tmp_path)
    command.use(shared_sandbox)
    shared_sandbox.show("latency@gemini:seconds=0.2")
    more = [
        cell(PRESS_STOP),
        cell("press_stop('stopped'); vlures.run(name='stopped', **options)", raises=True),
        cell("press_stop('left'); await vlures.run_async(name='left', **options)", raises=True),
        cell(f"{WITHOUT_WIDGETS}; vlures.run(name='left', **options)"),
    ]
    done = execute([*notebook.cells, *more], tmp_path / "docs", command.environment, monkeypatch)

    by_source = {each.source.split("(")[0].splitlines()[-1]: each for each in done}
    assert "data/SampleUr" in printed(by_source["!vlures check -c configs/sandbox.toml"])
    run = by_source["outcome = vlures.run"]
    assert "application/vnd.jupyter.widget-view+json" in said(run)
    assert "complete=True" in said(run)
    assert "stderr" not in said(run)
    assert all(word in said(by_source["answers.pivot_table"]) for word in ("Japanese", "Urdu", "SU", "IC", "VQA"))
    page = said(by_source["vlures.show"])
    assert 'dir=\\"rtl\\" lang=\\"ur\\"' in page
    assert 'lang=\\"ja\\"' in page
    assert "data:image/jpeg;base64," in page

    stopped, left, plain = done[-3:]
    assert "Stopping: waiting for the answers in flight" in printed(stopped)
    assert "KeyboardInterrupt" in said(stopped)
    assert "Stopping: waiting for the answers in flight" in printed(left)
    assert "CancelledError" in said(left)
    assert "35/35 answered" in printed(plain)
    stored = command.checkpoint_lines("stopped") + command.checkpoint_lines("left")
    assert len(command.checkpoint_lines("stopped")) < len(command.checkpoint_lines("left")) == 35
    assert len(shared_sandbox.ledger) == len(stored)

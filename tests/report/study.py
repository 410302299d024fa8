"""Two finished runs to report on: real ones, in which some answers were replaced by texts that are hard to show."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.conftest import Command, make_dataset
from tests.warm import WarmCommand
from vlures.judge.verdicts import JUDGED, VERDICTS_FILE, Verdict, write_verdicts
from vlures.records import Cell

LABEL = "1shot_rationales"
LUNA, FLASH = "outputs/sandbox-luna", "outputs/sandbox-flash"
RUN = ("run", "--sandbox", "--dataset", "data", "--mode", "live", "--tasks", "2,8")
HOSTILE = {
    "En-t2-1": "<img src=x onerror=\"document.title='owned'\"><b>bold</b>",
    "En-t2-2": "</script><script>document.title='owned'</script><!-- <script>",
    "En-t2-3": "one\u2028two\u2029three & four",
    "En-t2-4": "before \u202eafter \u2066isolated",
    "En-t2-5": "\x1b[31mred\x1b[0m \x07bell \x00nul",
    "En-t2-6": "=1+1; javascript:alert(1) {{7*7}} ${7*7}",
    "Ur-t2-1": "\u0639\u0644\u0645\u200c\u0648\u0627\u0644\u06d2 \u0643\u062a\u0627\u0628 \u064a\u06c1\u0627\u06ba",
    "Jp-t2-1": "港には三隻のボートがある。Ｈａｒｂｏｕｒ",
    "Sw-t2-1": "Bandari ina mashua tatu: café.",
}
"""By cell and sample; answers of the first run."""
ALIKE = "Sw-t8-"
"""The five questions that both runs answer in the same words."""
QUESTIONS = 4 * (6 + 5)
LONGEST_WAIT_MS = 30_000
REASONS = "Names the colour <b>rightly</b>."


def make_study(folder: Path) -> Command:
    """A folder with a dataset and two runs over it, in four languages; one answer of the second run was refused, one
    cut short, one failed."""
    make_dataset(folder / "data", samples=6, texts=5)
    command = WarmCommand(folder, {"HOME": str(folder.parent)})
    luna = command(*RUN, "--backend", "openai", "--name", "luna")
    assert luna.code == 0, luna
    faults = ("blocked_prompt:times=1", "max_tokens:times=1", "error@gemini:status=400,code=INVALID_ARGUMENT,times=1")
    shown = [word for fault in faults for word in ("--fault", fault)]
    flash = command(*RUN, "--backend", "gemini", "--name", "flash", "--concurrency", "1", *shown)
    assert flash.code == 3, flash
    change_answers(folder / LUNA, lambda key, line: line | {"text": HOSTILE[key]} if key in HOSTILE else line)
    said = {short_key(line["key"]): line["text"] for line in stored_lines(folder / LUNA)}
    change_answers(folder / FLASH, lambda key, line: line | {"text": said[key]} if key.startswith(ALIKE) else line)
    return command


Change = Callable[[str, dict[str, Any]], dict[str, Any]]


def change_answers(run: Path, change: Change) -> None:
    """Replace a run's stored lines. change: called with cell and sample, and the line."""
    for path in run.glob("checkpoints_*/checkpoint_*.jsonl"):
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        changed = [change(short_key(line["key"]), line) for line in lines]
        path.write_text("".join(json.dumps(line) + "\n" for line in changed))


def short_key(key: str) -> str:
    """Cell and sample of a request's key."""
    return key.replace("-1shot-rationales", "")


def write_judgements(
    run: Path, judge: str = "strict-judge", more: Iterator[Verdict] | tuple[Verdict, ...] = ()
) -> None:
    """A verdict on each answer of a run, from 10 upwards; refused answers have none."""
    verdicts = []
    for number, line in enumerate(stored_lines(run)):
        key = short_key(line["key"])
        verdicts.append(make_verdict(run, judge, key, line.get("text") or "", 10 + number % 90))
    write_verdicts(run / JUDGED / judge / VERDICTS_FILE, [*verdicts, *more])


def make_verdict(run: Path, judge: str, key: str, text: str, overall: int | None, **more: Any) -> Verdict:
    cell, _, sample_id = key.rpartition("-")
    return Verdict(
        rater=judge,
        kind="judge",
        run=run.name,
        variant=LABEL,
        cell=Cell(cell),
        sample_id=sample_id,
        answer_digest=hashlib.sha256(text.encode()).hexdigest(),
        image_digest=hashlib.sha256(sample_id.encode()).hexdigest(),
        overall=overall,
        criteria={"true to the image": 4, "complete": 3},
        reasons=REASONS,
        **more,
    )


def stored_lines(run: Path) -> list[dict[str, Any]]:
    """The run's lines with an answer, in the order of its files."""
    paths = sorted(run.glob("checkpoints_*/checkpoint_*.jsonl"))
    lines = [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]
    return [line for line in lines if line.get("text")]


def write_report(command: Command, path: Path, *runs: str) -> Path:
    result = command("report", *runs, "--out", str(path))
    assert result.code == 0, result
    return path


def once(condition: str) -> str:
    """A promise in JavaScript: true once the condition holds, false if it does not in time."""
    return f"""(async () => {{
        const began = performance.now();
        while (!({condition})) {{
            if (performance.now() - began > {LONGEST_WAIT_MS}) return false;
            await new Promise((resolve) => setTimeout(resolve, 10));
        }}
        return true;
    }})()"""

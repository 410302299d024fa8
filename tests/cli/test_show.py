"""`vlures show` in a terminal: what is shown of an answer, which answers, and what a hostile text cannot do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command, Sandbox, launch_sandbox, make_dataset
from tests.warm import WarmCommand

HOSTILE = "A harbour.\x1b[2J\u202eboats\u2066 \u200bhere\u200c, and </script> =1+1."


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """A folder with a run in two languages: the texts are hostile, two questions failed and one was refused."""
    folder = make_dataset(tmp_path_factory.mktemp("shown") / "work/data", samples=3, texts=2).parent
    for number in (1, 2):
        (folder / f"data/text{number}.txt").write_text(
            f"{HOSTILE} " + f"Text {number} goes on. " * 30, encoding="utf-8"
        )
    command = WarmCommand(folder)
    sandbox: Sandbox = launch_sandbox(folder.parent / "sandbox")
    command.use(sandbox)
    sandbox.show("error@chat:status=400,message=Not this one.,after=4,times=2", "refusal@chat:after=2,times=1")
    asked = ("--languages", "En,Ur", "--tasks", "1,7", "--dataset", "data", "--name", "shown", "--concurrency", "1")
    result = command("run", "--backend", "openai", "--mode", "live", *asked)
    sandbox.process.terminate()
    sandbox.process.wait(timeout=20)
    assert result.code == 3, result
    return command


def test_an_answer_comes_with_its_image_the_beginning_of_its_text_and_its_status(run: Command) -> None:
    shown = run("show", "outputs/shown", "--sample", "2", "--task", "7", "--language", "En")
    assert shown.code == 0, shown
    image, text, _, head, said = shown.out.splitlines()
    assert image == "data/image2.png, 48 × 32"
    assert text.startswith("text: A harbour.")
    assert text.endswith("… (529 characters)")
    assert head.startswith("English · 7 unrelatedness · sample 2 · 1shot_rationales · outputs/shown · ")
    assert said.startswith("    [")


def test_nothing_in_a_text_is_obeyed_by_the_screen(run: Command) -> None:
    shown = run("show", "outputs/shown", "1").out
    assert "A harbour.\\x1b[2J\\u202eboats\\u2066 \\u200bhere\u200c, and </script> =1+1." in shown
    assert not set("\x1b\u202e\u2066\u200b") & set(shown)


def test_what_failed_is_found_with_its_reason(run: Command) -> None:
    lines = run.checkpoint_lines("shown")
    failed = [line for line in lines if line["status"] == "failed"]
    shown = run("show", "outputs/shown", "--status", "failed")
    assert shown.code == 0, shown
    assert shown.out.count(" · failed\n") == len(failed) == 2
    assert shown.out.count("[failed: 400") == 2
    assert "Not this one." in shown.out
    refused = run("show", "outputs/shown", "--status", "refused", "--status", "truncated").out
    assert refused.count(" · refused\n") == 1
    assert "I'm sorry" in refused or "معذرت" in refused


def test_a_long_list_is_cut_and_says_so(run: Command) -> None:
    shown = run("show", "outputs/shown", "--status", "ok", "--limit", "2")
    assert shown.out.count("· sample") == 2
    assert "5 more answers; raise --limit, or get all of them with `vlures export outputs/shown`." in shown.err
    whole = run("show", "outputs/shown", "--status", "ok")
    assert whole.out.count("· sample") == 7
    assert whole.out.count("data/image1.png, 48 × 32") == 1, "the image is named once for its answers"
    one = run("show", "outputs/shown", "1", "--limit", "1")
    assert (one.out.count("· sample"), "3 more answers" in one.err) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--status", "truncated"), 1, "has no answer that is truncated"),
        (("9",), 1, "no answer about sample 9"),
        (("3", "--task", "7"), 1, "has no such answer about sample 3; there are"),
        (("--task", "8"), 1, "has no such answer; `vlures status outputs/shown` counts"),
        (("1", "--sample", "2"), 2, "Two samples are named, 1 and 2"),
        (("--group", "presence"), 2, "`groups` selects nothing; name languages or tasks"),
        (("--task", "9"), 2, "`tasks`"),
        (("--status", "lost"), 2, "lost"),
    ],
)
def test_what_is_not_there_is_one_sentence(run: Command, words: tuple[str, ...], code: int, said: str) -> None:
    result = run("show", "outputs/shown", *words)
    assert result.code == code, result
    assert said in result.err


def test_a_table_is_selected_by_its_groups(tmp_path: Path, shared_sandbox: Sandbox) -> None:
    make_dataset(tmp_path / "images", samples=2, texts=0)
    rows = [
        {"id": f"q{number}", "image": f"images/image{number}.png", "question": f"Question {number}?", "group": group}
        for number, group in ((1, "near"), (2, "far"))
    ]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = WarmCommand(tmp_path)
    command.use(shared_sandbox)
    asked = ("--benchmark", "table", "--questions", "asked.jsonl", "--name", "table")
    assert command("run", "--backend", "openai", "--mode", "live", *asked).code == 0
    shown = command("show", "outputs/table", "--group", "far")
    assert shown.code == 0, shown
    assert "far · sample q2 · " in shown.out
    assert "text: Question 2?" in shown.out
    assert "q1" not in shown.out

"""vlures.run, run_async, load and show: the same lock, store and resume as the command's, from a program or a
notebook."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import vlures
from tests.conftest import Command, Sandbox, make_dataset, wait_until
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.records import Response, Usage
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key
from vlures.store.lock import hold_folder

OPTIONS: dict[str, Any] = {"backend": "gemini", "model": "gemini-3.8-flash", "dataset": "data"}
FOLDER = "outputs/gemini-3.8-flash"


@pytest.fixture
def work(tmp_path: Path, shared_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command's folder, with a dataset of six samples; this process works there too, with the sandbox's address."""
    command = Command(tmp_path)
    make_dataset(tmp_path / "data", samples=6, texts=5)
    command.use(shared_sandbox)
    monkeypatch.chdir(tmp_path)
    for name, value in command.environment.items():
        monkeypatch.setenv(name, value)
    return command


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run over it: Japanese and Urdu, tasks 2 and 8; one answer refused, one cut short, one failed.
    Then an answer in Urdu that would be HTML, and one imported, of a setting of its own."""
    folder = tmp_path_factory.mktemp("finished") / "work"
    make_dataset(folder / "data", samples=6, texts=5)
    faults = ("blocked_prompt:times=1", "max_tokens:times=1", "error@gemini:status=400,code=ODD,message=Odd.,times=1")
    shown = [word for fault in faults for word in ("--fault", fault)]
    words = [word for key, value in OPTIONS.items() for word in (f"--{key}", value)]
    result = Command(folder)(
        "run",
        "--sandbox",
        *words,
        "--name",
        "x",
        "--languages",
        "Jp,Ur",
        "--tasks",
        "2,8",
        "--concurrency",
        "1",
        *shown,
    )
    assert result.code == 3, result
    store = CheckpointStore(folder / "outputs/sandbox-x", Setting())
    answer = next(store.responses(make_cell("Ur", 8), "5"))[1]
    store.ask_again(make_cell("Ur", 8), "5", "redo")
    html = '<script>alert("x")</script> $5 & \u200fاردو'
    store.append(Response(answer["key"], "ok", answer["digest"], html, "<b>考え</b>", usage=Usage(1_000_000, 7)))
    store.close()
    zero = CheckpointStore(folder / "outputs/sandbox-x", Setting(shots=0, rationales=False))
    key = request_key(make_cell("Sw", 1), zero.variant, "2")
    zero.append(Response(key, "ok", "", "Jibu la zamani.", imported="checkpoint_task1_Sw.json"))
    zero.close()
    return folder


@pytest.fixture
def finished(finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process works in a copy of that folder."""
    shutil.copytree(finished_run, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


# Running


def test_a_run_from_a_program_and_one_of_the_command_are_the_same_run(
    work: Command, shared_sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    (work.folder / "run.toml").write_text(
        "\n".join(f"{key} = {json.dumps(value)}" for key, value in OPTIONS.items()) + "\nlimit = 1\n"
    )
    outcome = vlures.run("run.toml", languages=["Jp", "Swahili"], tasks=range(2, 4), limit=np.int64(3))
    assert (outcome.complete, outcome.counts) == (True, {"ok": 12})
    assert outcome.output == Path(FOLDER)
    assert len(work.answers("gemini-3.8-flash")) == len(shared_sandbox.ledger) == 12
    captured = capsys.readouterr()
    assert "12 due of 12 requests" in captured.err
    assert captured.out == ""

    result = work("run", "-c", "run.toml", "--languages", "Jp,Sw", "--tasks", "2,3", "--limit", "4")
    assert "4 due of 16 requests" in result.err
    config = vlures.RunConfig(**OPTIONS, languages=("Jp", "Sw"), tasks=(2, 3))
    outcome = vlures.run(config, samples=np.array([1, 2, 4]))
    assert outcome.complete
    assert set(shared_sandbox.paid.values()) == {1}
    assert len(shared_sandbox.ledger) == 16


def test_what_fails_is_told_and_the_same_call_goes_on(work: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("error@gemini:status=400,code=INVALID_ARGUMENT,message=It is odd.,times=1")
    outcome = vlures.run(**OPTIONS, languages="Jp", tasks=2)
    assert not outcome.complete
    assert outcome.counts == {"ok": 5, "failed": 1}
    assert "It is odd." in next(iter(outcome.failures))
    with hold_folder(Path(FOLDER)), pytest.raises(vlures.VluresError, match=r"gemini-3.8-flash is in use by process"):
        vlures.run(**OPTIONS, languages="Jp", tasks=2)
    assert asyncio.run(vlures.run_async(**OPTIONS, languages="Jp", tasks=2)).complete
    assert len(shared_sandbox.ledger) == 6


@pytest.mark.parametrize(
    ("config", "options", "words"),
    [
        (None, {"limt": 3}, ["`limt` is not an option", "did you mean `limit`?"]),
        (None, {"api_key": "sk-secret"}, ["a key does not belong in a configuration"]),
        (None, {"limit": 0}, ["`limit` is 0"]),
        (None, {"tasks": [9]}, ["`tasks`", "no task 9"]),
        (vlures.RunConfig(limit=-1), {}, ["`limit` is -1"]),
        (vlures.RunConfig(backend="gemmini"), {}, ["`backend`", "choose from"]),  # type: ignore[arg-type]
        ("none.toml", {}, ["none.toml cannot be read"]),
        (42, {}, ["42 is not a configuration"]),
    ],
)
def test_a_wrong_option_is_one_sentence(config: Any, options: dict[str, Any], words: list[str]) -> None:
    for call in (lambda: vlures.run(config, **options), lambda: asyncio.run(vlures.run_async(config, **options))):
        with pytest.raises(vlures.UsageError) as caught:
            call()
        for word in words:
            assert word in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_loop_is_not_held_up_by_a_run_that_it_awaits(work: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("latency@gemini:seconds=0.2")

    async def main() -> int:
        running = asyncio.create_task(vlures.run_async(**OPTIONS, languages="Jp", tasks="2,8"))
        turns = 0
        while not running.done():
            await asyncio.wait([running], timeout=0.005)
            turns += 1
        assert (await running).complete
        return turns

    assert asyncio.run(main()) > 5


def test_a_run_whose_task_is_cancelled_keeps_what_was_paid(work: Command, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("latency@gemini:seconds=0.2")

    async def main() -> None:
        running = asyncio.create_task(vlures.run_async(**OPTIONS, languages="Jp,Sw", tasks="1-5", concurrency=5))
        while not work.checkpoint_lines("gemini-3.8-flash"):
            await asyncio.wait([running], timeout=0.01)
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert 0 < len(work.checkpoint_lines("gemini-3.8-flash")) == len(shared_sandbox.ledger) < 60


# vlures is imported, and looked at, before anything else may load what is heavy.
LIGHT = """
import sys
import vlures
from vlures import load, run, show
assert not {"openai", "google.genai", "pandas", "PIL", "click", "IPython", "nest_asyncio2"} & set(sys.modules)
assert {"run", "run_async", "load", "show", "RunConfig", "Outcome", "Incomplete"} <= set(dir(vlures))
vlures.run(sys.argv[1], tasks=[1], limit=1)
assert vlures.run is run and vlures.show is show and "nest_asyncio2" not in sys.modules
"""
PLAIN = LIGHT + "vlures.run(sys.argv[1])"
# The system may give the signal to any thread; the one that waits is then not woken by it.
ELSEWHERE = (
    LIGHT
    + """
import signal, threading
threading.Thread(target=threading.Event().wait, daemon=True).start()
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
vlures.run(sys.argv[1])
"""
)
NESTED = """
import asyncio, sys
import vlures

async def tick():
    while True:
        await asyncio.sleep(0.005)
        ticks.append(1)

async def main():
    asyncio.create_task(tick())
    first = vlures.run(sys.argv[1], tasks=[1], limit=1)
    print(first.complete, len(ticks) > 5, "nest_asyncio2" in sys.modules, flush=True)
    vlures.run(sys.argv[1])

ticks = []
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "program", [PLAIN, ELSEWHERE, NESTED], ids=["no loop", "a signal for another thread", "a running loop"]
)
def test_an_interrupted_run_waits_for_what_is_paid(work: Command, shared_sandbox: Sandbox, program: str) -> None:
    shared_sandbox.show("latency@gemini:seconds=1")
    options = {**OPTIONS, "languages": ["Jp", "Sw"], "tasks": "1-5", "concurrency": 5}
    (work.folder / "run.toml").write_text("\n".join(f"{key} = {json.dumps(value)}" for key, value in options.items()))
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run.toml"],
        cwd=work.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(process, lambda: len(work.checkpoint_lines("gemini-3.8-flash")) > 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert "Stopping: waiting for the answers in flight" in err
    assert err.rstrip().endswith("KeyboardInterrupt"), err
    assert out == ("True True True\n" if program == NESTED else "")
    assert 2 < len(work.checkpoint_lines("gemini-3.8-flash")) == len(shared_sandbox.ledger) < 60


def test_a_loop_that_cannot_be_waited_in_is_named_before_anything_begins(work: Command) -> None:
    uvloop = pytest.importorskip("uvloop", reason="comes with the test server's own extras")

    async def main() -> None:
        vlures.run(**OPTIONS)

    loop = uvloop.new_event_loop()
    try:
        with pytest.raises(vlures.UsageError, match=r"uvloop.Loop; write `await vlures.run_async\(…\)` instead"):
            loop.run_until_complete(main())
    finally:
        loop.close()
    assert not (work.folder / "outputs").exists()


# Loading


def test_a_table_holds_every_answer_whatever_its_status(finished: Path) -> None:
    table = vlures.load("outputs/sandbox-x")
    lines = {line["key"]: line for line in Command(finished).checkpoint_lines("sandbox-x")}
    assert set(table["key"]) == set(lines)
    assert len(table) == len(lines) == 2 * (6 + 5) + 1
    assert set(table["status"]) == {"ok", "refused", "truncated", "failed"}
    for row in table.to_dict("records"):
        line = lines[row["key"]]
        assert (row["status"], row["digest"]) == (line["status"], line.get("digest", ""))
        for column, value in (("answer", line.get("text")), ("reasoning", line.get("reasoning"))):
            assert (None if row[column] is pd.NA else row[column]) == value
        number = row["sample_id"]
        text = f"data/text{number}.txt" if number <= 5 else None
        if not line.get("imported"):
            assert row["image"] == f"data/image{number}.png"
            assert (None if row["article_path"] is pd.NA else row["article_path"]) == text
    assert set(table["run"]) == {"outputs/sandbox-x"}
    kinds = {name: str(table[name].dtype) for name in ("input_tokens", "task", "latency_s", "rationales", "answer")}
    assert kinds == {
        "input_tokens": "Int64",
        "task": "Int64",
        "latency_s": "Float64",
        "rationales": "boolean",
        "answer": "string",
    }
    assert str(table["time"].dt.tz) == "UTC"
    by_key = table.set_index("key")
    imported = by_key.loc["Sw-t1-0shot-norationales-2"]
    assert imported["input_tokens"] is imported["cost_usd"] is pd.NA
    million = by_key.loc["Ur-t8-1shot-rationales-5"]
    assert million["cost_usd"] == pytest.approx(1_000_000 * 7.5e-07 + 7 * 4.5e-06, rel=0.3)
    summary = json.loads((finished / "outputs/sandbox-x/results_1shot_rationales/summary.json").read_text("utf-8"))
    others = table[(table["setting"] == "1shot_rationales") & (table["key"] != "Ur-t8-1shot-rationales-5")]
    assert 0 < others["cost_usd"].sum() < summary["cost_usd"]
    assert set(table.groupby(["setting", "language"]).size()) == {1, 11}


def test_several_runs_are_one_table(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("outputs/sandbox-x", "outputs/sandbox-y")
    Path("outputs/notes").mkdir()
    one = vlures.load("outputs/sandbox-y")
    for outputs in ("outputs/*", ["outputs/sandbox-x", Path("outputs/sandbox-y"), "outputs/*-x"]):
        table = vlures.load(outputs)
        assert table.groupby("run").size().to_dict() == {
            "outputs/sandbox-x": len(one),
            "outputs/sandbox-y": len(one),
        }
        assert not table.duplicated(["run", "key"]).any()
    config = vlures.RunConfig(sandbox=True, name="x")
    assert set(vlures.load(config)["run"]) == {"outputs/sandbox-x"}
    assert "read" not in capsys.readouterr().err
    shutil.rmtree("data")
    table = vlures.load("outputs/sandbox-x")
    assert len(table) == len(one)
    assert table["image"].isna().all()
    assert table["answer"].count() == one["answer"].count()
    assert "dataset folder data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ("outputs", ["outputs holds no run itself", "outputs/*"]),
        ("outputs/none", ["outputs/none holds no run"]),
        ("elsewhere/*", ["elsewhere/*", "vlures status"]),
        ([], ["No run is named"]),
        ([42], ["42 does not name a run"]),
    ],
)
def test_a_run_that_is_not_there_is_one_sentence(finished: Path, outputs: Any, words: list[str]) -> None:
    for call in (lambda: vlures.load(outputs), lambda: vlures.show(1, outputs)):
        with pytest.raises(vlures.VluresError) as caught:
            call()
        assert all(word in str(caught.value) for word in words), caught.value


def test_what_is_no_time_is_an_empty_place(finished: Path) -> None:
    path = next(Path("outputs/sandbox-x").glob("checkpoints_*/checkpoint_*.jsonl"))
    path.write_text(re.sub(r'"time":"[^"]*"', '"time":"yesterday"', path.read_text("utf-8"), count=1), "utf-8")
    table = vlures.load("outputs/sandbox-x")
    assert table["time"].isna().sum() == 1


def test_without_pandas_the_extra_is_named(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(vlures.VluresError, match=r"pip install 'vlures\[pandas\]'"):
        vlures.load("outputs/sandbox-x")


# Showing


def cards(html: str) -> Iterator[str]:
    """The texts of a page, tags taken away, answer by answer."""
    for card in html.split("<b>")[1:]:
        yield re.sub(r"<[^>]*>", "\n", card)


def test_a_sample_is_shown_with_all_that_was_said_about_it(finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    page = vlures.show(5)
    assert repr(page) == "Page(sample_id=5, answers=4)"
    html = page._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; $5 &amp; \u200fاردو" in html
    assert "&lt;b&gt;考え&lt;/b&gt;" in html
    assert "mathjax_ignore" in html.split(">")[0]
    assert html.count("<img ") == 1
    found = [(match[1], match[2]) for match in re.finditer(r'<div dir="(\w+)"(?: lang="(\w+)")?', html)]
    assert found.count(("rtl", "ur")) == 2
    assert found.count(("ltr", "ja")) == 2
    assert ("auto", None) in found  # the article, in English whatever was asked
    heads = [card.strip().splitlines()[0] for card in cards(html)]
    assert heads == [
        f"{language} · {task}"
        for language in ("Japanese", "Urdu")
        for task in ("2 scene understanding", "8 visual question answering")
    ]
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_what_is_no_answer_says_so(finished: Path) -> None:
    table = vlures.load("outputs/sandbox-x")
    for status in ("refused", "truncated", "failed"):
        row = table[table["status"] == status].iloc[0]
        page = vlures.show(row["sample_id"], languages=row["language"], tasks=row["task"])
        assert page.answers == 1
        assert f"{status}: " in next(cards(page.html))


def test_a_big_picture_is_scaled_down_and_stands_upright(finished: Path) -> None:
    for path, size in ((finished / "data/image3.png", (3000, 1000)), (finished / "data/image4.png", (20, 10))):
        image = Image.new("RGBA", size, (255, 0, 0, 0))
        exif = image.getexif()
        exif[0x0112] = 6  # as a phone that was held upright has it
        image.save(path, exif=exif)
    vlures.run(sandbox=True, name="big", **OPTIONS, languages="Ur", tasks=1, samples=[3, 4])
    for number, size in ((3, (213, 640)), (4, (10, 20))):
        html = vlures.show(number, "outputs/sandbox-big").html
        data = re.search(r'src="data:image/jpeg;base64,([^"]+)"', html)
        assert data is not None
        with Image.open(io.BytesIO(base64.b64decode(data[1]))) as shown:
            assert shown.size == size
            assert shown.getpixel((0, 0)) == (255, 255, 255)
        both = vlures.show(number, "outputs/*", languages="Ur")
        assert "outputs/sandbox-x" in both.html
        assert "outputs/sandbox-big" in both.html
        assert "missing or have changed since" in both.html  # the picture that the older answer is about
    with pytest.raises(vlures.UsageError, match=r"several runs under outputs.*sandbox-big, outputs/sandbox-x"):
        vlures.show(3)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((99,), {}, ["outputs/sandbox-x has no answer about sample 99"]),
        ((6,), {"tasks": 8}, ["no such answer about sample 6", "Jp task 2 SU (ok), Ur task 2 SU (ok)"]),
        ((6,), {"languages": "Klingon"}, ["`languages`", "'Klingon' is not one of"]),
        ((6.5,), {}, ["6.5 is not a sample ID"]),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(
    finished: Path, arguments: Any, options: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(vlures.VluresError) as caught:
        vlures.show(*arguments, **options)
    assert all(word in str(caught.value) for word in words), caught.value

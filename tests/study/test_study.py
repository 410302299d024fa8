"""`vlures study`: several runs, judges, tables and a report in one command, which goes on after whatever ended it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command, Sandbox, size_of_checkpoints
from tests.e2e.test_survival import ends_by_itself
from tests.warm import WarmCommand

RUN = """
[runs.gpt]
backend = "openai"
dataset = "data"
languages = ["En", "Ur"]
tasks = [1, 8]
[runs.gemini]
backend = "gemini"
dataset = "data"
languages = ["En", "Ur"]
tasks = [1, 8]
"""
REQUESTS = 2 * 2 * (6 + 5)
"""Of both runs: six samples, five of them with an article, which task 8 needs."""
JUDGES = """
[judges.luna]
backend = "openai"
[judges.flash]
backend = "gemini"
of = ["gpt"]
"""
PRODUCTS = """
[tables]
[compare]
[report]
out = "outputs/page.html"
"""


def write(vlures: Command, *tables: str, name: str = "both.toml") -> str:
    (vlures.folder / name).write_text("".join(tables), encoding="utf-8")
    return name


def stored_answers(outputs: Path) -> int:
    """How many answers runs and judges hold."""
    return sum(len(path.read_bytes().splitlines()) for path in outputs.rglob("checkpoint_*.jsonl"))


@pytest.mark.warm
def test_one_command_does_all_of_it_and_the_next_one_nothing(vlures: WarmCommand, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    file = write(vlures, RUN, JUDGES, PRODUCTS)
    first = vlures("study", file)
    assert first.code == 0, first
    outputs = vlures.folder / "outputs"
    assert len(vlures.answers("gpt")) == len(vlures.answers("gemini")) == REQUESTS / 2
    judged = sorted(path.relative_to(outputs).as_posix() for path in outputs.glob("*/judged/*/verdicts.jsonl"))
    assert judged == [
        "gemini/judged/luna/verdicts.jsonl",
        "gpt/judged/flash/verdicts.jsonl",
        "gpt/judged/luna/verdicts.jsonl",
    ]
    made = {name: (outputs / name).read_bytes() for name in ("both.md", "both-compare.md", "page.html")}
    paid = shared_sandbox.paid
    assert sum(paid.values()) == stored_answers(outputs)

    second = vlures("study", file)
    assert second.code == 0, second
    assert "outputs/both.md is up to date" in second.err
    assert {name: (outputs / name).read_bytes() for name in made} == made
    assert shared_sandbox.paid == paid


@pytest.mark.warm
def test_all_batches_are_sent_before_any_is_waited_for(vlures: WarmCommand, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    runs = RUN.replace("tasks = [1, 8]", 'tasks = [1]\nmode = "batch"\ncanary = false')
    result = vlures("study", write(vlures, runs))
    assert result.code == 0, result
    begun = [line for line in result.err.splitlines() if line.startswith("── vlures run")]
    assert [("gpt" in line.split(), "--no-wait" in line) for line in begun] == [
        (True, True),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert sum(shared_sandbox.paid.values()) == stored_answers(vlures.folder / "outputs")


@pytest.mark.warm
def test_a_product_is_made_again_only_if_something_has_changed(vlures: WarmCommand, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    assert vlures("study", write(vlures, RUN.replace("tasks", "limit = 2\ntasks"), "[report]\n")).code == 0
    before = (vlures.folder / "outputs/both.html").read_bytes()
    result = vlures("study", write(vlures, RUN.replace("tasks", "limit = 3\ntasks"), "[report]\n"))
    assert result.code == 0, result
    assert "up to date" not in result.err
    assert (vlures.folder / "outputs/both.html").read_bytes() != before


@pytest.mark.warm
def test_killed_again_and_again_it_goes_on_and_nothing_is_paid_twice(
    vlures: Command, start_sandbox: Callable[..., Sandbox]
) -> None:
    seed = random.randrange(1_000_000)
    print(f"seed {seed}")
    moments = random.Random(seed)
    sandbox = start_sandbox("--batch-seconds", "0.5")
    vlures.use(sandbox)
    options = 'mode = "batch"\ncanary = false\n[runs.gemini]'
    runs = RUN.replace("[runs.gemini]", options)
    runs += 'mode = "batch"\ncanary = false\n'
    file = write(vlures, runs, '[judges.luna]\nbackend = "openai"\nmode = "batch"\ncanary = false\n', PRODUCTS)
    kills = 0
    while not ends_by_itself(vlures.start("study", file), vlures.folder / "outputs/gpt", moments.uniform(100, 30_000)):
        kills += 1
    assert kills
    assert set(sandbox.paid.values()) == {2}  # once by each run, and once by the judge of each: their IDs are the same
    assert len(vlures.answers("gpt")) == len(vlures.answers("gemini")) == REQUESTS / 2
    assert size_of_checkpoints(vlures.folder / "outputs/gpt/judged/luna")
    assert (vlures.folder / "outputs/page.html").is_file()


@pytest.mark.warm
def test_a_run_that_cannot_go_on_stops_neither_the_others_nor_what_is_made_of_them(
    vlures: WarmCommand, shared_sandbox: Sandbox
) -> None:
    vlures.use(shared_sandbox)
    broken = RUN.replace('dataset = "data"', 'dataset = "nowhere"', 1)
    result = vlures("study", write(vlures, broken, JUDGES.replace('of = ["gpt"]', ""), PRODUCTS))
    assert result.code == 1, result
    assert "nowhere" in result.err
    assert "has nothing to judge in outputs/gpt yet" in result.err
    assert (vlures.folder / "outputs/gemini/judged/flash/verdicts.jsonl").is_file()
    assert (vlures.folder / "outputs/page.html").is_file()


@pytest.mark.warm
def test_the_commands_of_a_study_can_be_typed_one_by_one(vlures: WarmCommand) -> None:
    result = vlures("study", write(vlures, RUN, JUDGES, PRODUCTS), "--commands")
    assert result.code == 0, result
    shared = "--dataset data --languages En --languages Ur --tasks 1 --tasks 8"
    assert result.out.splitlines() == [
        f"vlures run --backend openai {shared} --name gpt",
        f"vlures run --backend gemini {shared} --name gemini",
        "vlures judge outputs/gpt --backend openai --name luna",
        "vlures judge outputs/gemini --backend openai --name luna",
        "vlures judge outputs/gpt --backend gemini --name flash",
        "vlures tables outputs/gpt outputs/gemini --out outputs/both.md --force",
        "vlures compare outputs/gpt outputs/gemini --out outputs/both-compare.md --force",
        "vlures report outputs/gpt outputs/gemini --out outputs/page.html --force",
    ]
    assert not (vlures.folder / "outputs").exists()


@pytest.mark.warm
def test_a_plan_sends_nothing(vlures: WarmCommand, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    result = vlures("study", write(vlures, RUN, JUDGES), "--plan")
    assert result.code == 0, result
    assert "once the answers are there" in result.err
    assert not shared_sandbox.ledger
    assert not (vlures.folder / "outputs").exists()


@pytest.mark.warm
@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ("names no run",)),
        ("[run.a]\n", ("`run` is unknown", "`runs`")),
        ("runs = 3\n", ("`runs` is 3, not a table",)),
        ("[runs]\na = 3\n", ("`runs.a` is 3, not a table",)),
        ('[runs.a]\nname = "b"\n', ("[runs.a]", "leave `name` out")),
        ("[runs.a]\nconfig = 3\n", ("`config` is 3",)),
        ('[runs.a]\nconfig = "gone.toml"\n', ("gone.toml",)),
        ('[runs.a]\nbackend = "nobody"\n', ("backend", "nobody")),
        ("[runs.a]\ntemprature = 1\n", ("temprature", "temperature")),
        ('[runs."a b"]\n', ("letters, digits",)),
        ('[runs.a]\n[judges.b]\nof = ["c"]\n', ("'c'", "the runs are a")),
        ("[runs.a]\n[judges.b]\nof = []\n", ("`of` is []",)),
        ("[runs.a]\n[judges.b]\nbackground = 1\n", ("background",)),
        ('name = "a/b"\n[runs.a]\n', ("`name` is 'a/b'",)),
        ("[runs.a\n", ("broken.toml",)),
        ('[runs.a]\n[tables]\nfromat = "csv"\n', ("broken.toml: [tables]", "--fromat", "--format")),
        ('[runs.a]\n[compare]\nformat = "xml"\n', ("broken.toml: [compare]", "xml")),
        ('[runs.a]\n[report]\nmax_mb = "much"\n', ("broken.toml: [report]", "much")),
    ],
)
def test_what_no_study_has_is_refused_before_anything_is_sent(
    vlures: WarmCommand, content: str, words: tuple[str, ...]
) -> None:
    result = vlures("study", write(vlures, content, name="broken.toml"))
    assert result.code == 2, result
    for word in words:
        assert word in result.err, result
    assert not Path(vlures.folder, "outputs").exists()

"""`vlures judge --pairwise`: each pair in both orders; a choice that turns with the order is no preference."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Command
from tests.judge.conftest import ANSWERS, RUN
from vlures.judge.pairs import decide
from vlures.judge.verdicts import read_verdicts

pytestmark = pytest.mark.warm
OTHER = "outputs/sandbox-other"


@pytest.fixture
def two(answered: Command) -> Command:
    """A second run, whose answers about sample 1 in English are those about sample 2."""
    shutil.copytree(answered.folder / RUN, answered.folder / OTHER)
    for path in (answered.folder / OTHER).glob("checkpoints_*/checkpoint_*_En.jsonl"):
        lines = {line["key"].rpartition("-")[2]: line for line in map(json.loads, path.read_bytes().splitlines())}
        lines["1"]["text"] = lines["2"]["text"]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines.values()), encoding="utf-8")
    return answered


def compare(command: Command, *arguments: str) -> Any:
    line = ("judge", RUN, "--pairwise", OTHER, "--sandbox", "--backend", "gemini", "--name", "j", *arguments)
    return command(*line)


def folder_of(command: Command) -> Path:
    return command.folder / RUN / "judged/sandbox-j"


def read(command: Command) -> list[dict[str, Any]]:
    lines = (folder_of(command) / "preferences.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def summary(command: Command) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder_of(command) / "preferences.json").read_bytes())
    return content


def paid(command: Command) -> int:
    return len((folder_of(command) / "sandbox/ledger.jsonl").read_bytes().splitlines())


def test_the_better_answer_is_chosen_in_both_orders(two: Command) -> None:
    ended = compare(two, "--mode", "live")
    assert ended.code == 0, ended
    found = read(two)
    assert len(found) == ANSWERS
    better = {(each["cell"], each["sample_id"]) for each in found if each["decision"] == "first run"}
    assert better == {("En-t1", "1"), ("En-t6", "1")}
    for each in found:
        assert all(each["reasons"].values())
        if each["decision"] == "first run":
            assert each["choices"] == {"straight": "first", "turned": "second"}
    assert "sandbox-answers is better in 2 pairs, sandbox-other in 0" in ended.out.splitlines()[0]
    assert paid(two) == 2 * ANSWERS
    assert compare(two, "--mode", "live").code == 0
    assert paid(two) == 2 * ANSWERS


def test_a_judge_that_takes_what_stands_first_has_no_preference(two: Command) -> None:
    ended = compare(two, "--mode", "batch", "--poll-s", "0.2", "--fault", "blind_judge")
    assert ended.code == 0, ended
    decisions = summary(two)["decisions"]
    assert decisions["first run"] == decisions["second run"] == 0
    assert decisions["flip"] > ANSWERS / 2
    assert f"{decisions['flip']} of {ANSWERS} pairs flipped" in ended.out


def test_what_is_no_choice_is_missing_and_asked_again(two: Command) -> None:
    ended = compare(two, "--mode", "live", "--fault", "malformed_judge:kind=prose,every=3", "--max-attempts", "1")
    assert ended.code == 3, ended
    counts = summary(two)
    assert counts["decisions"]["missing"] > 0
    assert all(reason.startswith("invalid: ") for reason in counts["missing"])
    assert compare(two, "--mode", "live").code == 0
    assert summary(two)["decisions"]["missing"] == 0


@pytest.mark.parametrize("pairwise", [True, False], ids=["pairwise", "one by one"])
def test_what_was_whole_under_a_smaller_output_limit_still_stands(two: Command, pairwise: bool) -> None:
    """Only the reply that was cut is asked for again, and no other verdict is missing for it."""
    rest = ("--pairwise", OTHER) if pairwise else ("--controls", "0")
    line = ("judge", RUN, *rest, "--sandbox", "--backend", "gemini", "--name", "j", "--mode", "live")
    assert two(*line, "--max-output-tokens", "1500", "--fault", "max_tokens:times=1").code == 0
    before = paid(two)
    ended = two(*line, "--max-output-tokens", "3000", "--redo", "truncated")
    assert ended.code == 0, ended
    assert paid(two) == before + 1
    if pairwise:
        assert summary(two)["missing"] == {}
        assert summary(two)["decisions"]["missing"] == 0
    else:
        assert [verdict.missing for verdict in read_verdicts(two.folder / RUN)] == [None] * ANSWERS


def test_answers_to_other_questions_are_not_compared(two: Command) -> None:
    for path in (two.folder / OTHER).glob("checkpoints_*/checkpoint_*_Jp.jsonl"):
        path.unlink()
    ended = compare(two, "--mode", "live")
    assert ended.code == 0, ended
    assert f"{ANSWERS // 2} answers of sandbox-answers without one of sandbox-other" in ended.err
    assert len(read(two)) == ANSWERS // 2
    assert summary(two)["unmatched"] == ANSWERS // 2


def test_the_choices_of_both_orders_make_a_decision() -> None:
    words = ("first", "second", "neither", "due")
    decided = {(straight, turned): decide(straight, turned) for straight, turned in product(words, words)}
    assert decided["first", "second"] == "first run"
    assert decided["second", "first"] == "second run"
    assert decided["first", "first"] == decided["second", "second"] == "flip"
    assert decided["neither", "neither"] == "neither"
    assert {decided["first", "neither"], decided["neither", "second"]} == {"split"}
    assert all(decision == "missing" for choices, decision in decided.items() if "due" in choices)

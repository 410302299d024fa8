"""Scores of street-view answers, through the real command."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import vlures as package
from tests.benchmarks.test_urban import ROWS, URBAN, run, work, write_rows
from tests.conftest import Command, Result, Sandbox, make_dataset
from tests.warm import WarmCommand

__all__ = ["work"]

QUESTIONS: list[dict[str, Any]] = [
    *(
        {"image_id": f"image{image}.png", "question": "Is a car there?", "answer": answer, "subtype": "presence.binary"}
        for image, answer in ((1, "Yes"), (2, "Yes"), (3, "No"), (4, "No"))
    ),
    *(
        {"image_id": f"image{image}.png", "question": "How many cars?", "answer": answer, "subtype": "count"}
        for image, answer in ((1, "2"), (2, "5"), (3, "0"))
    ),
    *(
        {"image_id": f"image{image}.png", "question": "How much sky?", "answer": answer, "subtype": "viewfactor.scalar"}
        for image, answer in ((1, "0.30"), (2, "0.50"))
    ),
    {"image_id": "image1.png", "question": "How deep?", "answer": "Complex", "subtype": "depth.range"},
    {"image_id": "image2.png", "question": "Does depth vary?", "answer": "No", "subtype": "depth.variation"},
    {"image_id": "image1.png", "question": "What is near?", "answer": "tree", "subtype": "depth.closest_object"},
    {"image_id": "image1.png", "question": "No bus?", "answer": "Yes", "subtype": "negation.absence"},
    {"image_id": "image1.png", "question": "Which not?", "answer": "bench", "subtype": "negation.exclusion_choice"},
]
for question in QUESTIONS:
    question |= {"object": "car", "factor": "sky"}
ANSWERS = ["Yes.", "I cannot tell", "not visible", None, "two", "4", "None", "35%", "a lot"]
ANSWERS += ["Simple", "no", "The trees", "No", "There is no bench"]


@pytest.fixture
def made(tmp_path: Path) -> WarmCommand:
    """The command in a folder with a QA file and answers to it, and no image."""
    command = WarmCommand(tmp_path / "made", {"HOME": str(tmp_path)})
    command.folder.mkdir()
    write_rows(command.folder / "test.json", QUESTIONS)
    rows = [{**row, "raw": answer} for row, answer in zip(QUESTIONS, ANSWERS, strict=True)]
    write_rows(command.folder / "mine.jsonl", [{k: v for k, v in row.items() if k != "answer"} for row in rows])
    return command


def score(command: WarmCommand, *options: str) -> Result:
    result = command("score", *URBAN, "test.json", "--answers", "mine.jsonl", *options)
    assert result.code == 0, result
    return result


def read_figures(path: Path) -> dict[str, dict[str, Any]]:
    """By subtype, or by group."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {figure.get("subtype") or figure["group"]: figure for figure in content["figures"]}


def read_predictions(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_question_counts_and_what_has_no_value_is_wrong(made: WarmCommand) -> None:
    score(made)
    figures = read_figures(made.folder / "mine-scores/scores.json")
    presence = figures["presence.binary"]
    assert presence["n"] == 4
    assert presence["states"] == {"valid": 2, "invalid": 1, "failed": 1}
    assert (presence["coverage"], presence["invalid_rate"], presence["accuracy"]) == (0.5, 0.25, 0.5)
    assert (presence["balanced_accuracy"], presence["majority_accuracy"]) == (0.5, 0.5)
    assert presence["f1_yes"] == pytest.approx(2 / (2 + 1 + 1))  # a miss and a false alarm
    assert presence["macro_f1"] == pytest.approx(2 / 3)
    low, high = presence["accuracy_interval"]
    assert 0 < low < 0.5 < high < 1
    count = figures["count"]
    assert (count["accuracy"], count["mae"], count["mae_n"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3), 3)
    scalar = figures["viewfactor.scalar"]
    assert (scalar["accuracy"], scalar["mae"], scalar["mae_n"]) == (None, pytest.approx(0.05), 1)
    assert scalar["median_mae"] == pytest.approx(0.1)


def test_a_group_has_the_metrics_that_all_its_subtypes_share(made: WarmCommand) -> None:
    score(made)
    figures = read_figures(made.folder / "mine-scores/scores.json")
    depth = figures["depth_binary"]  # Complex counts as yes
    assert (depth["n"], depth["accuracy"], depth["f1_yes"]) == (2, 0.5, 0)
    negation = figures["advanced_negation"]  # yes or no, and the name of what is absent
    assert (negation["n"], negation["accuracy"], negation["f1_yes"], negation["macro_f1"]) == (2, 0.5, None, None)
    assert negation["majority_accuracy"] == 1
    assert figures["negation.absence"]["f1_yes"] == 0
    assert figures["negation.exclusion_choice"]["accuracy"] == 1


def test_predictions_say_what_was_read_and_why_not(made: WarmCommand) -> None:
    score(made)
    found = read_predictions(made.folder / "mine-scores/predictions.jsonl")
    assert [row["raw"] for row in found] == ANSWERS
    assert [row["value"] for row in found] == [
        *("yes", None, "no", None, 2, 4, 0, 0.35, None, "simple", "no", "trees", "no", "bench")
    ]
    assert [row["valid"] for row in found] == [row["value"] is not None for row in found]
    reasons = [row["reason"] for row in found if not row["valid"]]
    assert reasons == ["declines to answer", "failed", "no number"]
    assert {"image_id", "question", "subtype", "raw", "valid", "value", "reason"} <= set(found[0])
    assert found[11]["right"], "trees are a tree"


def test_the_heading_of_every_figure_says_how_it_came_about(made: WarmCommand) -> None:
    said = score(made, "--prompt-style", "template", "--cot", "--out", "there")
    page = (made.folder / "there/scores.md").read_text(encoding="utf-8")
    assert page in said.out
    assert page.startswith("# Scores of mine.jsonl: prompt style template with reasoning (--cot), parser strict\n")
    command = "vlures score --benchmark urban --questions test.json --prompt-style template --cot --answers mine.jsonl"
    assert f"again: `{command}`" in page
    assert "0 of 14 questions have a value" in page  # none ends in `Answer:`
    assert json.loads((made.folder / "there/scores.json").read_text())["about"]["prompt_style"] == "template"


def test_the_original_rules_are_for_comparison_and_say_what_is_unknown(made: WarmCommand) -> None:
    said = score(made, "--parser", "legacy")
    figures = read_figures(made.folder / "mine-scores/scores_legacy.json")
    presence = figures["presence_binary"]
    assert presence["n"] == 3, "what failed is left out"
    assert presence["accuracy"] == pytest.approx(1 / 3)  # "I cannot tell" is a no, "not visible" a yes
    assert figures["view_factor_scalar"]["mae"] == pytest.approx((34.7 + 0.5) / 2)  # 35 and 0
    assert figures["count_numeric"]["mae"] == pytest.approx((0 + 1 + 1) / 3)  # "None" has a "one" in it
    assert figures["depth_binary"]["accuracy"] == 1, "Complex and Simple are one"
    negation = figures["advanced_negation"]
    assert negation["f1_of_right"] == pytest.approx(2 * 0.5 / 1.5)
    assert negation["unsettled"]
    assert "parser legacy" in said.out
    assert "1 question has no answer in words" in said.out
    assert not (made.folder / "mine-scores/scores.json").exists()


def test_predictions_are_answers_that_can_be_scored_again(made: WarmCommand) -> None:
    score(made)
    first = (made.folder / "mine-scores/scores.json").read_text(encoding="utf-8")
    (made.folder / "mine.jsonl").write_bytes((made.folder / "mine-scores/predictions.jsonl").read_bytes())
    score(made)
    assert (made.folder / "mine-scores/scores.json").read_text(encoding="utf-8") == first


def test_what_was_cut_off_stays_so_where_predictions_are_scored_again(made: WarmCommand) -> None:
    states = ["valid", "truncated", "refused", "missing", "failed"]
    rows = [
        {**row, "raw": answer, "state": state}
        for row, answer, state in zip(QUESTIONS, ["yes", "yes", "no", None, None], states, strict=False)
    ]
    write_rows(made.folder / "mine.jsonl", rows)
    for _ in range(2):
        score(made)
        figures = read_figures(made.folder / "mine-scores/scores.json")
        assert figures["presence.binary"]["states"] == {"valid": 1, "truncated": 1, "refused": 1, "missing": 1}
        assert figures["count"]["states"] == {"failed": 1, "missing": 2}
        found = read_predictions(made.folder / "mine-scores/predictions.jsonl")
        assert [row["state"] for row in found][:5] == states
        assert [row["right"] for row in found].count(True) == 1
        (made.folder / "mine.jsonl").write_bytes((made.folder / "mine-scores/predictions.jsonl").read_bytes())


def test_a_question_is_known_by_its_words_where_an_id_is_of_another_tool(made: WarmCommand) -> None:
    rows = [{**QUESTIONS[0], "raw": "yes", "sample_id": 17}, {**QUESTIONS[1], "raw": "yes", "sample_id": "q-2"}]
    write_rows(made.folder / "mine.jsonl", rows)
    score(made)
    figures = read_figures(made.folder / "mine-scores/scores.json")
    assert figures["presence.binary"]["states"] == {"valid": 2, "missing": 2}


def test_a_file_s_name_that_is_no_text_is_no_obstacle(made: WarmCommand) -> None:
    name = os.fsdecode(b"mine-\xff.jsonl")
    (made.folder / "mine.jsonl").rename(made.folder / name)
    result = made("score", *URBAN, "test.json", "--answers", name, "--out", "there")
    assert result.code == 0, result
    assert json.loads((made.folder / "there/scores.json").read_text(encoding="utf-8"))["figures"]


def test_errors_that_are_all_the_same_have_no_interval(made: WarmCommand) -> None:
    rows = [{**row, "raw": row["answer"]} for row in QUESTIONS if row["subtype"] in ("count", "viewfactor.scalar")]
    write_rows(made.folder / "mine.jsonl", rows)
    page = score(made).out
    count = read_figures(made.folder / "mine-scores/scores.json")["count"]
    assert (count["mae"], count["mae_interval"]) == (0, None)
    [line] = [line for line in page.splitlines() if "count_numeric" in line and "0.000" in line]
    assert "0.000 to" not in line


def test_no_error_is_below_0_and_neither_is_its_interval(made: WarmCommand) -> None:
    rows = [{**row, "raw": raw} for row, raw in zip(QUESTIONS[4:7], "252", strict=True)]
    write_rows(made.folder / "mine.jsonl", rows)
    score(made)
    count = read_figures(made.folder / "mine-scores/scores.json")["count"]
    assert count["mae_interval"][0] == 0


def test_the_scored_answers_are_never_replaced(made: WarmCommand) -> None:
    answers = made.folder / "mine.jsonl"
    own = answers.rename(made.folder / "predictions.jsonl")
    before = own.read_bytes()
    result = made("score", *URBAN, "test.json", "--answers", "predictions.jsonl", "--out", ".")
    result.assert_stopped(1, "would replace predictions.jsonl itself", "--out")
    assert own.read_bytes() == before
    assert not (made.folder / "scores.json").exists()


def test_rows_of_answers_that_fit_nothing_are_told_of(made: WarmCommand) -> None:
    given = [
        {"image_id": "image1", "question": "Is a car there?", "pred_answer": "yes"},
        {"image_id": "image9", "question": "Is a car there?", "raw": "yes"},
        {"image_id": "image2.png", "question": "Is a car there?", "answer": "yes"},
        {"image_id": "image1.png", "question": "Is a car there?", "raw": "no"},
        {"image_id": "image3.png", "question": "Is a car there?", "raw": ["no"]},
        {"image_id": "image4.png", "question": "Is a car there?", "prediction": 0},
        {"question": "Is a car there?", "raw": "no"},
        {"sample_id": "none", "raw": "no"},
    ]
    write_rows(made.folder / "mine.jsonl", given)
    said = score(made)
    for words in (
        "line 2: answers none of the QA file's questions",
        "line 3: without the model's text (`raw`)",
        "line 4: answers a question that an earlier row has answered",
        "line 5: its `raw` is not a text",
        "line 7: without `image_id` or `question`",
        "6 rows are left out of mine.jsonl",
    ):
        assert words in said.err
    assert read_figures(made.folder / "mine-scores/scores.json")["presence.binary"]["states"]["missing"] == 2
    write_rows(made.folder / "mine.jsonl", given[1:2])
    made("score", *URBAN, "test.json", "--answers", "mine.jsonl").assert_stopped(1, "answers no question of test.json")


def test_a_run_is_scored_as_it_was_asked(work: WarmCommand, shared_sandbox: Sandbox) -> None:
    shared_sandbox.show("max_tokens@gemini:times=1")
    assert run(work).code == 0
    shared_sandbox.show()
    assert run(work, "--prompt-style", "template").code == 0
    result = work("score", "outputs/mine")
    assert result.code == 0, result
    assert "# Scores of outputs/mine: prompt style question, parser strict" in result.out
    assert "# Scores of outputs/mine: prompt style template, parser strict" in result.out
    figures = read_figures(work.folder / "outputs/mine/results_question/scores.json")
    assert sum(figure["states"].get("truncated", 0) for name, figure in figures.items() if "_" in name) == 1
    assert "1 cut off: raise --max-output-tokens" in result.out
    found = read_predictions(work.folder / "outputs/mine/results_question/predictions.jsonl")
    assert len(found) == len(ROWS)
    [cut] = [row for row in found if row["reason"].startswith("truncated")]
    assert (cut["valid"], cut["value"]) == (False, None)
    for path in work.folder.glob("image*.png"):
        path.unlink()
    assert work("score", "outputs/mine").code == 0, "no image is needed"


def test_without_scikit_learn_one_sentence_names_the_extra(made: WarmCommand) -> None:
    absent = made.folder / "absent/sklearn"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError")
    command = Command(made.folder, {**made.environment, "PYTHONPATH": str(absent.parent)})
    result = command("score", *URBAN, "test.json", "--answers", "mine.jsonl")
    result.assert_stopped(1, "Scores need the package scikit-learn; get it with `pip install 'vlures[score]'`")


def test_a_program_scores_a_run(work: WarmCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(work).code == 0
    monkeypatch.chdir(work.folder)
    [content] = package.score("outputs/mine")
    written = json.loads((work.folder / "outputs/mine/results_question/scores.json").read_text(encoding="utf-8"))
    assert content == written
    assert content["about"]["command"] == "vlures score outputs/mine"
    with pytest.raises(package.VluresError, match="holds no run"):
        package.score("outputs/none")


def test_what_was_not_answered_yet_stays_in_the_denominator(work: WarmCommand) -> None:
    assert run(work, "--groups", "count").code == 0
    counted = work("score", "outputs/mine")
    assert "1 question about 1 image" in counted.out
    stopped = run(work, "--max-output-tokens", "1", "--stale", "keep", "--limit", "4")
    assert stopped.code in (0, 3), stopped
    lines = (work.folder / "outputs/mine/checkpoints_question").glob("checkpoint_*.jsonl")
    for path in lines:
        if "count" not in path.name:
            path.unlink()
    result = work("score", "outputs/mine")
    assert "3 not answered yet: `vlures run` asks" in result.out
    assert read_figures(work.folder / "outputs/mine/results_question/scores.json")["depth.range"]["accuracy"] == 0


def test_what_cannot_be_scored_is_one_sentence(work: WarmCommand) -> None:
    make_dataset(work.folder / "data", samples=1)
    asked = ("--backend", "gemini", "--name", "plain", "--dataset", "data", "--tasks", "1", "--languages", "En")
    assert work("run", *asked).code == 0
    work("score", "outputs/plain").assert_stopped(1, "no answers that are right or wrong by themselves")
    work("score", "outputs/none").assert_stopped(1, "outputs/none holds no run")
    work("score", "outputs/plain", "--answers", "x").assert_stopped(2, "Name a run's folder or --answers, not both")
    work("score", "--out", "x").assert_stopped(2, "--out goes with --answers")
    work("score", "--answers", "x.jsonl").assert_stopped(1, "--benchmark vlures are not right or wrong by themselves")
    none = ("--answers", "none.jsonl")
    work("score", *URBAN, "qa.jsonl", *none).assert_stopped(1, "none.jsonl cannot be read")
    work("score", *URBAN, "none.jsonl", *none).assert_stopped(1, "none.jsonl cannot be read")

"""`vlures tables`: what it says of verdicts whose truth is known, in every format."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

import pytest

from tests.conftest import Command, make_dataset
from tests.tables.verdict_files import StoredAnswer, judge, rate, read_stored, write
from tests.warm import WarmCommand

RUN = ("run", "--sandbox", "--backend", "gemini", "--model", "gemini-3.8-flash", "--dataset", "data", "--name", "x")
WHAT = ("--languages", "En,Ur", "--tasks", "1,8", "--concurrency", "1")
IMAGES, ARTICLES = 24, 20

pytestmark = pytest.mark.warm


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over 24 images, 20 of them with an article, in two settings; two answers were refused."""
    folder = tmp_path_factory.mktemp("judged") / "work"
    make_dataset(folder / "data", IMAGES, ARTICLES)
    command = WarmCommand(folder, {"HOME": str(folder)})
    assert command(*RUN, *WHAT, "--fault", "blocked_prompt:times=2").code == 0
    assert command(*RUN, *WHAT, "--no-rationales").code == 0
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> WarmCommand:
    shutil.copytree(finished / "outputs", tmp_path / "work/outputs")
    return WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})


def folder_of(work: Command, name: str = "sandbox-x") -> Path:
    return work.folder / "outputs" / name


def tables(work: Command, *arguments: str) -> list[dict[str, Any]]:
    result = work("tables", *(arguments or ("outputs/sandbox-x",)), "--format", "json")
    assert result.code == 0, result
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def rows_of(found: list[dict[str, Any]], name: str, words: str = "") -> list[dict[str, Any]]:
    [table] = [table for table in found if table["table"] == name and words in table["title"]]
    rows: list[dict[str, Any]] = table["rows"]
    return rows


def row_of(rows: list[dict[str, Any]], **values: str) -> Mapping[str, Any]:
    [row] = [row for row in rows if all(row[name.replace("_", " ")] == value for name, value in values.items())]
    return row


def worth(answer: StoredAnswer) -> int:
    return answer.worth


def test_a_mean_has_what_it_stands_on_and_what_it_leaves_out(work: WarmCommand) -> None:
    unheard = Random(3)
    judge(folder_of(work), "mild", lambda answer: None if unheard.random() < 0.1 else answer.worth)
    given = {(v["variant"], v["cell"], v["sample_id"]): v["overall"] for v in read_verdict_lines(work, "mild")}
    found = tables(work)
    for row in rows_of(found, "means"):
        cell = f"{row['language']}-t{row['task']}"
        scores = [score for (variant, of, _), score in given.items() if (variant, of) == (row["variant"], cell)]
        there = [score for score in scores if score is not None]
        assert row["n"] == row["images"] == len(there)
        assert row["missing"] == pytest.approx(1 - len(there) / len(scores))
        assert row["mean"] == pytest.approx(fmean(there))
        assert row["interval low"] < row["mean"] < row["interval high"]
        if row["missing"] > 0.02:
            none = [1] * (len(scores) - len(there)), [100] * (len(scores) - len(there))
            assert row["if missing were lowest"] == pytest.approx(fmean([*there, *none[0]]))
            assert row["if highest"] == pytest.approx(fmean([*there, *none[1]]))
        else:
            assert row["if highest"] is None
    refused = [row for row in rows_of(found, "means") if row["refused"]]
    assert sum(round(row["refused"] * (IMAGES if row["task"] == "1" else ARTICLES)) for row in refused) == 2
    for row in refused:
        count = round(row["refused"] * (IMAGES if row["task"] == "1" else ARTICLES))
        lowest = (row["mean"] * row["n"] + count) / (row["n"] + count)
        assert row["refused as lowest"] == pytest.approx(lowest), "never mixed into the mean"
    [answers] = [table for table in found if table["table"] == "answers"]
    assert "synthetic" in answers["notes"][0]
    assert [row["answers"] for row in answers["rows"]] == [2 * (IMAGES + ARTICLES)] * 2


def read_verdict_lines(work: Command, name: str) -> list[dict[str, Any]]:
    path = folder_of(work) / "judged" / name / "verdicts.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_macro_means_variants_and_gaps(work: WarmCommand) -> None:
    """Eight points more in English, and five more with rationales."""
    judge(
        folder_of(work),
        "mild",
        lambda answer: 50 + int(answer.sample_id) + 8 * (answer.language == "En") + 5 * ("_ra" in answer.variant),
    )
    found = tables(work)
    macro = rows_of(found, "macro")
    means = [row for row in rows_of(found, "means") if row["variant"] == "1shot_norationales"]
    whole = row_of(macro, variant="1shot_norationales", task="all", language="all")
    assert whole["macro mean"] == pytest.approx(fmean(row["mean"] for row in means))
    assert whole["cells"] == 4
    assert whole["n"] == sum(row["n"] for row in means)
    for gap in rows_of(found, "gaps"):
        assert (gap["language"], gap["test"]) == ("Ur", "paired")
        assert gap["gap"] == pytest.approx(-8)
    assert {gap["task"] for gap in rows_of(found, "gaps")} == {"1", "8", "all"}
    for row in rows_of(found, "variants"):
        assert row["1shot_rationales"] - row["1shot_norationales"] == pytest.approx(5, abs=1), "two were refused"
        assert row["cells"] == 2


def test_other_images_are_not_paired(work: WarmCommand) -> None:
    noise = Random(4)
    verdicts = judge(folder_of(work), "mild", lambda answer: 60 + noise.randrange(20) + 15 * (answer.language == "En"))
    path = folder_of(work) / "judged/mild/verdicts.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["image_digest"] += line["cell"][:2]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    gaps = rows_of(tables(work), "gaps")
    assert {gap["test"] for gap in gaps} == {"unpaired"}
    assert len(verdicts) == len(lines)
    for gap in gaps:
        assert gap["p"] <= gap["p (Holm)"]
    assert all(gap["gap"] < -5 and gap["p (Holm)"] < 0.01 for gap in gaps)


def test_people_correct_a_kind_judge(work: WarmCommand) -> None:
    noise = Random(5)
    judge(folder_of(work), "kind", lambda answer: min(100, answer.worth + 10 + noise.randrange(-2, 3)))
    assert {row["scale"] for row in rows_of(tables(work), "means")} == {"judge"}
    for person in ("p1", "p2"):
        rate(folder_of(work), person, worth, share=0.85, probability=0.85)
    found = tables(work)
    true = {(answer.variant, answer.cell): [] for answer in read_stored(folder_of(work))}  # type: ignore[var-annotated]
    for answer in read_stored(folder_of(work)):
        true[answer.variant, answer.cell].append(answer.worth)
    rows = rows_of(found, "means", "by kind")
    assert any(row["scale"] == "people" for row in rows)
    for row in rows:
        if row["scale"] == "people":
            wanted = fmean(true[row["variant"], f"{row['language']}-t{row['task']}"])
            assert row["corrected"] == pytest.approx(wanted, abs=1)
            assert row["mean"] == pytest.approx(wanted + 10, abs=2), "the judge's own mean stays beside it"
            assert row["corrected low"] < wanted < row["corrected high"]
            assert row["rated by people"] >= 15
    agreement = row_of(rows_of(found, "agreement"), first="kind", second="people", language="all")
    assert agreement["bias"] == pytest.approx(10, abs=1)
    assert agreement["Spearman"] > 0.95
    assert agreement["alpha"] < agreement["Spearman"], "ranks do not see that the judge is kind"
    assert agreement["alpha low"] < agreement["alpha"] < agreement["alpha high"]
    assert {row["language"] for row in rows_of(found, "agreement")} == {"all", "En", "Ur"}
    assert row_of(rows_of(found, "people"), language="all")["alpha"] == pytest.approx(1)


def test_people_correct_macro_means_and_gaps(work: WarmCommand) -> None:
    """A judge that is 10 points too kind in one language only: people see no gap where it sees one."""
    noise = Random(6)
    kindness = {"En": 10, "Ur": 0}

    def judged(answer: StoredAnswer) -> int:
        return min(100, answer.worth + kindness[answer.language] + noise.randrange(-2, 3))

    judge(folder_of(work), "kind", judged)
    assert "corrected" not in rows_of(tables(work), "macro")[0]
    for person in ("p1", "p2"):
        rate(folder_of(work), person, worth, share=0.9, probability=0.9)
    found = tables(work)
    true = [answer for answer in read_stored(folder_of(work)) if answer.variant == "1shot_norationales"]
    cells = {answer.cell: fmean(other.worth for other in true if other.cell == answer.cell) for answer in true}
    whole = row_of(rows_of(found, "macro", "by kind"), variant="1shot_norationales", task="all", language="all")
    assert whole["macro mean"] == pytest.approx(fmean(cells.values()) + 5, abs=1.5)
    assert whole["corrected"] == pytest.approx(fmean(cells.values()), abs=1)
    assert whole["corrected low"] < fmean(cells.values()) < whole["corrected high"]
    assert whole["rated by people"] >= 60
    gap = row_of(rows_of(found, "gaps", "by kind"), variant="1shot_norationales", task="all", language="Ur")
    truth = fmean(cells[f"Ur-t{task}"] - cells[f"En-t{task}"] for task in (1, 8))
    assert gap["gap"] == pytest.approx(truth - 10, abs=1.5)
    assert gap["corrected"] == pytest.approx(truth, abs=1.5)
    assert gap["corrected low"] < truth < gap["corrected high"]


def test_what_was_not_drawn_at_random_corrects_nothing(work: WarmCommand) -> None:
    judge(folder_of(work), "kind", worth)
    rate(folder_of(work), "p1", worth, share=0.8, probability=None)
    [table] = [table for table in tables(work) if table["title"] == "Means by kind"]
    assert "corrected" not in table["rows"][0]
    assert {row["scale"] for row in table["rows"]} == {"judge"}
    assert any("not known that the rated answers were drawn at random" in note for note in table["notes"])


def test_two_judges_are_never_averaged_and_a_blind_one_is_named_first(work: WarmCommand) -> None:
    judge(folder_of(work), "sees", worth, controls=20)
    judge(folder_of(work), "guesses", lambda answer: 60 + answer.worth // 3, controls=20, sees=False)
    result = work("tables", "outputs/sandbox-x")
    assert result.out.index("The judge guesses is BLIND") < result.out.index("## Means")
    titles = [line for line in result.out.splitlines() if line.startswith("## ")]
    assert "## Means by guesses (BLIND)" in titles
    assert "## Means by sees" in titles
    controls = rows_of(tables(work), "controls")
    assert {row["judge"]: row["image"] for row in controls} == {"guesses": "blind", "sees": "sees"}
    assert row_of(controls, judge="sees")["drop"] == pytest.approx(35, abs=3)
    both = row_of(rows_of(tables(work), "agreement"), first="guesses", second="sees", language="all")
    assert both["slope"] < 0, "the first presses its scores together"
    assert both["n"] == sum(1 for _ in read_stored(folder_of(work))), "controls are in nothing"


def test_a_table_ends_with_the_command_that_makes_it_again(work: WarmCommand) -> None:
    judge(folder_of(work), "one", worth)
    judge(folder_of(work), "two", worth)
    everything = work("tables", "outputs/sandbox-x").out
    for table in everything.split("\n## ")[1:]:
        again = table.strip().rpartition("- again: `vlures ")[2].rstrip("`")
        assert work(*again.split()).out.strip() == f"## {table.strip()}"


def test_runs_stand_beside_each_other_and_those_of_one_name_by_their_paths(work: WarmCommand) -> None:
    judge(folder_of(work), "mild", worth)
    shutil.copytree(folder_of(work), folder_of(work, "other"))
    shutil.copytree(folder_of(work), work.folder / "elsewhere/other")
    names = {row["run"] for row in rows_of(tables(work, "outputs/*", "elsewhere/other"), "means")}
    assert names == {"sandbox-x", "outputs/other", "elsewhere/other"}


@pytest.mark.parametrize("form", ["md", "csv", "latex", "json"])
def test_names_from_outside_are_harmless(work: WarmCommand, form: str) -> None:
    """A judge's folder and a person's name that a spreadsheet, a terminal, a browser or LaTeX would obey."""
    judge(folder_of(work), "=HYPERLINK(1)|<b>&\x1b[31m\u202e\\x", worth)
    judge(folder_of(work), "#no_comment$", worth)
    result = work("tables", "outputs/sandbox-x", "--format", form)
    assert result.code == 0, result
    assert "\x1b" not in result.out
    assert "\u202e" not in result.out
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(result.out)) if row and row[0][:1] != "#" for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "#"))]
        assert any(cell.startswith("'=HYPERLINK") for cell in cells)
        assert any(cell.startswith("'#no") for cell in cells)
    if form == "md":
        assert "\\|\\<b\\>" in result.out
    if form == "latex":
        assert r"\#no\_comment\$" in result.out
        assert r"\textless{}b\textgreater{}\&" in result.out
        assert result.out.count(r"\begin{table}") == result.out.count(r"\end{table}")


def test_cells_that_were_asked_after_the_judging_are_counted(work: WarmCommand) -> None:
    verdicts = judge(folder_of(work), "mild", worth)
    left = {(verdict.variant, verdict.cell) for verdict in verdicts if verdict.cell != verdicts[0].cell}
    kept = [verdict for verdict in verdicts if (verdict.variant, verdict.cell) in left]
    write(folder_of(work) / "judged/mild/verdicts.jsonl", kept)
    assert work("tables", "outputs/sandbox-x").out.count("Without a score by mild, so in no mean: 1 cell of") == 2


def test_files_and_decimals(work: WarmCommand) -> None:
    judge(folder_of(work), "mild", worth)
    for name, begins in (("t.md", "## "), ("t.csv", "# "), ("t.tex", r"\begin{table}"), ("t.json", "[")):
        made = work("tables", "outputs/sandbox-x", "--out", name)
        assert (made.code, made.out) == (0, f"Wrote {name}.\n"), made
        assert (work.folder / name).read_text(encoding="utf-8").startswith(begins)
    work("tables", "outputs/sandbox-x", "--out", "t.md").assert_stopped(1, "exists already", "--force")
    assert work("tables", "outputs/sandbox-x", "--out", "t.md", "--force").code == 0
    os.mkfifo(work.folder / "t.json.pipe")
    line = work("tables", "outputs/sandbox-x", "--format", "json", "--out", "t.json.pipe", "--force")
    line.assert_stopped(1, "a device, which is not replaced")
    assert not (work.folder / "t.json.pipe").is_file()
    work("tables", "outputs/sandbox-x", "--out", "t.csv", "--format", "md").assert_stopped(2, "does not fit")
    work("tables", "outputs/sandbox-x", "--out", "t.xyz").assert_stopped(2, "does not say what to write")
    exact = rows_of(tables(work), "means")[0]["mean"]
    assert f"{exact:.5f}" in work("tables", "outputs/sandbox-x", "--decimals", "5").out
    assert work("tables", "outputs/sandbox-x", "--decimals", "1").code == 2


def test_nothing_judged_yet(work: WarmCommand) -> None:
    result = work("tables", "outputs/sandbox-x")
    assert result.code == 0
    assert "Nothing has been judged or scored yet" in result.err
    assert result.out.count("## ") == 1
    work("tables", "outputs/sandbox-x", "--table", "means").assert_stopped(2, "no table 'means'", "vlures judge")
    work("tables", "outputs/sandbox-x", "--table", "odd").assert_stopped(2, "choose from answers, controls")
    work("tables", "outputs/sandbox-x", "--rater", "nobody").assert_stopped(2, "No rater nobody", "raters: none")
    work("tables", "outputs").assert_stopped(1, "name outputs/sandbox-x")


def test_a_line_that_is_no_verdict_is_named(work: WarmCommand) -> None:
    judge(folder_of(work), "mild", worth)
    with (folder_of(work) / "judged/mild/verdicts.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"rater": "mild", "overall": 850.5}\n')
    count = sum(1 for _ in read_stored(folder_of(work)))
    work("tables", "outputs/sandbox-x").assert_stopped(1, f"verdicts.jsonl, line {count + 1}, is no verdict")


def test_one_image_has_a_mean_and_no_interval(work: WarmCommand) -> None:
    judge(folder_of(work), "mild", lambda answer: answer.worth if answer.sample_id == "3" else None)
    rows = rows_of(tables(work), "means")
    assert {row["n"] for row in rows} == {1}
    assert all(row["mean"] and row.get("interval low") is None for row in rows)


def test_texts_in_another_language_have_a_table_of_their_own(work: WarmCommand) -> None:
    made = folder_of(work) / "checkpoints_1shot_rationales/run.json"
    run = json.loads(made.read_text(encoding="utf-8"))
    made.write_text(json.dumps(run | {"text_languages": {"En": "En", "Ur": "En"}}), encoding="utf-8")
    judge(folder_of(work), "mild", worth)
    rows = rows_of(tables(work), "crossing")
    assert {(row["text language"], row["language"]) for row in rows} == {("En", "En"), ("En", "Ur"), ("Ur", "Ur")}


def test_exact_scores_stand_among_the_tables(work: WarmCommand) -> None:
    """As `vlures score` writes them; tests/benchmarks/test_urban_scoring.py makes real ones."""
    figures = [
        {"group": "presence", "subtype": None, "n": 8, "states": {"valid": 8}, "accuracy": 0.75,
         "accuracy_interval": [0.4, 0.9], "mae": None},
        {"group": "presence", "subtype": "tree", "n": 4, "states": {}, "accuracy": 0.5, "accuracy_interval": None,
         "mae": None},
    ]  # fmt: skip
    path = folder_of(work) / "results_1shot_rationales/scores.json"
    path.write_text(json.dumps({"about": {}, "figures": figures}), encoding="utf-8")
    rows = rows_of(tables(work), "exact")
    assert [(row["subtype"], row["n"], row["accuracy"]) for row in rows] == [("all", 8, 0.75), ("tree", 4, 0.5)]
    assert (rows[0]["accuracy interval low"], rows[0]["accuracy interval high"]) == (0.4, 0.9)
    assert "mae" not in rows[0]


def test_without_numpy_one_sentence_names_the_extra(work: WarmCommand) -> None:
    absent = work.folder / "absent/numpy"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError")
    command = Command(work.folder, {**work.environment, "PYTHONPATH": str(absent.parent)})
    command("tables", "outputs/sandbox-x").assert_stopped(1, "pip install 'vlures[stats]'")


def test_wordings_of_one_judge_are_raters_of_their_own_and_marked(work: WarmCommand) -> None:
    """The original judge's wording has a scale from 0; a judge of the judged model's family is said to be one."""
    verdicts = judge(folder_of(work), "gem", worth, model="gemini-3.5-pro")
    upstream = [replace(verdict, rubric_name="upstream", overall=0) for verdict in verdicts]
    ours = [replace(verdict, rubric_name="answer_en") for verdict in verdicts]
    write(folder_of(work) / "judged/gem/verdicts.jsonl", [*ours, *upstream])
    titles = {table["title"] for table in tables(work) if table["table"] == "means"}
    family = "of one family with a judged model: Gemini"
    assert titles == {
        f"Means by gem (answer_en) ({family})",
        f"Means by gem (upstream) (the original judge's wording: no image is shown; {family})",
    }
    alone = tables(work, "outputs/sandbox-x", "--rater", "gem (upstream)", "--table", "means")
    assert {row["mean"] for row in rows_of(alone, "means")} == {0}


def test_scores_of_answers_that_have_changed_since_are_missing(work: WarmCommand) -> None:
    """Other answers stand by now. The earlier scores say nothing of them, but still show what the judge sees."""
    folder = folder_of(work)
    judge(folder, "blind", worth, controls=20, sees=False)
    rate(folder, "p1", worth, share=0.8)
    before = row_of(rows_of(tables(work), "means", "by blind"), variant="1shot_rationales", task="1", language="En")
    path = folder / "checkpoints_1shot_rationales/checkpoint_task1_En.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    answered = [line for line in lines if line["status"] == "ok"]
    for line in answered[:5]:
        line["text"] = "another answer"
    answered[5] |= {"status": "refused", "text": None}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    result = work("tables", "outputs/sandbox-x", "--format", "json")
    assert "scores left out: the answers that people or judges rated have changed since" in result.err
    found: list[dict[str, Any]] = json.loads(result.out)
    after = row_of(rows_of(found, "means", "by blind"), variant="1shot_rationales", task="1", language="En")
    assert (before["n"], before["missing"]) == (len(answered), 0)
    assert (after["n"], after["missing"]) == (len(answered) - 6, pytest.approx(5 / (len(answered) - 1)))
    assert after["mean"] == pytest.approx(fmean(answer.worth for answer in kept_of(folder, "En-t1")))
    assert row_of(rows_of(found, "controls"), control="wrong image")["n"] == 20
    assert row_of(rows_of(found, "means", "by people"), variant="1shot_rationales", task="1", language="En")["n"] < 24
    same = shutil.copytree(folder, folder.with_name("same"))
    compared = work("compare", "outputs/sandbox-x", "outputs/same", "--format", "json", "--variant", "1shot_rationales")
    [overall] = rows_of(json.loads(compared.out), "overall", "by blind")
    assert same.name == overall["second"]
    assert overall["n"] == sum(answer.variant == "1shot_rationales" for answer in read_stored(folder)) - 5


def kept_of(folder: Path, cell: str) -> list[StoredAnswer]:
    return [
        answer
        for answer in read_stored(folder)
        if (answer.variant, answer.cell) == ("1shot_rationales", cell) and answer.text != "another answer"
    ]


def test_an_answer_that_one_of_two_people_rated_is_not_missing(work: WarmCommand) -> None:
    folder = folder_of(work)
    rate(folder, "p1", worth, share=1)
    rate(folder, "p2", lambda answer: None, share=1)
    rows = rows_of(tables(work), "means", "by people")
    assert {row["missing"] for row in rows} == {0}
    assert "if highest" not in rows[0]
    rate(folder, "p1", lambda answer: None if answer.sample_id == "3" else answer.worth, share=1)
    rows = rows_of(tables(work), "means", "by people")
    assert {round(row["missing"] * (row["n"] + 1)) for row in rows} == {1}


def test_controls_of_two_folders_with_one_name_are_not_mixed(work: WarmCommand) -> None:
    """A judge that was shown the images of one run, and none of another's."""
    first = shutil.copytree(folder_of(work), work.folder / "a/x")
    second = shutil.copytree(folder_of(work), work.folder / "b/x")
    judge(first, "judge", lambda answer: 80, controls=20)
    judge(second, "judge", lambda answer: 40, controls=20, sees=False)
    result = work("tables", "a/x", "b/x", "--format", "json")
    controls = row_of(rows_of(json.loads(result.out), "controls"), control="wrong image")
    assert (controls["n"], controls["answers' mean"], controls["controls' mean"]) == (40, 60, 42.5)
    assert controls["image"] == "sees; BLIND in b/x"
    told = work("tables", "a/x", "b/x").out
    assert told.index("The judge judge is BLIND in b/x") < told.index("## Means by judge (BLIND in b/x)")
    shutil.move(second, work.folder / "renamed")
    assert work("tables", "renamed").out.count("is BLIND:") == 1


def test_a_judges_own_folder_is_named_as_what_it_is(finished: Path, work: WarmCommand) -> None:
    shutil.copytree(finished / "data", work.folder / "data")
    judged = work("judge", "outputs/sandbox-x", "--sandbox", "--backend", "gemini", "--name", "j", "--limit", "1")
    assert judged.code == 0, judged
    own = "outputs/sandbox-x/judged/sandbox-j"
    for command in (("tables",), ("compare", "outputs/sandbox-x"), ("report",)):
        work(*command, own).assert_stopped(1, f"{own} is a judge's own run", "name the run whose answers it judges")


def test_a_name_with_a_comment_sign_is_read_back_whole(work: WarmCommand) -> None:
    """As the documentation says to read it: pandas would end the line at a # that is not in quotes."""
    import pandas as pd

    folder_of(work).rename(folder_of(work, "run#1"))
    judge(folder_of(work, "run#1"), "no#2", worth)
    assert work("tables", "outputs/run#1", "--table", "means", "--out", "t.csv").code == 0
    read = pd.read_csv(work.folder / "t.csv", comment="#")
    expected = rows_of(tables(work, "outputs/run#1"), "means")
    assert read["run"].tolist() == ["run#1"] * len(expected)
    assert read["mean"].tolist() == [row["mean"] for row in expected]


def test_bounds_are_those_of_the_wording_s_own_scale(work: WarmCommand) -> None:
    verdicts = judge(folder_of(work), "old", lambda answer: None if answer.sample_id in "123" else 0)
    write(folder_of(work) / "judged/old/verdicts.jsonl", [replace(each, rubric_name="upstream") for each in verdicts])
    rows = rows_of(tables(work), "means")
    assert {row["if missing were lowest"] for row in rows} == {0}
    for row in rows:
        assert row["if highest"] == pytest.approx(100 * row["missing"])

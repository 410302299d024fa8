"""`vlures compare`: what is paired with what, what is shown to differ, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.conftest import make_dataset
from tests.tables.test_tables import folder_of, row_of, rows_of
from tests.tables.verdict_files import StoredAnswer, judge, rate, read_stored
from tests.warm import WarmCommand

RUN = ("run", "--sandbox", "--backend", "gemini", "--model", "gemini-3.8-flash", "--dataset", "data", "--name", "one")
WHAT = ("--languages", "En,Jp", "--tasks", "2,8", "--concurrency", "1")
IMAGES, ARTICLES = 24, 20
CELLS = 4

pytestmark = pytest.mark.warm


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared") / "work"
    make_dataset(folder / "data", IMAGES, ARTICLES)
    assert WarmCommand(folder, {"HOME": str(folder)})(*RUN, *WHAT).code == 0
    return folder


@pytest.fixture
def work(finished: Path, tmp_path: Path) -> WarmCommand:
    """Three folders of runs with the same answers."""
    for name in ("one", "two", "three"):
        shutil.copytree(finished / "outputs/sandbox-one", tmp_path / "work/outputs" / name)
    return WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})


def shifted(points: int, seed: int) -> Callable[[StoredAnswer], int]:
    """The same worth in every run, a shift, and noise of its own."""
    noise = Random(seed)
    return lambda answer: 30 + sum(map(ord, answer.cell + answer.sample_id)) % 40 + points + noise.randrange(-3, 4)


def compare(work: WarmCommand, *arguments: str) -> list[dict[str, Any]]:
    result = work("compare", *arguments, "--format", "json")
    assert result.code == 0, result
    found: list[dict[str, Any]] = json.loads(result.out)
    return found


def test_a_difference_is_shown_and_a_likeness_is_not_called_one(work: WarmCommand) -> None:
    for seed, (name, points) in enumerate((("one", 6), ("two", 6), ("three", 0))):
        judge(folder_of(work, name), "judge", shifted(points, seed))
    found = compare(work, "outputs/one", "outputs/two", "outputs/three", "--equivalent-within", "3")
    overall = rows_of(found, "overall")
    assert len(overall) == 3
    clear = row_of(overall, first="one", second="three")
    assert clear["difference"] == pytest.approx(6, abs=1.5)
    assert clear["interval low"] < clear["difference"] < clear["interval high"]
    assert clear["p (Holm)"] < 0.001
    assert clear["n"] == 2 * (IMAGES + ARTICLES) == clear["wins"] + clear["ties"] + clear["losses"]
    assert clear["wins"] > clear["losses"]
    assert (clear["judged"], clear["length"]) == (1, 0)
    assert 0 < clear["smallest found"] < 3
    same = row_of(overall, first="one", second="two")
    assert same["p (Holm)"] > 0.05
    assert same["p (within ±3)"] < 0.05
    assert clear["p (within ±3)"] > 0.5
    assert all(row["p (Holm)"] >= row["p"] for row in rows_of(found, "cells"))
    assert len(rows_of(found, "cells")) == 3 * CELLS
    assert {row["run"]: row["tier"] for row in rows_of(found, "tiers")} == {"one": 1, "two": 1, "three": 2}
    assert "unmatched" not in {table["table"] for table in found}
    alone = work("compare", "outputs/one", "outputs/two", "--table", "unmatched")
    assert (alone.code, alone.out) == (0, "")
    assert "The table unmatched has no rows here." in alone.err
    without = compare(work, "outputs/one", "outputs/two")
    assert "p (within ±3)" not in rows_of(without, "overall")[0], "equivalence is not looked for unless it is asked for"


def test_what_has_no_partner_is_counted_and_named(work: WarmCommand) -> None:
    """Sample 3 has no score in one run, sample 5 none in the other, and the IDs 7 and 8 mean each other's images."""
    given = shifted(0, seed=1)
    judge(folder_of(work, "one"), "judge", lambda answer: None if answer.sample_id == "3" else given(answer))
    judge(folder_of(work, "two"), "judge", lambda answer: None if answer.sample_id == "5" else given(answer))
    path = folder_of(work, "two") / "judged/judge/verdicts.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    images = {line["sample_id"]: line["image_digest"] for line in lines}
    for line in lines:
        line["image_digest"] = images[{"7": "8", "8": "7"}.get(line["sample_id"], line["sample_id"])]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = compare(work, "outputs/one", "outputs/two")
    for row in rows_of(found, "unmatched"):
        assert (row["only first"], row["only second"], row["other image"]) == (1, 1, 2)
        assert row["samples"] == "only first: 5; only second: 3; other image: 7, 8"
    assert len(rows_of(found, "unmatched")) == CELLS
    [overall] = rows_of(found, "overall")
    assert overall["n"] == 2 * (IMAGES + ARTICLES) - 4 * CELLS
    assert overall["judged"] == pytest.approx(overall["n"] / (2 * (IMAGES + ARTICLES)))


def test_different_judges_models_and_wordings_are_refused(work: WarmCommand) -> None:
    judge(folder_of(work, "one"), "mild", shifted(0, 1))
    judge(folder_of(work, "two"), "stern", shifted(0, 2))
    work("compare", "outputs/one", "outputs/two").assert_stopped(
        1, "No judge has judged all of these runs", "one: mild; two: stern"
    )
    judge(folder_of(work, "two"), "mild", shifted(0, 2), model="judge-2")
    work("compare", "outputs/one", "outputs/two").assert_stopped(1, "was not the same model", "judge-1", "judge-2")
    judge(folder_of(work, "two"), "mild", shifted(0, 2), rubric="r2")
    work("compare", "outputs/one", "outputs/two").assert_stopped(1, "by another wording in one than in two")
    judge(folder_of(work, "two"), "mild", shifted(0, 2))
    assert work("compare", "outputs/one", "outputs/two").code == 0
    work("compare", "outputs/one", "outputs/two", "--rater", "stern").assert_stopped(1, "No judge has judged all")
    work("compare", "outputs/one", "outputs/two", "--rater", "odd").assert_stopped(2, "No rater odd", "mild, stern")


def test_variants_of_one_folder(work: WarmCommand) -> None:
    folder = folder_of(work, "one")
    made = folder / "checkpoints_0shot_rationales"
    shutil.copytree(folder / "checkpoints_1shot_rationales", made)
    for path in made.glob("*.jsonl"):
        path.write_text(path.read_text(encoding="utf-8").replace("-1shot-", "-0shot-").replace("1s", "0s"), "utf-8")
    found = sorted({answer.variant for answer in read_stored(folder)})
    assert found == ["0shot_rationales", "1shot_rationales"]
    judge(folder, "judge", lambda answer: 50 + 5 * answer.variant.startswith("1") + int(answer.sample_id))
    judge(folder_of(work, "two"), "judge", shifted(0, 1))
    [row] = rows_of(compare(work, "outputs/one"), "overall")
    assert (row["first"], row["second"], row["difference"]) == ("one 0shot_rationales", "one 1shot_rationales", -5)
    chosen = compare(work, "outputs/one", "outputs/two")
    assert rows_of(chosen, "overall")[0]["first"] == "one", "the variant that both have"
    both = compare(work, "outputs/one", "outputs/two", "--variant", "0shot_rationales", "--variant", "1shot_rationales")
    assert len(rows_of(both, "overall")) == 3
    work("compare", "outputs/one", "--variant", "odd").assert_stopped(2, "No run has the variant odd")
    work("compare", "outputs/two").assert_stopped(2, "nothing to compare it with")
    for margin in ("nan", "inf"):
        result = work("compare", "outputs/one", "outputs/two", "--equivalent-within", margin)
        assert (result.code, f"'--equivalent-within': '{margin}'" in result.err) == (2, True), result


def test_people_and_exact_scores_compare_runs_too(work: WarmCommand) -> None:
    for name, points in (("one", 10), ("two", 0)):
        rate(folder_of(work, name), "p1", shifted(points, seed=3), share=0.8)
        lines = [
            {"sample_id": str(number), "group": "En-t2", "right": number % 4 < (3 if name == "one" else 1),
             "image_id": str(number // 2)}
            for number in range(40)
        ]  # fmt: skip
        path = folder_of(work, name) / "results_1shot_rationales/predictions.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    found = compare(work, "outputs/one", "outputs/two")
    assert rows_of(found, "overall", "by people")[0]["difference"] == pytest.approx(10, abs=1)
    exact = rows_of(found, "overall", "right answers")[0]
    assert (exact["difference"], exact["wins"], exact["losses"], exact["images"]) == (50, 20, 0, 20)
    path.write_text('{"sample_id": 3}\n', encoding="utf-8")
    work("compare", "outputs/one", "outputs/two").assert_stopped(1, "predictions.jsonl, line 1, is no prediction")


def test_the_command_makes_each_table_again(work: WarmCommand) -> None:
    for seed, name in enumerate(("one", "two")):
        judge(folder_of(work, name), "judge", shifted(0, seed), controls=12, sees=False)
    everything = work("compare", "outputs/one", "outputs/two", "--equivalent-within", "2.5").out
    assert "by judge (BLIND)" in everything
    for table in everything.split("\n## ")[1:]:
        again = table.strip().rpartition("- again: `vlures ")[2].rstrip("`")
        assert work(*again.split()).out.strip() == f"## {table.strip()}"
    work("compare", "outputs/one", "outputs/two", "--table", "odd").assert_stopped(2, "choose from overall, tiers")
    assert work("compare", "outputs/one", "outputs/two", "--equivalent-within", "0").code == 2

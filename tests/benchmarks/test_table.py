"""A table of one's own questions, through the real command: read, planned, asked, resumed, exported."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import vlures as package
from tests.conftest import Command, Result, Sandbox, make_dataset
from vlures.benchmarks.table.variant import TableVariant, file_part
from vlures.records import Cell
from vlures.store.keys import parse_key, request_key

ROWS: list[dict[str, Any]] = [
    {"image": "image1.png", "question": "What is it?", "id": "a-1", "group": "easy", "answer": "red", "level": 3},
    {"image": "image1.png", "question": "ここはどこですか。", "id": "b", "group": "日本 (語)", "level": 5},
    {
        "image": "image2.png",
        "question": "یہ کیا ہے؟",
        "id": "c%2",
        "group": "easy",
        "system": "One word.",
        "answer": "x",
    },
    {"image": "image3.png", "question": "How many?\nCount them.", "id": "d", "level": 1},
]
COLUMNS = ("image", "question", "id", "group", "system", "answer", "level")
TABLE = ("--benchmark", "table", "--questions")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in rows]), path)
    return path


WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], Path]] = {
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet": write_parquet,
}


@pytest.fixture
def work(tmp_path: Path, shared_sandbox: Sandbox) -> Command:
    """The command in a folder with a table `my.jsonl` and the images that it names."""
    command = Command(tmp_path / "work", {"HOME": str(tmp_path)})
    make_dataset(command.folder, samples=3)
    write_jsonl(command.folder / "my.jsonl", ROWS)
    command.use(shared_sandbox)
    return command


def run(work: Command, *options: str, table: str = "my.jsonl") -> Result:
    return work("run", *TABLE, table, "--backend", "gemini", "--model", "gemini-3.8-flash", "--name", "mine", *options)


def export(work: Command, *options: str) -> dict[str, dict[str, Any]]:
    result = work("export", "outputs/mine", "--out", "rows.jsonl", "--force", *options)
    assert result.code == 0, result
    lines = (work.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["sample_id"]: row for row in map(json.loads, lines)}


@pytest.mark.parametrize("form", WRITERS)
def test_a_table_is_asked_and_everything_in_it_is_exported(work: Command, shared_sandbox: Sandbox, form: str) -> None:
    table = WRITERS[form](work.folder / f"my.{form}", ROWS)
    result = run(work, table=table.name)
    assert result.code == 0, result
    rows = export(work)
    assert list(rows) == ["b", "d", "a-1", "c%2"]  # shorter IDs first
    for given in ROWS:
        row = rows[given["id"]]
        assert (row["status"], row["group"]) == ("ok", given.get("group", "all"))
        assert (row["image"], row["question"]) == (given["image"], given["question"])
        assert (row["system"], row["reference_answer"]) == (
            given.get("system"),
            given.get("answer", "" if form == "csv" else None),
        )
        level = given.get("level")
        assert row["level"] == (("" if level is None else str(level)) if form == "csv" else level)
    assert len(shared_sandbox.ledger) == len(ROWS)
    results = work.folder / "outputs/mine/results_table"
    assert {path.name for path in results.iterdir()} == {
        "results_mine_all.json",
        "results_mine_easy.json",
        "results_mine_日本%20;%28;語%29;.json",
        "summary.json",
    }
    assert json.loads((results / "results_mine_easy.json").read_text("utf-8")) == {
        "a-1": rows["a-1"]["answer"],
        "c%2": rows["c%2"]["answer"],
    }


def test_what_the_model_sees_is_the_row(work: Command) -> None:
    shown = work("prompt", *TABLE, "my.jsonl", "--sample", "c%2")
    assert shown.code == 0, shown
    assert "── system ──\nOne word.\n── user: text ──\nیہ کیا ہے؟\n" in shown.out
    assert "image2.png (image/png" in shown.out
    other = work("prompt", *TABLE, "my.jsonl", "--task", "3")
    assert other.code == 2
    assert "--task does not apply to --benchmark table" in other.err


@pytest.mark.parametrize(
    ("backend", "mode", "options"),
    [
        ("openai", "batch", ()),
        ("openai", "live", ()),
        ("openai", "live", ("--endpoint", "responses")),
        ("gemini", "batch", ()),
        ("gemini", "live", ()),
    ],
)
def test_a_table_is_resumed_in_every_mode(
    work: Command, shared_sandbox: Sandbox, backend: str, mode: str, options: tuple[str, ...]
) -> None:
    asked = ("run", *TABLE, "my.jsonl", "--backend", backend, "--mode", mode, "--name", "mine", "--no-canary", *options)
    first = work(*asked, "--limit", "2", "--poll-s", "0.1")
    assert first.code == 0, first
    whole = work(*asked, "--poll-s", "0.1")
    assert whole.code == 0, whole
    assert "2 due of 4 requests" in whole.err
    again = work(*asked)
    assert "0 due of 4 requests" in again.err
    assert len(shared_sandbox.ledger) == 4  # and no request had an empty system text: the sandbox checks each
    assert [row["status"] for row in export(work).values()] == ["ok"] * 4


def test_a_question_that_changed_is_stale_and_a_row_that_moved_is_not(work: Command) -> None:
    assert run(work).code == 0
    write_jsonl(work.folder / "my.jsonl", [ROWS[3], *ROWS[:3]])
    moved = run(work)
    assert moved.code == 0, moved
    assert "0 due" in moved.err
    write_jsonl(work.folder / "my.jsonl", [{**ROWS[0], "question": "What else?"}, *ROWS[1:]])
    changed = run(work)
    assert changed.code == 1, changed
    assert "1 stored answer in" in changed.err
    assert "the prompts of easy" in changed.err
    assert run(work, "--stale", "redo").code == 0
    write_jsonl(work.folder / "my.jsonl", ROWS)
    exported = work("export", "outputs/mine", "--out", "rows.jsonl")
    assert "In table, 1 answer stays without image" in exported.err
    row = next(row for row in map(json.loads, (work.folder / "rows.jsonl").open()) if row["sample_id"] == "a-1")
    assert (row["question"], row["image"], row["status"]) == (None, None, "ok")


def test_bad_rows_are_named_by_line_and_stop_a_run_unless_they_are_left_out(work: Command) -> None:
    bad = [
        {"image": "none.png", "question": "?", "id": "1"},
        {"image": "image1.png", "question": " ", "id": "2"},
        {"image": "image1.png", "question": "?", "id": "a-1"},
        {"image": "image1.png", "question": 5, "id": "4"},
        {"image": "image1.png", "question": "?", "id": ""},
        {"image": "../secret.png", "question": "?", "id": "6"},
        {"image": None, "question": "?", "id": "7"},
        {"image": "image1.png", "question": "?", "id": "8", "group": "Easy"},
        {"image": "my.jsonl", "question": "?", "id": "9"},
        {"image": "image1.png", "question": "?", "id": "i" * 201},
        {"image": "image1.png", "question": "?", "id": "11", "group": "g" * 121},
        {"image": "image1.png", "question": "?", "id": True},
        {"image": "image1.png", "question": "?", "id": "13", "group": "ALL"},
    ]
    (work.folder.parent / "secret.png").write_bytes((work.folder / "image1.png").read_bytes())
    table = write_jsonl(work.folder / "my.jsonl", [*ROWS, *bad])
    with table.open("a") as file:
        file.write('not json\n{"image": "image1.png"')
    result = work("check", *TABLE, "my.jsonl")
    assert result.code == 1, result
    words = (
        *(
            "no image none.png",
            "without a question",
            "'a-1' as line 1",
            "is 5, which is not a text",
            "which is no ID",
            "leads out of",
        ),
        *(
            "names no file",
            "capitals only",
            "cannot be opened as an image",
            "more than 200 characters",
            "too long",
            "which is no ID",
            "capitals only",
            "not a JSON",
        ),
        "torn at the end",
    )
    lines = [line for line in result.out.splitlines() if line.startswith("error: ")]
    assert len(lines) == len(words) == len(bad) + 2
    for number, word in enumerate(words, 5):
        (line,) = [line for line in lines if f"my.jsonl line {number}:" in line]
        assert word in line
    stopped = run(work)
    assert stopped.code == 1, stopped
    assert "has 15 problems, the first: my.jsonl line 5" in stopped.err
    left = run(work, "--skip-problems")
    assert left.code == 0, left
    assert "15 rows are left out of my.jsonl" in left.err
    assert set(export(work)) == {row["id"] for row in ROWS}


def test_names_of_columns_and_the_folder_of_images_can_be_chosen(work: Command) -> None:
    (work.folder / "pictures").mkdir()
    (work.folder / "image1.png").rename(work.folder / "pictures/one.png")
    rows = [{"file": "one.png", "prompt": "What?", "image": "a remark", "status": "mine", "name": "x"}]
    write_jsonl(work.folder / "other.jsonl", rows)
    options = ("--dataset", "pictures", "--columns", "question=prompt,image=file")
    result = run(work, *options, table="other.jsonl")
    assert result.code == 0, result
    (row,) = export(work).values()
    assert (row["image"], row["question"], row["status"]) == ("pictures/one.png", "What?", "ok")
    assert (row["table_image"], row["table_status"], row["table_name"]) == ("a remark", "mine", "x")
    (work.folder / "run.toml").write_text(
        'benchmark = "table"\nquestions = "other.jsonl"\ndataset = "pictures"\nname = "mine"\nbackend = "gemini"\n'
        'model = "gemini-3.8-flash"\ncolumns = {question = "prompt", image = "file"}\n'
    )
    again = work("run", "-c", "run.toml")
    assert again.code == 0, again
    assert "0 due of 1" in again.err


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        (None, (), "--benchmark table needs a table: add --questions FILE"),
        ("none.jsonl", (), "none.jsonl"),
        ("my.txt", (), "ends in .jsonl, .csv or .parquet"),
        ("my.jsonl", ("--columns", "question=prompt"), "has no column 'prompt' for question; it has image, question"),
        ("my.jsonl", ("--columns", "prompt=question"), "a table has no 'prompt'; choose from image, question"),
        ("bare.jsonl", (), "has no column `question`; say which one it is with --columns question=NAME"),
        ("my.jsonl", ("--samples", "zzz"), "has no row with the ID 'zzz'"),
        ("my.jsonl", ("--tasks", "3"), "--tasks is an option of --benchmark vlures, not of --benchmark table"),
        ("my.jsonl", ("--dataset", "a", "--dataset", "b"), "lie in one folder; name one"),
        ("my.jsonl", ("--dataset", "none"), "--dataset none: there is no such folder"),
        ("my.jsonl", ("--dataset", ""), "--dataset is empty; name a folder, or leave it out"),
        ("", (), "--questions is empty; name a table (.jsonl, .csv or .parquet)"),
        (None, ("-c", "empty.toml"), "empty.toml: `questions` is empty; name a table (.jsonl, .csv or .parquet)"),
        ("twice.csv", (), "2 columns are called 'x'"),
    ],
)
def test_what_cannot_be_is_one_sentence_in_plan_run_and_check(
    work: Command, table: str | None, options: tuple[str, ...], words: str
) -> None:
    write_jsonl(work.folder / "bare.jsonl", [{"image": "image1.png", "text": "?"}])
    (work.folder / "twice.csv").write_text("image,question,x,x\nimage1.png,What?,1,2\n")
    (work.folder / "empty.toml").write_text('questions = ""\n')
    named = TABLE[:2] if table is None else (*TABLE, table)
    for command in ("plan", "run", "check"):
        result = work(command, *named, *options)
        assert result.code in (1, 2), result
        (sentence,) = [line for line in result.err.splitlines() if line.startswith("vlures: ")]
        assert words in sentence
    assert not (work.folder / "outputs").exists()


def test_rows_without_ids_keep_theirs_when_others_go(work: Command) -> None:
    rows = [{name: value for name, value in row.items() if name != "id"} for row in ROWS]
    write_jsonl(work.folder / "my.jsonl", rows)
    assert run(work).code == 0
    write_jsonl(work.folder / "my.jsonl", [rows[3], rows[1]])
    again = run(work)
    assert again.code == 0, again
    assert "0 due of 2" in again.err
    write_jsonl(work.folder / "my.jsonl", [rows[0], rows[0]])
    twice = run(work)
    assert twice.code == 1, twice
    assert "has the same question about the same image as line 1" in twice.err


def test_a_selection_takes_rows_by_their_ids(work: Command) -> None:
    result = run(work, "--samples", "d,b")
    assert result.code == 0, result
    assert set(export(work)) == {"b", "d"}


def test_a_link_out_of_the_images_folder_is_not_followed(work: Command) -> None:
    outside = work.folder.parent / "secret.png"
    (work.folder / "image1.png").rename(outside)
    (work.folder / "image1.png").symlink_to(outside)
    stopped = run(work)
    assert stopped.code == 1, stopped
    assert "--follow-links follows it" in stopped.err
    assert run(work, "--follow-links").code == 0


def test_plan_status_load_and_show_know_a_table(work: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = work("plan", *TABLE, "my.jsonl", "--backend", "gemini")
    assert plan.code == 0, plan
    assert [line.split()[0] for line in plan.out.splitlines()[2:6]] == ["easy", "日本", "all", "total"]
    assert run(work).code == 0
    status = work("status", "outputs/mine")
    assert status.code == 0, status
    assert "gemini live, gemini-3.8-flash, table" in status.out
    monkeypatch.chdir(work.folder)
    table = package.load("outputs/mine")
    assert set(table["group"]) == {"easy", "日本 (語)", "all"}
    assert table["level"].sum() == 9
    page = package.show("a-1", "outputs/mine")
    assert (page.sample_id, page.answers) == ("a-1", 1)
    assert "What is it?" in page.html
    assert package.show("a-1", "outputs/mine", groups="easy").answers == 1
    with pytest.raises(package.VluresError, match="no such answer about sample a-1; there are easy"):
        package.show("a-1", "outputs/mine", groups="all")


def test_a_column_that_comes_late_is_a_column_all_the_same(work: Command) -> None:
    many = [{"image": "image1.png", "question": f"What is number {number}?"} for number in range(1_200)]
    write_jsonl(work.folder / "my.jsonl", [*many, {**ROWS[0], "id": "late"}])
    shown = work("check", *TABLE, "my.jsonl")
    assert "id = 'id'" in shown.out
    assert "others: 'level'" in shown.out
    assert "line 1: its `id` is None, which is no ID" in shown.out


def test_what_is_not_asked_changes_no_derived_id(work: Command) -> None:
    (work.folder / "a.csv").write_text("image,question\nimage1.png,What?\nimage2.png,What?\n")
    assert run(work, table="a.csv").code == 0
    (work.folder / "a.csv").write_text("image,question,group\n./image1.png,What?,\nimage2.png,What?,\n")
    again = run(work, table="a.csv")
    assert again.code == 0, again
    assert "0 due of 2" in again.err


def test_a_row_that_changed_its_group_is_not_paid_for_again_unsaid(work: Command, shared_sandbox: Sandbox) -> None:
    assert run(work).code == 0
    write_jsonl(work.folder / "my.jsonl", [{**ROWS[0], "group": "hard"}, *ROWS[1:]])
    for command in ("plan", "run"):
        result = work(
            command, *TABLE, "my.jsonl", "--backend", "gemini", "--model", "gemini-3.8-flash", "--name", "mine"
        )
        assert result.code == 1, result
        assert "1 answer to rows that are in another group now: 'a-1' was in 'easy' and is in 'hard'" in result.err
    assert len(shared_sandbox.ledger) == len(ROWS)


def test_other_columns_keep_their_types_where_they_have_one(work: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [
        {"level": 1, "mixed": 1, "part": 1, "big": 1, "status": "S", "table_status": "T", "list": ["x"], "yes": True},
        {"level": 2, "mixed": "high", "part": 2.5, "big": 10**22, "status": "s", "table_status": "t", "yes": False},
    ]
    rows = [{**row, **more} for row, more in zip(ROWS, values, strict=False)]
    write_jsonl(work.folder / "my.jsonl", rows)
    for sample_id in ("a-1", "b"):  # run.json knows but the last selection
        assert run(work, "--samples", sample_id).code == 0
    for form in ("parquet", "csv", "jsonl"):
        result = work("export", "outputs/mine", "--out", f"rows.{form}")
        assert result.code == 0, result
    table = pq.read_table(work.folder / "rows.parquet").to_pylist()
    kept = {row["sample_id"]: row for row in table}
    assert [kept[key]["level"] for key in ("a-1", "b")] == [1, 2]
    assert [kept[key]["mixed"] for key in ("a-1", "b")] == ["1", "high"]
    assert [kept[key]["part"] for key in ("a-1", "b")] == [1.0, 2.5]
    assert [kept[key]["big"] for key in ("a-1", "b")] == ["1", str(10**22)]
    assert [kept[key]["table_table_status"] for key in ("a-1", "b")] == ["S", "s"]
    assert [kept[key]["table_status"] for key in ("a-1", "b")] == ["T", "t"]
    assert [kept[key]["yes"] for key in ("a-1", "b")] == [True, False]
    assert kept["a-1"]["list"] == '["x"]'
    monkeypatch.chdir(work.folder)
    loaded = package.load("outputs/mine").set_index("sample_id")
    assert loaded.loc["b", "mixed"] == "high"


def test_parquet_brings_dates_bytes_and_numbers_with_gaps(work: Command) -> None:
    rows = [
        {"image": "image1.png", "question": "What?", "id": 7.0, "day": date(2026, 1, 2), "raw": b"x"},
        {"image": "image2.png", "question": "What?", "id": 8.0, "day": None, "raw": b"y"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), work.folder / "my.parquet")
    checked = work("check", *TABLE, "my.parquet")
    assert checked.code == 0, checked
    assert "note: my.parquet: its column 'raw' holds bytes, so it is not exported" in checked.out
    assert run(work, table="my.parquet").code == 0
    assert {key: row["day"] for key, row in export(work).items()} == {"7": "2026-01-02", "8": None}


def test_one_folder_does_not_mix_a_table_with_the_paper_s_questions(work: Command) -> None:
    make_dataset(work.folder / "data", samples=1)
    assert run(work).code == 0
    options = (
        "--backend",
        "gemini",
        "--model",
        "gemini-3.8-flash",
        "--name",
        "mine",
        "--dataset",
        "data",
        "--tasks",
        "1",
    )
    both = work("run", *options, "--languages", "En")
    assert both.code == 0, both  # another variant, with checkpoints of its own
    result = work("export", "outputs/mine", "--out", "rows.csv")
    assert result.code == 0, result
    with (work.folder / "rows.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["setting"] for row in rows} == {"1shot_rationales", ""}
    parquet = work("export", "outputs/mine", "--out", "rows.parquet")
    assert parquet.code == 0, parquet
    assert {row["sample_id"] for row in pq.read_table(work.folder / "rows.parquet").to_pylist()} >= {"1", "a-1"}
    assert [row["group"] for row in rows].count("easy") == 2


@pytest.mark.parametrize("group", ["easy", "a b", "a/b", "..", "日本 (語)", "%41;", "a-table-b", "a.jsonl", "-"])
@pytest.mark.parametrize("sample_id", ["1", "a-1", "%2D", "-", "a table", "日本"])
def test_a_group_and_an_id_can_be_read_back_from_their_names(group: str, sample_id: str) -> None:
    variant, cell = TableVariant(), Cell(group)
    name = variant.checkpoint_file(cell)
    assert variant.cell_of(name) == cell
    assert "/" not in name
    assert set(file_part(group)) & set('\\:*?"<>|.') == set()
    assert parse_key(request_key(cell, variant, sample_id), variant) == (cell, sample_id)

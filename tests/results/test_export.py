"""`vlures export`: one table of all that is stored, the same in every format, with nothing beside an answer but what it
is about."""

from __future__ import annotations

import base64
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Command, Result, make_dataset
from vlures.benchmarks.columns import WHAT, WHO
from vlures.benchmarks.vlures import columns
from vlures.benchmarks.vlures.settings import Setting, make_cell
from vlures.records import Response, Usage, digest_request
from vlures.results.formats import as_cell
from vlures.results.rows import read_standing_responses
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key

COLUMNS = WHO | columns({}).question | WHAT | columns({}).subject

RUN = ("run", "--sandbox", "--backend", "gemini", "--model", "gemini-3.8-flash", "--name", "x", "--dataset", "data")
FOLDER = "outputs/sandbox-x"
CHECKPOINT = f"{FOLDER}/checkpoints_1shot_rationales/checkpoint_task2_Jp.jsonl"
FORMATS = ("jsonl", "parquet", "csv")
ROWS = 2 * (6 + 5)


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset and a run over it: Japanese and Urdu, tasks 2 and 8; one answer refused, one cut short,
    one failed."""
    folder = tmp_path_factory.mktemp("finished") / "work"
    make_dataset(folder / "data", samples=6, texts=5)
    faults = (
        "blocked_prompt:times=1",
        "max_tokens:times=1",
        "error@gemini:status=400,code=INVALID_ARGUMENT,message=It is odd.,times=1",
    )
    shown = [word for fault in faults for word in ("--fault", fault)]
    result = Command(folder)(*RUN, "--languages", "Jp,Ur", "--tasks", "2,8", "--concurrency", "1", *shown)
    assert result.code == 3, result
    return folder


@pytest.fixture
def work(finished_run: Path, tmp_path: Path) -> Command:
    """The command, in a copy of that folder."""
    shutil.copytree(finished_run, tmp_path / "work")
    return Command(tmp_path / "work")


def read_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a table in any format; of CSV, with the types that the documented columns have."""
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: typed(name, value) for name, value in row.items()} for row in csv.DictReader(file)]


def typed(column: str, value: str) -> Any:
    if value == "":
        return None
    return {"true": True, "false": False}[value] if COLUMNS[column] is bool else COLUMNS[column](value)


def export(command: Command, *arguments: str, form: str = "jsonl") -> list[dict[str, Any]]:
    result = command("export", FOLDER, "--format", form, "--force", *arguments)
    assert result.code == 0, result
    return read_table(command.folder / f"{FOLDER}/sandbox-x.{form}")


def add(command: Command, *responses: Response) -> None:
    store = CheckpointStore(command.folder / FOLDER, Setting())
    for response in responses:
        store.append(response)
    store.close()


def assert_refused(result: Result, code: int, *words: str) -> None:
    assert result.code == code, result
    for word in words:
        assert word in result.err.splitlines()[-1], result


@pytest.mark.parametrize("form", FORMATS)
def test_every_stored_answer_has_its_row(work: Command, form: str) -> None:
    rows = export(work, *(["--raw-cells"] if form == "csv" else []), form=form)  # an id may begin like a formula
    stored = {line["key"]: line for line in work.checkpoint_lines("sandbox-x")}
    assert len(rows) == len(stored) == ROWS
    assert all(tuple(row) == tuple(COLUMNS) for row in rows)
    for row in rows:
        line = stored[row["key"]]
        assert (row["status"], row["digest"], row["time"]) == (line["status"], line["digest"], line["time"])
        assert row["answer"] == line.get("text")
        assert row["input_tokens"] == line.get("usage", {}).get("input_tokens")
        assert row["latency_s"] == line.get("latency_s")
        assert row["response_id"] == line.get("response_id")
        number = row["sample_id"]
        assert row["image"] == f"data/image{number}.png"
        text = work.folder / f"data/text{number}.txt"
        assert row["article"] == (text.read_text("utf-8") if text.exists() else None)
    row = next(row for row in rows if row["key"] == "Ur-t8-1shot-rationales-4")
    assert any("\u0600" <= letter <= "\u06ff" for letter in row["answer"])
    assert {name: row[name] for name in list(COLUMNS)[:14]} == {
        "name": "sandbox-x",
        "provider": "gemini",
        "mode": "live",
        "model": "gemini-3.8-flash",
        "model_answered": "gemini-3.8-flash",
        "setting": "1shot_rationales",
        "shots": 1,
        "rationales": True,
        "language": "Ur",
        "language_name": "Urdu",
        "task": 8,
        "task_code": "VQA",
        "sample_id": 4,
        "key": "Ur-t8-1shot-rationales-4",
    }


def test_rows_come_by_sample_and_then_by_cell(work: Command) -> None:
    keys = [(row["sample_id"], row["language"], row["task"]) for row in export(work)]
    assert keys == sorted(keys)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_no_answer_is_a_status_beside_an_empty_answer(work: Command, form: str) -> None:
    rows = {row["status"]: row for row in export(work, form=form)}
    assert rows.keys() == {"ok", "refused", "truncated", "failed"}
    assert rows["refused"]["answer"] is None
    assert rows["truncated"]["answer"]
    assert rows["failed"]["answer"] is None
    assert "It is odd." in rows["failed"]["error_message"]
    assert rows["ok"]["error_code"] is None
    assert rows["ok"]["error_message"] is None


def test_it_says_what_was_written_and_what_is_still_due(work: Command) -> None:
    store = CheckpointStore(work.folder / FOLDER, Setting())
    answered = next(number for number, entry in store.entries(make_cell("Ur", 8)).items() if entry.status == "ok")
    store.ask_again(make_cell("Ur", 8), answered, "redo")
    store.close()
    path = work.folder / f"{FOLDER}/checkpoints_1shot_rationales/run.json"
    run = json.loads(path.read_text("utf-8"))
    run["planned"]["Ur-t2"]["requests"] += 10
    path.write_text(json.dumps(run), encoding="utf-8")
    result = work("export", FOLDER)
    assert result.code == 0, result
    counts = Counter(row["status"] for row in read_table(work.folder / f"{FOLDER}/sandbox-x.jsonl"))
    assert result.out.startswith(f"Wrote {FOLDER}/sandbox-x.jsonl: ")
    assert all(f"{count} {status}" in result.out for status, count in counts.items())
    assert "; 12 requests still due." in result.out  # one failed, one to be asked again, ten never asked


@pytest.mark.parametrize("form", FORMATS)
def test_texts_come_back_as_they_are(work: Command, form: str) -> None:
    text = 'دو، "تین"\nچار\r\nپانچ\u2028\t;,\\n 一\r🙂 '
    cell = make_cell("Ur", 2)
    add(
        work,
        Response(request_key(cell, Setting(), "901"), "ok", "d", text, "考え\n中", usage=Usage(1, 2, 3, 4), job="9ad2"),
        Response(request_key(cell, Setting(), "902"), "ok", "d", "=1+1"),
    )
    first, second = export(work, form=form)[-2:]
    assert (first["answer"], first["reasoning"]) == (text, "考え\n中")
    assert [first[f"{kind}_tokens"] for kind in ("input", "output", "cached", "thinking")] == [1, 2, 3, 4]
    assert (first["mode"], first["job"], first["attempts"]) == ("batch", "9ad2", 1)
    assert (second["reasoning"], second["input_tokens"]) == (None, None)
    assert second["answer"] == ("'=1+1" if form == "csv" else "=1+1"), "a spreadsheet runs nothing"


FORMULAS = [
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    ' "=1',
    "'=1",
    "＝1",
    "＋a",
    "－a",
    "＠a",
    "\u200b=1",
    "- a list",
]
SOUND = ["-1.5", "+3", "1e-5", "-12%", "a=b", "A dog.", "犬", "کتا", "", None, -1.5, -3, True]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_spreadsheet_runs_no_cell(text: str) -> None:
    assert as_cell(text) == f"'{text}"


@pytest.mark.parametrize("value", SOUND)
def test_all_other_cells_stay_as_they_are(value: Any) -> None:
    assert as_cell(value) is value


def test_only_csv_marks_formulas_and_raw_cells_leaves_them(work: Command) -> None:
    checkpoint = work.folder / CHECKPOINT
    lines = [json.loads(line) for line in checkpoint.read_bytes().splitlines()]
    spoken = next(line for line in lines if line["status"] == "ok")
    lines.append(spoken | {"text": "=HYPERLINK(1)"})
    checkpoint.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def answer_in(form: str, *options: str) -> str:
        export(work, "--force", *options, form=form)
        rows = read_table(work.folder / f"{FOLDER}/sandbox-x.{form}")
        return next(row["answer"] for row in rows if row["key"] == spoken["key"])

    assert answer_in("csv") == "'=HYPERLINK(1)"
    assert answer_in("csv", "--raw-cells") == "=HYPERLINK(1)"
    assert answer_in("jsonl") == answer_in("parquet") == "=HYPERLINK(1)"


def test_a_csv_file_is_as_rfc_4180_says(work: Command) -> None:
    add(work, Response(request_key(make_cell("Ur", 2), Setting(), "901"), "ok", "d", 'a "b",\nc'))
    export(work, form="csv")
    data = (work.folder / f"{FOLDER}/sandbox-x.csv").read_bytes()
    assert data.startswith(",".join(COLUMNS).encode() + b"\r\nsandbox-x,gemini,live,")
    assert b',"a ""b"",\nc",' in data
    assert data.endswith(b"\r\n")


def test_columns_keep_their_types_when_nothing_stands_in_them(work: Command) -> None:
    export(work, form="parquet")
    schema = pq.read_schema(work.folder / f"{FOLDER}/sandbox-x.parquet")
    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    assert {field.name: field.type for field in schema} == {name: types[kind] for name, kind in COLUMNS.items()}
    assert schema.metadata is None


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_without_any_answer_is_an_empty_table(work: Command, form: str) -> None:
    for path in (work.folder / FOLDER).glob("checkpoints_*/checkpoint_*.jsonl"):
        path.unlink()
    assert export(work, form=form) == []


def test_all_settings_of_a_folder_are_in_the_table(work: Command) -> None:
    (work.folder / "run.toml").write_text("shots = 0\n")
    assert work(*RUN, "-c", "run.toml", "--languages", "Jp", "--tasks", "2", "--no-rationales").code == 0
    rows = export(work)
    assert Counter(row["setting"] for row in rows) == {"0shot_norationales": 6, "1shot_rationales": ROWS}
    assert {(row["shots"], row["rationales"]) for row in rows} == {(0, False), (1, True)}


# Images


def test_parquet_holds_the_very_images_as_hugging_face_reads_them(work: Command) -> None:
    rows = export(work, "--with-images", form="parquet")
    assert len(rows) == ROWS
    for row in rows:
        path = f"data/image{row['sample_id']}.png"
        assert row["image"] == {"bytes": (work.folder / path).read_bytes(), "path": path}
    schema = pq.read_schema(work.folder / f"{FOLDER}/sandbox-x.parquet")
    assert schema.names == list(COLUMNS)
    assert schema.field("image").type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    noted = json.loads(schema.metadata[b"huggingface"])
    assert noted == {"info": {"features": {"image": {"_type": "Image"}}}}


def test_an_image_stands_once_however_many_cells_share_it(work: Command) -> None:
    export(work, "--with-images", form="parquet")
    group = pq.ParquetFile(work.folder / f"{FOLDER}/sandbox-x.parquet").metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    images = next(column for column in columns if column.path_in_schema == "image.bytes")
    once = sum(path.stat().st_size for path in (work.folder / "data").glob("*.png"))
    assert once <= images.total_uncompressed_size < 1.5 * once


def test_json_lines_hold_images_in_base64(work: Command) -> None:
    for row in export(work, "--with-images"):
        path = f"data/image{row['sample_id']}.png"
        assert row["image"] == path
        assert base64.b64decode(row["image_base64"]) == (work.folder / path).read_bytes()


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_an_image_that_has_changed_is_named_and_nothing_is_written(work: Command, form: str) -> None:
    shutil.copy(work.folder / "data/image1.png", work.folder / "data/image4.png")
    result = work("export", FOLDER, "--format", form, "--with-images")
    assert_refused(result, 1, "data/image4.png", "-4 is about", "has changed")
    assert list((work.folder / FOLDER).glob("*x.*")) == list((work.folder / FOLDER).glob(".*new")) == []


def test_an_image_that_is_gone_is_named_and_nothing_is_written(work: Command) -> None:
    (work.folder / "data/image6.png").unlink()
    assert_refused(work("export", FOLDER, "--with-images", "--out", "t.jsonl"), 1, "data", "the ID 6", "put it back")
    assert not (work.folder / "t.jsonl").exists()


def test_an_answer_stays_alone_if_what_it_is_about_has_changed(work: Command) -> None:
    shutil.copy(work.folder / "data/image1.png", work.folder / "data/image4.png")
    (work.folder / "data/text2.txt").write_text("Another article.", encoding="utf-8")
    (work.folder / "data/image6.png").unlink()
    result = work("export", FOLDER)
    assert result.code == 0, result
    rows = read_table(work.folder / f"{FOLDER}/sandbox-x.jsonl")
    answered = [row for row in rows if row["status"] != "failed"]
    alone = {row["key"] for row in answered if row["image"] is None and row["article"] is None}
    # The article of sample 2 is asked about in task 8 only.
    expected = {
        row["key"] for row in answered if row["sample_id"] in (4, 6) or (row["sample_id"], row["task"]) == (2, 8)
    }
    assert alone == expected
    assert f"In 1shot_rationales, {len(expected)} answers stay without image and article" in result.err


def test_more_images_in_the_folder_change_nothing(work: Command) -> None:
    before = export(work, "--with-images")
    make_dataset(work.folder / "data", samples=8, texts=7)
    (work.folder / "data/text6.txt").unlink()
    assert export(work, "--with-images") == before


def test_without_its_dataset_a_run_is_exported_alone(work: Command) -> None:
    (work.folder / "data").rename(work.folder / "elsewhere")
    result = work("export", FOLDER)
    assert result.code == 0, result
    assert "folder data (Japanese, Urdu) is not there" in result.err
    rows = read_table(work.folder / f"{FOLDER}/sandbox-x.jsonl")
    assert len(rows) == ROWS
    assert {(row["image"], row["article"]) for row in rows} == {(None, None)}
    assert_refused(work("export", FOLDER, "--with-images", "--force"), 1, "folder data", "--with-images")


# Where it goes


def test_a_file_that_is_there_is_replaced_only_when_asked(work: Command) -> None:
    path = work.folder / "mine.csv"
    path.write_text("precious")
    assert_refused(work("export", FOLDER, "--out", "mine.csv"), 1, "mine.csv exists already", "--force")
    assert path.read_text() == "precious"
    assert work("export", FOLDER, "--out", "mine.csv", "--force").code == 0
    assert len(read_table(path)) == ROWS
    (work.folder / "data/image6.png").unlink()
    assert work("export", FOLDER, "--format", "jsonl", "--out", "mine", "--force", "--with-images").code == 1
    assert sorted(path.name for path in work.folder.iterdir()) == ["data", "mine.csv", "outputs"]


def test_what_a_killed_export_left_is_named(work: Command) -> None:
    (work.folder / ".t.csv.new").write_text("half")
    assert_refused(work("export", FOLDER, "--out", "t.csv"), 1, ".t.csv.new", "--force")
    assert work("export", FOLDER, "--out", "t.csv", "--force").code == 0
    assert not (work.folder / ".t.csv.new").exists()


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_leaves_no_half_file(work: Command, form: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "vlures", "export", FOLDER, "--out", f"new/t.{form}"],
        cwd=work.folder,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert_refused(Result(result.returncode, result.stdout, result.stderr), 1, f"new/t.{form} cannot be written")
    assert list((work.folder / "new").iterdir()) == []


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_standard_output_takes_the_table_and_nothing_else(work: Command, form: str, tmp_path: Path) -> None:
    work.environment = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "vlures", "export", FOLDER, "--format", form, "--out", "-"]
    process = work.start(*command[3:])
    assert process.stdout is not None
    data = process.stdout.buffer.read()
    _, err = process.communicate()
    assert process.returncode == 0
    (tmp_path / f"t.{form}").write_bytes(data)
    assert read_table(tmp_path / f"t.{form}") == export(work, form=form)
    assert err.startswith("Wrote to standard output: ")


def test_a_reader_that_has_seen_enough_is_no_fault(work: Command) -> None:
    add(
        work,
        *(
            Response(request_key(make_cell("Ur", 2), Setting(), str(n)), "ok", "d", "y" * 10_000)
            for n in range(100, 200)
        ),
    )
    process = work.start("export", FOLDER, "--out", "-")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=60)
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_the_format_is_what_the_file_is_called(work: Command) -> None:
    assert work("export", FOLDER, "--out", "new/t.PARQUET").code == 0
    assert pq.read_table(work.folder / "new/t.PARQUET").num_rows == ROWS


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--format", "csv", "--with-images"), 2, ("CSV", "--format parquet")),
        (("--format", "parquet", "--out", "-"), 2, ("standard output", "--out")),
        (("--out", "table"), 2, ("table", "--format")),
        (("--out", "t.csv", "--format", "jsonl"), 2, ("t.csv", "jsonl")),
        (("--format", "xlsx"), 2, ("xlsx", "parquet")),
        (("--tasks", "1"), 2, ("--tasks",)),
    ],
)
def test_what_makes_no_sense_is_refused(
    work: Command, arguments: tuple[str, ...], code: int, words: tuple[str, ...]
) -> None:
    before = sorted(work.folder.rglob("*"))
    assert_refused(work("export", FOLDER, *arguments), code, *words)
    assert sorted(work.folder.rglob("*")) == before


def test_without_pyarrow_the_extra_is_named(work: Command, tmp_path: Path) -> None:
    # To Python, a module that is None is not installed.
    blind = tmp_path / "blind"
    blind.mkdir()
    (blind / "sitecustomize.py").write_text("import sys\nsys.modules['pyarrow'] = None\n")
    work.environment = {"PYTHONPATH": str(blind)}
    assert_refused(work("export", FOLDER, "--out", "t.parquet"), 1, "pyarrow", "vlures[parquet]", "jsonl")
    assert work("export", FOLDER, "--out", "t.csv").code == 0


# Which run


def test_the_run_is_the_folder_or_the_configurations_or_the_only_one(work: Command) -> None:
    (work.folder / "run.toml").write_text('sandbox = true\nname = "x"\ndataset = "data"\n')
    for number, arguments in enumerate([("-c", "run.toml"), ("--name", "x", "--sandbox"), ()]):
        result = work("export", *arguments, "--out", f"{number}.csv")
        assert result.code == 0, result
        assert len(read_table(work.folder / f"{number}.csv")) == ROWS
    shutil.copytree(work.folder / FOLDER, work.folder / "outputs/other")
    assert_refused(work("export"), 2, FOLDER, "outputs/other")
    assert work("export", "outputs/other").code == 0
    assert {row["name"] for row in read_table(work.folder / "outputs/other/other.jsonl")} == {"other"}


def test_no_run_is_one_sentence_and_makes_nothing(work: Command) -> None:
    assert_refused(work("export", "outputs/typo"), 1, "outputs/typo holds no run")
    assert not (work.folder / "outputs/typo").exists()
    assert_refused(work("export", "--output", "nowhere"), 1, "no run under nowhere")


# What the checkpoints may look like


def test_a_torn_last_line_is_no_row(work: Command) -> None:
    with (work.folder / CHECKPOINT).open("ab") as file:
        file.write(b'{"key": "Jp-t2-1shot-rationales-77", "sta')
    result = work("export", FOLDER)
    assert result.code == 0, result
    assert "torn" in result.err
    assert len(read_table(work.folder / f"{FOLDER}/sandbox-x.jsonl")) == ROWS


def test_a_last_line_that_lacks_but_its_break_is_a_row(work: Command) -> None:
    path = work.folder / CHECKPOINT
    path.write_bytes(path.read_bytes().removesuffix(b"\n"))
    before = work("status", FOLDER)
    result = work("export", FOLDER)
    assert result.code == 0, result
    assert "has lost its line break; the next run repairs it" in result.err
    assert len(read_table(work.folder / f"{FOLDER}/sandbox-x.jsonl")) == ROWS
    assert not path.read_bytes().endswith(b"\n"), "nothing but a run writes there"
    path.write_bytes(path.read_bytes() + b"\n")
    assert work("status", FOLDER).out == before.out


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_name_that_is_not_utf_8_does_not_stop_an_export(work: Command, form: str) -> None:
    [image] = (work.folder / "data").glob("*1.png")
    image.rename(image.with_name(os.fsdecode(b"image1-\x83C.png")))
    rows = export(work, form=form)
    assert len(rows) == ROWS
    assert "data/image1-\ufffdC.png" in {row["image"] for row in rows}


@pytest.mark.parametrize("form", FORMATS)
def test_a_line_of_another_kind_is_one_sentence(work: Command, form: str) -> None:
    with (work.folder / CHECKPOINT).open("ab") as file:
        file.write(b'{"key": "Jp-t2-1shot-rationales-77", "status": "ok", "text": 5}\n')
    result = work("export", FOLDER, "--format", form)
    assert_refused(result, 1, CHECKPOINT, ", line ")
    assert list((work.folder / FOLDER).glob(f"*sandbox-x.{form}*")) == []


def test_a_configuration_of_another_time_is_said(work: Command) -> None:
    path = work.folder / f"{FOLDER}/checkpoints_1shot_rationales/run.json"
    run = json.loads(path.read_text("utf-8"))
    run["config"] |= {"dataset": 5, "no_such_option": True}
    path.write_text(json.dumps(run), encoding="utf-8")
    result = work("export", FOLDER)
    assert result.code == 0, result
    assert "run.json does not say which dataset" in result.err
    run["config"] |= {"dataset": "data"}
    path.write_text(json.dumps(run), encoding="utf-8")
    assert {row["image"] for row in export(work)} == {f"data/image{number}.png" for number in range(1, 7)}


def test_no_question_is_made_up_for_an_imported_answer(work: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def count_questions() -> int:
        """Made while the table is read."""
        made = 0

        def see(frame: FrameType, event: str, _: Any) -> None:
            nonlocal made
            made += event == "call" and frame.f_code is digest_request.__code__

        before = sys.getprofile()
        sys.setprofile(see)
        try:
            list(read_standing_responses(Path(FOLDER), lambda _: None))
        finally:
            sys.setprofile(before)
        return made

    monkeypatch.chdir(work.folder)
    before = count_questions()
    keys = [request_key(make_cell("Jp", 3), Setting(), str(number)) for number in range(1, 7)]
    add(work, *(Response(key, "ok", text="Ndiyo", attempts=0, imported="checkpoint_task3_Jp.json") for key in keys))
    assert count_questions() == before
    assert before > 0


def test_each_row_names_the_model_that_it_was_asked_of(work: Command) -> None:
    """One answer was due, and another model gives it; the others are kept."""
    kept = work(*RUN, "--languages", "Jp,Ur", "--tasks", "2,8", "--model", "gemini-3.5-flash-lite", "--stale", "keep")
    assert kept.code == 0, kept
    assert work("export", FOLDER, "--out", "table.jsonl").code == 0
    rows = read_table(work.folder / "table.jsonl")
    assert Counter(row["model"] for row in rows) == {"gemini-3.8-flash": ROWS - 1, "gemini-3.5-flash-lite": 1}
    answered = [row for row in rows if row["model_answered"]]
    assert all(row["model"] == row["model_answered"] for row in answered)

"""Names are compared as a person reads them: Unicode's normal forms, digits of every script, paths of Windows."""

from __future__ import annotations

import csv
import json
import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image as Pillow

from tests.conftest import Command
from vlures.benchmarks.vlures.dataset import load_dataset, numeric_id

NAME = "ガム_é"
NFC, NFD = (unicodedata.normalize(form, NAME) for form in ("NFC", "NFD"))
FORMS = [(NFC, NFD), (NFD, NFC), (NFD, NFD)]


def put_image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.new("RGB", (8, 8), (len(path.name), 0, 0)).save(path)
    return path


def put_rows(path: Path, rows: list[dict[str, str]]) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        import pyarrow as pa
        from pyarrow.parquet import write_table

        write_table(pa.Table.from_pylist(rows), path)


def check_tables(vlures: Command, kind: str, names: list[str]) -> list[tuple[int, str]]:
    """Exit code and words of `check` for a table of texts and one of questions that name these images of data/."""
    data = vlures.folder / "data"
    put_rows(data / f"metadata.{kind}", [{"file_name": name, "text": "words"} for name in names])
    put_rows(vlures.folder / f"my.{kind}", [{"image": name, "question": "What?"} for name in names])
    questions = ("--benchmark", "table", "--questions", f"my.{kind}", "--dataset", "data")
    results = [vlures("check", *options) for options in (("--dataset", "data", "--languages", "En"), questions)]
    return [(result.code, result.out + result.err) for result in results]


@pytest.fixture
def empty(vlures: Command) -> Command:
    shutil.rmtree(vlures.folder / "data")
    return vlures


@pytest.mark.warm
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize(("on_disk", "in_table"), FORMS)
@pytest.mark.parametrize("folder", ["", "images/", f"{NFD}/"], ids=["here", "images", "a folder of such a name"])
def test_a_table_names_a_file_in_another_normal_form(
    empty: Command, kind: str, on_disk: str, in_table: str, folder: str
) -> None:
    put_image(empty.folder / f"data/{folder}{on_disk}1.png")
    for code, said in check_tables(empty, kind, [unicodedata.normalize("NFC", folder) + f"{in_table}1.png"]):
        assert (code, "error" in said.replace("errors", "")) == (0, False), said


@pytest.mark.warm
def test_of_two_files_that_read_alike_the_exact_one_is_taken_and_else_none(empty: Command) -> None:
    for form in (NFC, NFD):
        put_image(empty.folder / f"data/{form}1.png")
    mixed = NFC[:2] + NFD[len(NFC) - 1 :]
    assert mixed not in (NFC, NFD)
    for code, said in check_tables(empty, "csv", [f"{NFC}1.png"]):
        assert "ambiguous" not in said, code
    for code, said in check_tables(empty, "csv", [f"{unicodedata.normalize('NFD', 'ガ')}{NFC[1:]}1.png"]):
        assert code == 1
        assert "ambiguous: 2 names in data read like" in said


@pytest.mark.parametrize(("image", "text"), FORMS)
def test_a_text_shares_the_stem_of_its_image_in_another_normal_form(tmp_path: Path, image: str, text: str) -> None:
    put_image(tmp_path / f"{image}1.png")
    put_image(tmp_path / "other1.png")
    (tmp_path / f"{text}1.txt").write_text("words")
    (sample,) = load_dataset(tmp_path).samples
    assert (sample.image.path.stem, sample.text) == (f"{image}1", "words")


@pytest.mark.parametrize(
    ("stem", "number"),
    [("تصویر۱۲", 12), ("صورة٠٣", 3), ("写真０４２", 42), ("चित्र७", 7), ("image²5", 5), ("۰۰1", 1)],
)
def test_digits_of_every_script_are_numbers(tmp_path: Path, stem: str, number: int) -> None:
    assert numeric_id(stem) == number
    put_image(tmp_path / f"{stem}.png")
    (tmp_path / f"text{number}.txt").write_text("words")
    (sample,) = load_dataset(tmp_path).samples
    assert (sample.id, sample.text) == (number, "words")


@pytest.mark.warm
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_backslashes_of_windows_are_separators(empty: Command, kind: str) -> None:
    put_image(empty.folder / "data/images/sub2024/image1.png")
    for code, said in check_tables(empty, kind, ["images\\sub2024\\image1.png"]):
        assert (code, "error" in said.replace("errors", "")) == (0, False), said


@pytest.mark.warm
@pytest.mark.parametrize("name", ["..\\image1.png", "images\\..\\..\\image1.png", "C:\\image1.png", "\\\\host\\1.png"])
def test_backslashes_lead_nowhere_else(empty: Command, name: str) -> None:
    put_image(empty.folder / "image1.png")
    put_image(empty.folder / "data/images/image2.png")
    for code, said in check_tables(empty, "csv", [name]):
        assert code == 1
        assert any(words in said for words in ("could lead out", "outside the folder", "there is no image")), said


@pytest.mark.warm
def test_a_link_behind_a_name_that_only_reads_alike_is_not_followed(empty: Command, tmp_path: Path) -> None:
    secret = put_image(tmp_path / "secret.png")
    (empty.folder / "data").mkdir()
    (empty.folder / f"data/{NFD}1.png").symlink_to(secret)
    for code, said in check_tables(empty, "csv", [f"{NFC}1.png"]):
        assert code == 1
        assert "a link that leads out of the dataset's folder" in said


@pytest.mark.warm
@pytest.mark.parametrize("name", ["{outside}", "../outside/image1.png"])
def test_a_path_out_of_the_folder_is_called_one(empty: Command, name: str) -> None:
    outside = put_image(empty.folder / "outside/image1.png")
    put_image(empty.folder / "data/image2.png")
    _, (code, said) = check_tables(empty, "csv", [name.format(outside=outside)])
    assert code == 1
    assert "is a path outside the folder data" in said
    assert "link" not in said.replace("--follow-links", "")


@pytest.mark.warm
def test_groups_and_ids_that_read_alike_are_refused_with_both_lines(empty: Command) -> None:
    put_image(empty.folder / "data/image1.png")
    rows = [
        {"image": "image1.png", "question": "a", "id": "1", "group": NFC},
        {"image": "image1.png", "question": "b", "id": "2", "group": NFD},
        {"image": "image1.png", "question": "c", "id": NFC, "group": ""},
        {"image": "image1.png", "question": "d", "id": NFD, "group": ""},
    ]
    put_rows(empty.folder / "my.csv", rows)
    said = empty("check", "--benchmark", "table", "--questions", "my.csv", "--dataset", "data").out
    assert "my.csv line 3: its group" in said
    assert "of line 2 in the Unicode form of its accents only" in said
    assert "my.csv line 5: has the ID" in said
    assert "as line 4" in said


@pytest.mark.warm
def test_a_column_is_named_as_it_reads(empty: Command) -> None:
    put_image(empty.folder / "data/image1.png")
    put_rows(empty.folder / "my.csv", [{NFD: "image1.png", "question": "a"}])
    put_rows(empty.folder / "data/metadata.csv", [{NFD: "image1.png", "text": "a"}])
    questions = ("--benchmark", "table", "--questions", "my.csv", "--dataset", "data", "--columns", f"image={NFC}")
    for options in (questions, ("--dataset", "data", "--languages", "En", "--columns", f"file={NFC}")):
        result = empty("check", *options)
        assert result.code == 0, result


@pytest.mark.warm
@pytest.mark.parametrize(("on_disk", "typed"), FORMS)
def test_a_folder_and_a_table_are_named_as_they_read(empty: Command, on_disk: str, typed: str) -> None:
    put_image(empty.folder / f"{on_disk}/image1.png")
    put_rows(empty.folder / f"{on_disk}.csv", [{"image": "image1.png", "question": "a"}])
    questions = ("--benchmark", "table", "--questions", f"{typed}.csv", "--dataset", typed)
    for options in (questions, ("--dataset", typed, "--languages", "En")):
        result = empty("check", *options)
        assert result.code == 0, result
    run = empty("run", *questions, "--sandbox", "--mode", "live", "--name", "mine")
    assert "1 ok" in run.out, run
    exported = json.loads(empty("export", "outputs/sandbox-mine", "--out", "-").out)
    assert exported["question"] == "a"

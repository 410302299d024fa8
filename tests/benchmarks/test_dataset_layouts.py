"""A published dataset is read as it is laid out: a table beside its images, a sub-folder per language."""

from __future__ import annotations

import csv
import io
import json
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image as Pillow
from pyarrow.parquet import write_table

from tests.benchmarks.loading import benchmark_of, questions_of
from tests.conftest import Command, make_dataset
from vlures.benchmarks.vlures.benchmark import load_datasets
from vlures.benchmarks.vlures.dataset import Selection, load_dataset
from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.samples import Dataset
from vlures.benchmarks.vlures.settings import parse_cell
from vlures.errors import UsageError, VluresError

KINDS = ("parquet", "jsonl", "csv")
Rows = Sequence[dict[str, Any]]


def put_images(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names, 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.new("RGB", (6, 4), (number, 0, 0)).save(path)
    return folder


def put_table(folder: Path, kind: str, rows: Rows, row_group: int | None = None) -> Path:
    """A table of these rows; all have the columns of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"metadata.{kind}"
    if kind == "parquet":
        write_table(pa.Table.from_pylist(list(rows)), path, row_group_size=row_group)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return path


def put_dataset(folder: Path, kind: str, rows: Rows) -> Path:
    put_images(folder, *(row["file_name"] for row in rows if row["file_name"]))
    put_table(folder, kind, rows)
    return folder


def row(number: int, **others: Any) -> dict[str, Any]:
    return {"file_name": f"image{number}.png", "text": f"text {number}", **others}


def texts(dataset: Dataset) -> dict[int, str | None]:
    return {sample.id: sample.text for sample in dataset.samples}


def complaints(dataset: Dataset) -> list[str]:
    return [f"{', '.join(problem.files)}: {problem.reason}" for problem in dataset.errors]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("table_in", "images_in", "named"),
    [
        (".", ".", ""),
        (".", "images", "images/"),
        (".", "images", ""),
        (".", "train", ""),
        (".", "train/images", ""),
        ("train", "train", ""),
        ("train", "train/images", "images/"),
        ("train", "train/images", ""),
        ("train/images", "train/images", ""),
        ("images", "images", "./"),
    ],
)
def test_a_table_is_found_and_so_are_its_images(
    tmp_path: Path, kind: str, table_in: str, images_in: str, named: str
) -> None:
    rows = [
        {"file_name": f"{named}photo_{number:03d}.png", "text": f"  کہانی\r\n{number} ", "language": language}
        for number, language in ((12, "Urdu"), (3, "ur"), (7, "English"))
    ]
    put_images(tmp_path / images_in, *(Path(one["file_name"]).name for one in rows))
    put_table(tmp_path / table_in, kind, rows)
    dataset = load_dataset(tmp_path, language=LANGUAGES["Ur"])
    assert texts(dataset) == {3: "کہانی\n3", 12: "کہانی\n12"}
    assert dataset.errors == ()
    assert dataset.layout == (Path(table_in) / f"metadata.{kind}").as_posix()
    assert dataset.samples[0].image.path.parent.resolve() == (tmp_path / images_in).resolve()
    assert texts(load_dataset(tmp_path / table_in / f"metadata.{kind}", language=LANGUAGES["En"])) == {7: "کہانی\n7"}


WORDS = {
    "En": ("En", "english", "EN", "eng", "en-GB"),
    "Jp": ("Jp", "Japanese", "ja", "jpn", "ja_JP", "日本語"),
    "Sw": ("Sw", "swahili", "sw", "swa", "Kiswahili", " SWAHILI "),
    "Ur": ("Ur", "Urdu", "ur", "urd", "اردو"),
}


def test_each_language_of_a_run_takes_its_own_rows_of_one_split(tmp_path: Path) -> None:
    words = [(code, word) for code, several in WORDS.items() for word in several]
    rows = [row(number, language=word) for number, (_, word) in enumerate(words, 1)]
    put_dataset(tmp_path, "jsonl", rows)
    datasets = load_datasets(questions_of({"dataset": str(tmp_path)}))
    expected = {
        code: {number: f"text {number}" for number, (own, _) in enumerate(words, 1) if own == code} for code in WORDS
    }
    assert {code: texts(dataset) for code, dataset in datasets.items()} == expected
    assert {code: dataset.language for code, dataset in datasets.items()} == {code: code for code in WORDS}
    assert [problem for dataset in datasets.values() for problem in dataset.errors] == []
    benchmark = benchmark_of({"dataset": str(tmp_path), "tasks": "1"})
    asked = {(parse_cell(request.cell)[0], int(request.sample_id)) for request in benchmark.requests()}
    assert asked == {(code, number) for code, numbers in expected.items() for number in numbers}


def test_a_table_without_a_language_serves_every_language_and_is_read_once(tmp_path: Path) -> None:
    put_dataset(tmp_path, "csv", [row(1), row(2)])
    datasets = load_datasets(questions_of({"dataset": str(tmp_path), "languages": "Sw,Ur"}))
    assert datasets["Sw"] is datasets["Ur"]
    assert texts(datasets["Sw"]) == {1: "text 1", 2: "text 2"}


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("File Name", "Long-Text", "LANG", "id"), ""),
        (("image", "article", "language_code", "sample_id"), ""),
        (("photo", "story", "tongue", "no"), "file=photo,text=story,language=tongue,id=no"),
        (("file_name", "story", "caption", "image"), "text=story,language=caption"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_found_by_name_or_named(
    tmp_path: Path, kind: str, names: tuple[str, str, str, str], columns: str
) -> None:
    put_images(tmp_path, "image5.png")
    put_table(tmp_path, kind, [dict(zip(names, ("image5.png", "a text", "Urdu", 5), strict=True))])
    options = {"dataset": str(tmp_path), "languages": "Ur"} | ({"columns": columns} if columns else {})
    assert texts(load_datasets(questions_of(options))["Ur"]) == {5: "a text"}


@pytest.mark.parametrize(
    ("names", "columns", "sentence"),
    [
        (
            "photo text",
            "",
            "no column is named like a column of file names. It has the columns 'photo', 'text'; say which",
        ),
        ("file_name story", "", "no column is named like a column of texts. It has the columns 'file_name', 'story'"),
        ("file_name text article", "", "the text could be any of 'text', 'article'; say which: --columns text=text"),
        (
            "file_name text tongue",
            "",
            "the column 'tongue' seems to hold the language; confirm it with --columns language=tongue",
        ),
        ("file_name text", "text=txt", "--columns text=txt: .* has no such column; did you mean 'text'"),
        ("file_name text", "text=file_name", "one column of .* cannot have two roles"),
    ],
)
def test_columns_that_do_not_tell_are_asked_for(tmp_path: Path, names: str, columns: str, sentence: str) -> None:
    values = {"photo": "image1.png", "file_name": "image1.png", "tongue": "Urdu"}
    put_images(tmp_path, "image1.png")
    put_table(tmp_path, "csv", [{name: values.get(name, "words") for name in names.split()}])
    options = {"dataset": str(tmp_path), "languages": "Ur"} | ({"columns": columns} if columns else {})
    with pytest.raises(UsageError, match=sentence):
        load_datasets(questions_of(options))


def test_a_table_may_have_no_text_and_no_language_if_that_is_said(tmp_path: Path) -> None:
    put_images(tmp_path, "image1.png")
    put_table(tmp_path, "csv", [{"file_name": "image1.png", "tongue": "Urdu"}])
    dataset = load_dataset(tmp_path, columns=(("text", ""), ("language", "")), language=LANGUAGES["En"])
    assert (texts(dataset), dataset.errors) == ({1: None}, ())


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("story", "'story' does not say its role; write it as in text=story"),
        ("title=x", "a table has no 'title'; choose from file, text, language, id"),
        ("text=a,text=b", "can be named once"),
        ("text=a", "--columns is for a table .* has none"),
    ],
)
def test_columns_that_cannot_be_are_refused(tmp_path: Path, columns: str, sentence: str) -> None:
    put_images(tmp_path, "image1.png")
    with pytest.raises(UsageError, match=sentence):
        load_datasets(questions_of({"dataset": str(tmp_path), "languages": "En", "columns": columns}))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_wrong_in_a_table_is_named_and_keeps_out_what_it_is_about(tmp_path: Path, kind: str) -> None:
    rows = [
        row(1, language="English"),
        row(2, language="English"),
        row(3, language="English", text=""),
        row(4, language="English"),
        row(5, language="English", file_name="../image5.png"),
        row(6, language="English", file_name="/etc/image6.png"),
        row(7, language="English", file_name="https://host.example/image7.png"),
        row(8, language="English", file_name="c:\\image8.png"),
        row(9, language="English", file_name="photo.png"),
        row(10, language="English", file_name="2024_10.png"),
        row(11, language="English", file_name=""),
        row(12, language="Hausa"),
        row(12, language="Hausa"),
        row(13, language=""),
        row(4, language="English", text="another text"),
        row(14, language="English"),
        row(14, language="Urdu"),
    ]
    put_images(tmp_path, "image1.png", "image3.png", "image4.png", "image14.png")
    put_table(tmp_path, kind, rows)
    dataset = load_dataset(tmp_path, language=LANGUAGES["En"])
    assert texts(dataset) == {1: "text 1", 3: None, 14: "text 14"}
    place = (lambda number: f"row {number}") if kind == "parquet" else (lambda number: f"line {number}")
    first = 2 if kind == "csv" else 1
    name = f"metadata.{kind}"
    outside = "this name could lead out of the dataset's folder, so it is not followed"
    without_id = "a column `id` with a number for each row would give it one"
    told = complaints(dataset)
    assert sorted(told) == sorted(
        [
            f"{name} {place(first + 4)}, ../image5.png: {outside}",
            f"{name} {place(first + 5)}, /etc/image6.png: {outside}",
            f"{name} {place(first + 6)}, https://host.example/image7.png: an address, not a file; download it and name "
            "the file",
            f"{name} {place(first + 7)}, c:\\image8.png: {outside}",
            f"{name} {place(first + 8)}, photo.png: no number in its name, so it has no ID; {without_id}",
            f"{name} {place(first + 9)}, 2024_10.png: 2 separate numbers in its name (2024, 10), so its ID is "
            f"ambiguous; {without_id}",
            f"{name} {place(first + 10)}: no file name",
            f"{name}, image4.png: 2 rows with one file ({place(first + 3)} and {place(first + 14)}); keep one of them",
            f"{name}: 2 rows in 'Hausa', which is not one of English, Japanese, Swahili, Urdu",
            f"{name}: 1 row with no language in `language`",
            f"{name} {place(first + 1)}, image2.png: there is no such image in {tmp_path}",
        ]
    )
    notes = [problem.reason for problem in dataset.problems if problem.severity == "note"]
    assert notes[0].endswith("rows: En 13, Ur 1, others 3")
    assert notes[1:] == ["without a text, so for tasks 1-5 only"]


def test_a_language_without_rows_stops_and_says_which_there_are(tmp_path: Path) -> None:
    put_dataset(tmp_path, "jsonl", [row(1, language="English"), row(2, language="Hausa")])
    with pytest.raises(VluresError, match=r"has no rows in Urdu \(English 1\); leave it out with --languages"):
        load_dataset(tmp_path, language=LANGUAGES["Ur"])


@pytest.mark.parametrize("kind", KINDS)
def test_ids_come_from_the_names_or_from_a_column_never_from_the_place(tmp_path: Path, kind: str) -> None:
    names = {"b_1_2.png": 30, "a.png": 20, "c7.png": 10, "d_1_2.png": 7, "e5.png": 40, "a2.png": 20}
    rows: list[dict[str, Any]] = [{"file_name": name, "text": name, "id": number} for name, number in names.items()]
    put_dataset(tmp_path, kind, rows)
    dataset = load_dataset(tmp_path)
    assert texts(dataset) == {2: "a2.png", 5: "e5.png", 20: "a.png", 30: "b_1_2.png"}
    assert [problem.files[1:] for problem in dataset.errors] == [("c7.png", "d_1_2.png")]
    assert "2 rows with the one ID 7" in dataset.errors[0].reason

    named = load_dataset(tmp_path, columns=(("id", "id"),))
    assert texts(named) == {7: "d_1_2.png", 10: "c7.png", 30: "b_1_2.png", 40: "e5.png"}
    assert [problem.files[1:] for problem in named.errors] == [("a.png", "a2.png")]

    put_table(tmp_path, kind, rows[1:3] + rows[4:])  # rows are taken out, as they were of the published data
    assert texts(load_dataset(tmp_path)) == {2: "a2.png", 5: "e5.png", 7: "c7.png", 20: "a.png"}


def test_one_file_under_two_ids_is_an_error(tmp_path: Path) -> None:
    put_images(tmp_path, "photo.png", "other.png")
    rows = [
        {"file_name": name, "text": "words", "id": number}
        for number, name in enumerate(["photo.png", "./photo.png", "other.png"])
    ]
    put_table(tmp_path, "jsonl", [*rows, {"file_name": "other.png", "text": "words", "id": "none"}])
    dataset = load_dataset(tmp_path)
    assert set(texts(dataset)) == {2}
    told = complaints(dataset)
    assert [("no number in its name" in one, "photo.png" in one) for one in told] == [(True, False), (False, True)]


def test_a_selection_reads_no_more_than_it_takes_and_makes_up_for_what_is_missing(tmp_path: Path) -> None:
    numbers = [9, 4, 8, 3, 7, 2, 6, 1, 5]
    put_images(tmp_path, *(f"image{number}.png" for number in numbers if number != 2))
    put_table(tmp_path, "parquet", [row(number) for number in numbers], row_group=2)
    assert list(texts(load_dataset(tmp_path, selection=Selection(limit=3)))) == [1, 3, 4]
    assert texts(load_dataset(tmp_path, selection=Selection(frozenset({8, 3, 99})))) == {3: "text 3", 8: "text 8"}
    some = load_dataset(tmp_path, selection=Selection(frozenset({7, 8, 9}), limit=2))
    assert (list(texts(some)), some.errors) == ([7, 8], ())
    options = {"dataset": str(tmp_path), "languages": "En", "skip_problems": True}
    with pytest.raises(VluresError, match=r"No dataset has a sample with the ID 10; there are \d"):
        benchmark_of(options | {"samples": "10"})
    benchmark = benchmark_of(options | {"limit": 2, "tasks": "1"})
    assert [request.sample_id for request in benchmark.requests()] == ["1", "3"]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_of_a_table_that_is_torn_anywhere_nothing_is_invented_and_nothing_before_it_is_lost(
    tmp_path: Path, kind: str
) -> None:
    rows = [row(number, text=f'text {number}, "with", more\nاردو') for number in (1, 2, 3)]
    path = put_table(put_images(tmp_path, "image1.png", "image2.png", "image3.png"), kind, rows)
    whole = path.read_bytes()
    full = texts(load_dataset(tmp_path))
    ends = [at + 1 for at in range(len(whole)) if whole[at : at + 1] == b"\n" and not whole[:at].endswith(b"more")]
    ends = ends[-len(rows) :]
    for end in range(1, ends[0]):  # not even the first row is there
        path.write_bytes(whole[:end])
        try:
            assert texts(load_dataset(tmp_path)).items() <= {1: full[1]}.items()
        except VluresError:
            continue
    for end in range(ends[0], len(whole)):
        path.write_bytes(whole[:end])
        dataset = load_dataset(tmp_path)
        found, before = texts(dataset), sum(at <= end for at in ends)
        assert found.items() <= full.items(), end
        assert len(found) >= before, end
        assert end in ends or dataset.errors or len(found) > before, end


@pytest.mark.parametrize(
    ("name", "data", "encoding", "expected"),
    [
        ("metadata.csv", "\ufefffile_name,text\r\nimage1.png,کافی\r\n".encode(), "utf-8", "کافی"),
        ("metadata.jsonl", '\ufeff{"file_name": "image1.png", "text": "کافی"}\n'.encode(), "utf-8", "کافی"),
        ("metadata.csv", "file_name,text\nimage1.png,café\n".encode("latin-1"), "latin-1", "café"),
        ("metadata.csv", b'file_name,text\n\n"image1.png","a ""b""\nc"\n\n', "utf-8", 'a "b"\nc'),
        ("metadata.jsonl", b'{"text": "early"}\n\n{"file_name": "image1.png", "text": "late"}\n', "utf-8", "late"),
    ],
)
def test_byte_order_marks_encodings_and_blank_lines(
    tmp_path: Path, name: str, data: bytes, encoding: str, expected: str
) -> None:
    put_images(tmp_path, "image1.png")
    (tmp_path / name).write_bytes(data)
    assert texts(load_dataset(tmp_path, encoding)) == {1: expected}


def as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    write_table(table, sink)
    return sink.getvalue()


IMAGES = pa.table({"image": pa.array([{"bytes": b"\x89PNG", "path": "image1.png"}]), "text": pa.array(["words"])})


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        (
            "metadata.csv",
            "file_name,café\nimage1.png,words\n".encode("latin-1"),
            'not UTF-8.*text_encoding = "latin-1"',
        ),
        ("metadata.csv", b"", "has no first line that names its columns"),
        ("metadata.csv", b"file_name;text\nimage1.png;words\n", "does not separate its columns by commas"),
        ("metadata.jsonl", b"", "holds no JSON objects"),
        ("metadata.jsonl", b'["image1.png"]\n', "holds no JSON objects"),
        ("metadata.parquet", b"PAR1 and no more", "is not a readable Parquet file"),
        ("metadata.parquet", as_parquet(IMAGES), "holds bytes, not names or texts.*write each into a file"),
        ("train/x.parquet", as_parquet(IMAGES), r"has no images .* it has the folders train; name another"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, data: bytes, sentence: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VluresError, match=sentence):
        load_dataset(tmp_path)


def test_a_name_that_no_file_can_have_is_named(tmp_path: Path) -> None:
    put_table(put_images(tmp_path, "image2.png"), "jsonl", [row(1, file_name="1" + "x" * 300), row(2)])
    dataset = load_dataset(tmp_path)
    assert (list(texts(dataset)), "no image can be found under this name" in dataset.errors[0].reason) == ([2], True)


def test_what_goes_wrong_a_thousand_times_is_told_twenty_times_and_counted(tmp_path: Path) -> None:
    put_table(tmp_path, "jsonl", [row(number) for number in range(1, 1001)])
    dataset = load_dataset(tmp_path)
    assert (len(dataset.errors), sum(problem.times for problem in dataset.errors)) == (21, 1000)
    assert dataset.errors[-1].reason == "and 980 more images that are missing or cannot be used"


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        ("En Jp Sw Ur", "En Jp Sw Ur"),
        ("english JAPANESE swahili Urdu", "english JAPANESE swahili Urdu"),
        (
            "ImagesTextEn1K ImagesTextJp1K ImagesTextSw1K ImagesTextUr1K",
            "ImagesTextEn1K ImagesTextJp1K ImagesTextSw1K ImagesTextUr1K",
        ),
        ("en_pairs ja_pairs sw_pairs ur_pairs notes", "en_pairs ja_pairs sw_pairs ur_pairs"),
    ],
)
def test_a_folder_per_language_is_found(tmp_path: Path, folders: str, found: str) -> None:
    for number, name in enumerate(folders.split(), 1):
        put_images(tmp_path, f"{name}/image{number}.png")
        (tmp_path / name / f"text{number}.txt").write_text(name, encoding="utf-8")
    datasets = load_datasets(questions_of({"dataset": str(tmp_path)}))
    assert {code: texts(dataset) for code, dataset in datasets.items()} == {
        code: {number: name} for number, (code, name) in enumerate(zip(WORDS, found.split(), strict=True), 1)
    }
    assert datasets["Ur"].layout == f"folder {found.split()[3]}: image and text files"


def test_a_language_folder_may_have_a_table_of_its_own(tmp_path: Path) -> None:
    put_dataset(tmp_path / "English", "csv", [row(1)])
    put_dataset(tmp_path / "Urdu", "jsonl", [row(2, language="Urdu"), row(3, language="English")])
    datasets = load_datasets(questions_of({"dataset": str(tmp_path), "languages": "En,Ur"}))
    assert {code: texts(dataset) for code, dataset in datasets.items()} == {"En": {1: "text 1"}, "Ur": {2: "text 2"}}


@pytest.mark.parametrize(
    ("images", "tables", "sentence"),
    [
        ("En/1.png", "", r"none for Urdu: En \(En\); ask for those that are there with --languages En"),
        ("Ur/1.png Urdu/1.png", "", "has 2 folders for Urdu: Ur, Urdu; say which one: --dataset Ur="),
        ("Ur/1.png train/1.png", "train", r"has both train/metadata.csv and folders of languages \(Ur\)"),
        (
            "train/1.png test/2.png",
            "train test",
            "has 2 tables .test/metadata.csv, train/metadata.csv.; name one of them",
        ),
    ],
)
def test_a_layout_that_could_be_two_is_asked_about(tmp_path: Path, images: str, tables: str, sentence: str) -> None:
    put_images(tmp_path, *images.split())
    for place in tables.split():
        put_table(tmp_path / place, "csv", [row(1)])
    with pytest.raises(VluresError, match=sentence):
        load_dataset(tmp_path, language=LANGUAGES["Ur"])


def test_images_and_texts_beside_folders_are_read_as_ever(tmp_path: Path) -> None:
    put_images(tmp_path, "image1.png", "En/image2.png")
    put_dataset(tmp_path / "train", "csv", [row(3)])
    dataset = load_dataset(tmp_path, language=LANGUAGES["Ur"])
    assert (texts(dataset), dataset.layout) == ({1: None}, "image and text files")


def test_check_says_the_layout_and_a_run_goes_on_without_other_languages_only_by_choice(vlures: Command) -> None:
    folder = vlures.folder / "published"
    languages = ("English", "Urdu", "Hausa", "English")
    rows = [
        row(number, file_name=f"images/vlures{number}.png", language=name) for number, name in enumerate(languages, 1)
    ]
    put_images(folder / "train", *(one["file_name"] for one in rows[:3]))
    put_table(folder / "train", "parquet", rows)
    options = ("--dataset", "published", "--languages", "En,Ur")
    check = vlures("check", *options)
    assert check.code == 1
    lines = check.out.splitlines()
    assert [line.split() for line in lines if line.startswith("published")] == [
        ["published", "train/metadata.parquet", "En", "1", "1", "0", "2"],
        ["published", "train/metadata.parquet", "Ur", "1", "1", "0", "1"],
    ]
    assert (
        "note: published: train/metadata.parquet: file from `file_name`, text from `text`, language from `language`; "
        "rows: En 2, Ur 1, others 1" in lines
    )
    assert check.out.count("1 row in 'Hausa', which is not one of") == 1

    run = ("run", "--sandbox", "--backend", "gemini", "--tasks", "1,6", "--name", "one", *options)
    stopped = vlures(*run)
    assert (stopped.code, "published has 2 problems" in stopped.err) == (1, True), stopped
    result = vlures(*run, "--skip-problems")
    assert result.code == 0, result
    assert set(vlures.answers("sandbox-one")) == {"En-t1-1", "En-t6-1", "Ur-t1-2", "Ur-t6-2"}
    exported = vlures("export", "outputs/sandbox-one", "--out", "-")
    told = [json.loads(line) for line in exported.out.splitlines()]
    assert {(one["language"], one["article"]) for one in told} == {("En", "text 1"), ("Ur", "text 2")}


def test_texts_as_files_beside_a_table_are_asked_about(tmp_path: Path) -> None:
    put_images(tmp_path, "image1.png", "image2.png")
    table = put_table(tmp_path, "csv", [row(1)])
    (tmp_path / "LICENSE.txt").write_text("free", encoding="utf-8")
    (tmp_path / "text2.txt").write_text("words", encoding="utf-8")
    with pytest.raises(
        VluresError, match=r"has both metadata.csv and texts as files \(text2.txt\); name the table itself"
    ):
        load_dataset(tmp_path)
    chosen = load_dataset(table)
    assert (texts(chosen), chosen.errors) == ({1: "text 1"}, ())
    assert [(one.files, one.reason) for one in chosen.problems[1:]] == [
        (("image2.png",), "1 image that no row of metadata.csv names"),
        (
            ("LICENSE.txt", "text2.txt"),
            "not taken: no row of metadata.csv names it, nor is it an image (.jfif .jpe .jpeg .jpg .png .webp)",
        ),
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_images_that_no_row_names_are_an_error(tmp_path: Path, kind: str) -> None:
    there = ("image1.png", "images/image2.png", "train/images/image3.png", "train/image4.png")
    put_images(tmp_path, *there, "7.png", "images/8.png", "train/images/9.png", "train/.10.png")
    names = ("./image1.png", "image2.png", "images/image3.png", "train/image4.png")
    spoken = ("English", "English", "Urdu", "Hausa")
    rows = [
        row(number, file_name=name, language=word)
        for number, (name, word) in enumerate(zip(names, spoken, strict=True), 1)
    ]
    put_table(tmp_path, kind, rows)
    for selection in (Selection(), Selection(limit=1)):
        dataset = load_dataset(tmp_path, language=LANGUAGES["En"], selection=selection)
        found = [problem for problem in dataset.errors if "no row" in problem.reason]
        assert [(one.files, one.reason, one.times) for one in found] == [
            (("7.png", "images/8.png", "train/images/9.png"), f"3 images that no row of metadata.{kind} names", 3)
        ]


def test_a_thousand_images_that_no_row_names_are_one_error_with_twenty_names(tmp_path: Path) -> None:
    put_table(put_images(tmp_path, "image0.png"), "jsonl", [row(0)])
    for number in range(1, 1001):
        (tmp_path / f"image{number}.png").touch()
    (error,) = load_dataset(tmp_path).errors
    assert (len(error.files), error.times, error.reason[:12]) == (20, 1000, "1,000 images")


@pytest.mark.parametrize("words", ["en sw fr", "fr ja", "Urdu"])
def test_a_column_that_mostly_says_our_languages_is_asked_about(tmp_path: Path, words: str) -> None:
    put_dataset(tmp_path, "jsonl", [row(number, tongue=word) for number, word in enumerate(words.split())])
    with pytest.raises(UsageError, match="the column 'tongue' seems to hold the language"):
        load_dataset(tmp_path)
    put_table(tmp_path, "jsonl", [row(number, tongue=word) for number, word in enumerate(f"{words} a b c".split())])
    assert "tongue" not in str(load_dataset(tmp_path).problems)


def test_other_columns_may_share_their_name(tmp_path: Path) -> None:
    put_images(tmp_path, "image1.png")
    columns = [pa.array([value]) for value in ("image1.png", "words", "x", "y")]
    write_table(pa.Table.from_arrays(columns, ["file_name", "text", "note", "note"]), tmp_path / "metadata.parquet")
    assert texts(load_dataset(tmp_path)) == {1: "words"}


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_below_zero_is_none(tmp_path: Path, kind: str) -> None:
    written = -7 if kind == "parquet" else "-7"
    put_dataset(tmp_path, kind, [{"file_name": "a.png", "text": "words", "id": written}])
    dataset = load_dataset(tmp_path)
    assert (texts(dataset), [f"`id` has no ID here, but {written!r}" in one for one in complaints(dataset)]) == (
        {},
        [True],
    )


# Tables that are no tables


@pytest.mark.parametrize(
    ("name", "form"), [("metadata.jsonl", '{"file_name": "'), ("metadata.csv", "file_name,text\n")]
)
def test_a_line_without_an_end_is_no_row(tmp_path: Path, name: str, form: str) -> None:
    path = tmp_path / name
    path.write_text(form)
    with path.open("ab") as file:
        file.truncate(100_000_000_000)
    with pytest.raises(VluresError, match=rf"{name}, line [12], has more than 64,000,000 bytes, so it is not a row"):
        load_dataset(tmp_path)


def test_an_article_beyond_any_length_is_a_problem_of_its_row(tmp_path: Path) -> None:
    make_dataset(tmp_path, samples=2, texts=0)
    rows = [{"file_name": "image1.png", "text": "x" * 16_000_001}, {"file_name": "image2.png", "text": "short"}]
    (tmp_path / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dataset = load_dataset(tmp_path)
    assert [problem.reason for problem in dataset.errors] == [
        "its text has 16,000,001 characters, and no more than 16,000,000 are read"
    ]
    assert [sample.text for sample in dataset.samples] == [None, "short"]


def test_rows_without_number_in_a_few_bytes_are_not_gone_through(tmp_path: Path) -> None:
    rows = 2_000_000
    names = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["image1.png"]))
    write_table(pa.table({"file_name": names, "text": names}), tmp_path / "metadata.parquet")
    with pytest.raises(VluresError, match=r"declares 2,000,000 rows in [0-9,]+ bytes"):
        load_dataset(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")
@pytest.mark.parametrize("column", ["file_name", "text"])
def test_a_value_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, column: str) -> None:
    """512 rows are read at a time, each of which is 10 MB, in a file of some kilobytes."""
    make_dataset(tmp_path, samples=1, texts=0)
    rows = 600
    numbers = [f"image{number}.png" for number in range(1, rows + 1)]
    large = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 10_000_000]))
    columns = {"file_name": numbers, "text": numbers} | {column: large}
    write_table(pa.table(columns), tmp_path / "metadata.parquet", compression="zstd")
    assert (tmp_path / "metadata.parquet").stat().st_size < 100_000
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with pytest.raises(VluresError, match="would take more than 700,000,000 bytes of memory"):
        load_dataset(tmp_path)
    assert resource.getrlimit(resource.RLIMIT_AS) == limits


def test_a_table_of_thousands_of_columns_is_read_for_those_that_matter(tmp_path: Path) -> None:
    make_dataset(tmp_path, samples=1, texts=0)
    for number, is_taken in ((1_000, True), (10_000, False)):
        columns = {"file_name": ["image1.png"], "text": ["a"]} | {f"c{at}": [1] for at in range(number)}
        write_table(pa.table(columns), tmp_path / "metadata.parquet")
        if is_taken:
            assert load_dataset(tmp_path).samples[0].text == "a"
        else:
            with pytest.raises(VluresError, match="has 10,002 columns"):
                load_dataset(tmp_path)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_table_of_millions_of_columns_is_refused_before_it_is_looked_through(tmp_path: Path, suffix: str) -> None:
    make_dataset(tmp_path, samples=1, texts=0)
    names = ["file_name", "text", *(f"c{number}" for number in range(2_000_000))]
    row = dict.fromkeys(names, "image1.png")
    text = json.dumps(row) if suffix == "jsonl" else f"{','.join(names)}\n{','.join(row.values())}"
    (tmp_path / f"metadata.{suffix}").write_text(f"{text}\n", encoding="utf-8")
    with pytest.raises(VluresError, match="has 2,000,002 columns"):
        load_dataset(tmp_path)

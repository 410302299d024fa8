"""Texts, images and tables whose bytes are something else, through the real command, in every way of asking."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image as Pillow
from pyarrow.parquet import write_table

from tests.conftest import Command, Result

pytestmark = pytest.mark.warm

LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 12345\n"
TABLE = ("--benchmark", "table", "--questions")
WAYS = ("folder", "texts.csv", "texts.jsonl", "texts.parquet", "questions.csv", "questions.jsonl", "questions.parquet")


def lay_out(vlures: Command, way: str, text: str, codec: str = "utf-8") -> tuple[str, ...]:
    """An image and a text about it, in a file or a table of this encoding; returns the options that ask about it."""
    data = vlures.folder / "data"
    shutil.rmtree(data)
    data.mkdir()
    Pillow.new("RGB", (8, 8)).save(data / "image1.png")
    if way == "folder":
        (data / "text1.txt").write_bytes(text.encode(codec))
        return ("--dataset", "data", "--languages", "En", "--tasks", "6")
    what, kind = way.split(".")
    names = ("file_name", "text") if what == "texts" else ("image", "question")
    path = data / f"metadata.{kind}" if what == "texts" else vlures.folder / f"my.{kind}"
    write_table_of(path, dict(zip(names, ("image1.png", text), strict=True)), codec)
    if what == "texts":
        return ("--dataset", "data", "--languages", "En", "--tasks", "6")
    return (*TABLE, path.name, "--dataset", "data")


def write_table_of(path: Path, row: dict[str, str], codec: str) -> None:
    match path.suffix:
        case ".csv":
            path.write_bytes(f"{','.join(row)}\n{','.join(row.values())}\n".encode(codec))
        case ".jsonl":
            path.write_bytes((json.dumps(row, ensure_ascii=False) + "\n").encode(codec))
        case _:
            write_table(pa.Table.from_pylist([row]), path)


def errors(result: Result) -> str:
    lines = (result.out + result.err).splitlines()
    return "\n".join(line for line in lines if line.startswith(("error", "vlures: ")))


@pytest.mark.parametrize("way", [way for way in WAYS if "parquet" not in way])
@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_utf_16_is_named(vlures: Command, way: str, codec: str, encoding: str) -> None:
    options = lay_out(vlures, way, "パン屋の写真です。 A bakery.", codec)
    result = vlures("check", *options, "--text-encoding", encoding)
    assert "is UTF-16, not UTF-8; save it as UTF-8" in errors(result), result
    assert result.code == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_text_with_a_zero_is_refused(vlures: Command, way: str) -> None:
    options = lay_out(vlures, way, "some\0words")
    if way.endswith("jsonl"):
        path = vlures.folder / ("data/metadata.jsonl" if way.startswith("texts") else "my.jsonl")
        assert b"\\u0000" in path.read_bytes()
    result = vlures("check", *options)
    assert "holds NUL characters" in errors(result), result
    assert vlures("run", *options, "--sandbox").code == 1


@pytest.mark.parametrize("way", [way for way in WAYS if "parquet" not in way])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["", "with a mark"])
def test_utf_8_is_not_read_as_latin_1(vlures: Command, way: str, mark: str) -> None:
    options = (*lay_out(vlures, way, "café", "utf-8-sig" if mark else "utf-8"), "--text-encoding", "latin-1")
    result = vlures("check", *options)
    assert "is UTF-8 and not Latin-1; leave --text-encoding out" in errors(result), result
    assert vlures("run", *options, "--sandbox").code == 1
    assert vlures("check", *options[:-2]).code == 0


@pytest.mark.parametrize("way", WAYS)
def test_double_encoded_text_is_noted_and_sent_as_it_is(vlures: Command, way: str) -> None:
    options = lay_out(vlures, way, "the cafÃ© of SÃ£o Paulo")
    checked = vlures("check", *options)
    assert checked.code == 0, checked
    assert "looks like UTF-8 that was once read as Latin-1" in checked.out
    run = vlures("run", *options, "--sandbox", "--mode", "live")
    assert run.code == 0, run
    assert "1 text looks like UTF-8 that was once read as Latin-1" in run.err


def point_text(_: Command, data: Path) -> tuple[str, ...]:
    (data / "text1.txt").write_text(LFS_POINTER)
    return ("--dataset", "data", "--languages", "En")


def point_image(_: Command, data: Path) -> tuple[str, ...]:
    (data / "image1.png").write_text(LFS_POINTER)
    return ("--dataset", "data", "--languages", "En")


def point_table(kind: str, what: str) -> Callable[[Command, Path], tuple[str, ...]]:
    def point(_: Command, data: Path) -> tuple[str, ...]:
        (data / "text1.txt").unlink()
        path = data / f"metadata.{kind}"
        path.write_text(LFS_POINTER)
        if what == "questions":
            return (*TABLE, str(path), "--dataset", "data")
        return ("--dataset", "data", "--languages", "En")

    return point


def point_image_of_a_table(vlures: Command, data: Path) -> tuple[str, ...]:
    (data / "image1.png").write_text(LFS_POINTER)
    (vlures.folder / "my.csv").write_text("image,question\nimage1.png,What?\n")
    return (*TABLE, "my.csv", "--dataset", "data")


POINTERS = {
    "text": point_text,
    "image": point_image,
    "image of a table": point_image_of_a_table,
    **{
        f"{kind} of {what}": point_table(kind, what)
        for kind in ("csv", "jsonl", "parquet")
        for what in ("texts", "questions")
    },
}


@pytest.mark.parametrize("kind", POINTERS)
def test_a_pointer_of_git_lfs_says_how_to_get_the_file(vlures: Command, kind: str) -> None:
    lay_out(vlures, "folder", "words")
    options = POINTERS[kind](vlures, vlures.folder / "data")
    result = vlures("check", *options)
    assert "is a Git LFS pointer, not the file itself; fetch the file with `git lfs pull`" in errors(result), result
    assert vlures("run", *options, "--sandbox").code == 1


STRINGS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "string_view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "dictionary of large": pa.dictionary(pa.int8(), pa.large_string()),
}


@pytest.mark.parametrize("kind", STRINGS)
@pytest.mark.parametrize("selected", [(), ("--limit", "1")], ids=["all", "one"])
def test_every_arrow_type_of_text_is_read(vlures: Command, kind: str, selected: tuple[str, ...]) -> None:
    lay_out(vlures, "folder", "words")
    (vlures.folder / "data/text1.txt").unlink()
    columns = {"file_name": ["image1.png"], "image": ["image1.png"], "question": ["What?"], "text": ["An article."]}
    columns |= {"language": ["English"], "group": ["one"], "note": ["as it is"]}
    table = pa.table({name: pa.array(values).cast(STRINGS[kind]) for name, values in columns.items()})
    write_table(table, vlures.folder / "data/metadata.parquet")
    options = ("--dataset", "data", "--columns", "file=file_name", "--languages", "En", *selected)
    assert "An article." in vlures("prompt", *options[:-2] if selected else options, "--task", "6", "--sample", "1").out
    result = vlures("check", *options)
    assert (result.code, result.out.splitlines()[2].split()[-4:]) == (0, ["1", "1", "0", "0"]), result
    asked = (*TABLE, "data/metadata.parquet", *selected)
    run = vlures("run", *asked, "--sandbox", "--mode", "live", "--name", "mine")
    assert "1 ok" in run.out, run
    exported = json.loads(vlures("export", "outputs/sandbox-mine", "--out", "-").out)
    assert (exported["question"], exported["group"], exported["note"]) == ("What?", "one", "as it is")

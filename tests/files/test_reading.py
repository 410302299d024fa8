"""Files from elsewhere are read within bounds, whatever they turn out to be."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.conftest import Command
from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.prompts import load_pack
from vlures.errors import UsageError, VluresError
from vlures.files.reading import LARGEST_TOML_BYTES, UnusableFile, parse_json, parse_toml, read_file
from vlures.runs.config import load_config

HALF = LARGEST_TOML_BYTES // 2
DEEP_TOML = {
    "a key of many parts": b"a." * (HALF - 5) + b"b = 1",
    "a header of many parts": b"[" + b"a." * (HALF - 5) + b"b]",
    "quoted parts": b'"a" . ' * (HALF // 4) + b"b = 1",
    "lists in lists": b"a = " + b"[" * (HALF - 9) + b"]" * (HALF - 9),
    "lists without an end": b"a = " + b"[" * (HALF - 9),
    "tables in tables": b"a = " + b"{a = " * (HALF // 4) + b"1" + b"}" * (HALF // 4),
    "a long number": b"a = " + b"9" * HALF,
    "no UTF-8": b"a = '\xff'",
    "NULs": b"\0" * 1000,
    "a large file": b"#" * (LARGEST_TOML_BYTES + 1),
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in DEEP_TOML.items()])
def test_a_toml_bomb_ends_in_one_sentence(tmp_path: Path, data: bytes) -> None:
    """As a configuration and as a prompt pack. No parser takes time by the square of what is left here."""
    with pytest.raises(UnusableFile):
        parse_toml(data)
    file = tmp_path / "English.toml"
    file.write_bytes(data)
    for error, read in (
        (UsageError, lambda: load_config(file, {})),
        (VluresError, lambda: load_pack(LANGUAGES["En"], tmp_path)),
    ):
        with pytest.raises(error, match=re.escape(str(file))) as raised:
            read()
        assert len(str(raised.value)) < len(str(file)) + 200


def test_long_texts_and_keys_of_some_parts_are_no_bomb() -> None:
    sentences = "No. Yes. Perhaps. " * 5 + "www.example.org/a.b.c.d.e.f " * 100
    assert parse_toml(f'\ufeffa.b.c.d.e.f.g.h = """{sentences}"""'.encode())
    assert parse_toml(b"[a.'b.c'.\"d.e\"]\nf = 1") == {"a": {"b.c": {"d.e": {"f": 1}}}}


@pytest.mark.parametrize("data", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b"\xff", b"", b"1" * 100_000])
def test_a_json_bomb_ends_in_one_sentence(data: bytes) -> None:
    with pytest.raises(UnusableFile, match="is not readable JSON"):
        parse_json(data)


def test_a_value_is_shown_no_longer_than_a_sentence_bears(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(f"limit = '{'x' * 100_000}'")
    with pytest.raises(UsageError) as raised:
        load_config(file, {})
    assert len(str(raised.value)) < 500 + len(str(file))


def test_a_range_of_a_million_samples_is_read_at_once() -> None:
    assert len(load_config(None, {"samples": ("1-1000000", "5-10")}).samples) == 1_000_000


def test_a_pipe_a_folder_and_a_device_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (
        (tmp_path / "pipe", "is a pipe, not a file"),
        (tmp_path, "is a folder, not a file"),
        (Path("/dev/zero"), "is a device, not a file"),
        (tmp_path / "none", "cannot be read (No such file or directory)"),
        (tmp_path / "a\0b", "cannot be read (embedded null byte)"),
    ):
        with pytest.raises(UnusableFile, match=re.escape(reason)):
            read_file(path, 1000)


def test_a_file_is_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    assert read_file(path, 1000) == b"x" * 1000
    with pytest.raises(UnusableFile, match="has 1,000 bytes, more than the limit of 999"):
        read_file(path, 999)


@pytest.mark.warm
def test_a_configuration_that_never_ends_is_refused(vlures: Command) -> None:
    done = vlures("check", "--config", "/dev/zero")
    assert done.code == 2
    assert "more than the limit of 500,000" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.warm
def test_a_dataset_of_odd_files_is_checked_to_its_end(vlures: Command) -> None:
    data = vlures.folder / "data"
    for number in (1, 2, 3, 4):
        (data / f"image{number}.png").unlink()
    os.mkfifo(data / "image1.png")
    (data / "image2.png").mkdir()
    (data / "image3.png").symlink_to("/dev/zero")
    for name, size in (("image4.png", 100_000_000_000), ("text5.txt", 100_000_000_000)):
        with (data / name).open("wb") as file:
            file.truncate(size)
    done = vlures("check", "--dataset", "data", "--languages", "En")
    assert done.code == 1
    for name in ("image1.png", "image2.png", "image3.png", "image4.png", "text5.txt"):
        assert re.search(rf"error: data: {name}", done.out), done.out

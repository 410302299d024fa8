"""The published dataset arrives whole, once and with its licence agreed to, from a server in the shape of the Hub."""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pyarrow as pa
import pytest
from PIL import Image as Pillow
from pyarrow.parquet import write_table

from tests.benchmarks.hub_server import Hub, commit, running_hub
from tests.conftest import Command, wait_until
from vlures.cli import call

NAME = "authors/Published"
LANGUAGES = ("English", "Japanese", "Swahili", "Urdu")


def published(texts: str) -> dict[str, bytes]:
    """A dataset as the authors publish theirs: a card, a table, two images for each language."""
    files = {"README.md": b"# A dataset\n", ".gitattributes": b"*.parquet filter=lfs\n"}
    rows = []
    for number, language in enumerate(2 * LANGUAGES, 1):
        sink = io.BytesIO()
        Pillow.new("RGB", (40, 30), (number * 30, 0, 0)).save(sink, "PNG")
        files[f"train/images/vlures_{number:04d}.png"] = sink.getvalue()
        rows.append({"file_name": f"images/vlures_{number:04d}.png", "text": f"{texts} {number}", "language": language})
    table = io.BytesIO()
    write_table(pa.Table.from_pylist(rows), table)
    return files | {"train/metadata.parquet": table.getvalue()}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub(Hub(NAME, {commit(1): published("first"), commit(2): published("second")})) as running:
        yield running


@pytest.fixture
def fetch(vlures: Command, hub: Hub, tmp_path: Path) -> Command:
    """The command, with the server for its hub and a home without anybody's token."""
    vlures.environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_TOKEN": "hf_secret"}
    return vlures


def test_a_dataset_is_fetched_once_its_licence_is_agreed_to_and_a_run_knows_its_revision(
    fetch: Command, hub: Hub
) -> None:
    folder = fetch.folder / "data/Published"
    result = fetch("fetch", NAME)
    assert (result.code, folder.exists()) == (2, False)
    assert "CC BY-NC-SA 4.0 (https://creativecommons.org/licenses/by-nc-sa/4.0/)" in result.out
    assert "no commercial use" in result.out
    assert "--yes" in result.err

    result = fetch("fetch", NAME, "--yes", "--revision", commit(1))
    assert result.code == 0, result
    assert f"revision {commit(1)}: 11 files" in result.out
    offered = hub.revisions[commit(1)]
    assert {path: (folder / path).read_bytes() for path in offered} == offered
    record = json.loads((folder / "vlures-fetch.json").read_text(encoding="utf-8"))
    assert (record["repository"], record["revision"], record["complete"]) == (NAME, commit(1), True)
    assert (record["licence"], record["confirmed"][:2]) == ("cc-by-nc-sa-4.0", "20")
    known = ("/api/datasets/", "/datasets/", "/files/")
    assert [seen.path for seen in hub.seen if not seen.path.startswith(known)] == [], "asked for something else"
    assert {seen.token for seen in hub.seen if seen.path.startswith("/api/")} == {"Bearer hf_secret"}
    assert {seen.token for seen in hub.seen if seen.path.startswith("/files/")} <= {None}
    assert "hf_secret" not in result.out + result.err + json.dumps(record)

    # Again: agreed to already, the revision that is there stays, nothing is fetched twice, what was spoilt is seen to.
    spoilt = folder / "train/images/vlures_0003.png"
    spoilt.write_bytes(b"something else")
    hub.seen.clear()
    result = fetch("fetch", NAME)
    assert result.code == 0, result
    assert "There is a newer revision" in result.err
    assert f"{spoilt.relative_to(fetch.folder)} differs from the published file" in result.err
    assert hub.fetched() == {"train/images/vlures_0003.png": 1}
    assert spoilt.read_bytes() == offered["train/images/vlures_0003.png"]
    assert spoilt.with_name("vlures_0003.png.before-fetch").read_bytes() == b"something else"

    result = fetch("run", "--sandbox", "--backend", "gemini", "--dataset", "data/Published", "--tasks", "6")
    assert result.code == 0, result
    run = json.loads(next(fetch.folder.glob("outputs/*/checkpoints_*/run.json")).read_text(encoding="utf-8"))
    source = {"repository": NAME, "revision": commit(1), "licence": "cc-by-nc-sa-4.0"}
    assert run["data_sources"] == dict.fromkeys(("En", "Jp", "Sw", "Ur"), source)
    assert sorted(fetch.answers("sandbox-gemini-3.5-flash-lite")) == sorted(
        f"{code}-t6-{number}" for number, code in enumerate(2 * ("En", "Jp", "Sw", "Ur"), 1)
    )


def test_a_kill_in_the_middle_of_a_file_costs_that_file_only(fetch: Command, hub: Hub) -> None:
    hub.hold = "train/metadata.parquet"  # the last in the list
    process = fetch.start("fetch", NAME, "--yes")
    wait_until(process, hub.held.is_set)
    folder = fetch.folder / "data/Published"
    others = len(hub.revisions[commit(1)]) - 1
    wait_until(process, lambda: len(list(folder.rglob("download/**/*.metadata"))) == others)
    process.kill()
    process.communicate()
    hub.let_go.set()
    result = fetch("check", "--dataset", "data/Published")
    assert result.code == 1
    assert f"was not fetched completely; continue with `vlures fetch {NAME}`" in result.err

    hub.hold = None
    hub.seen.clear()
    hub.wrong["train/metadata.parquet"] = 1  # and the file that is fetched again comes with a wrong byte
    result = fetch("fetch", NAME)
    assert result.code == 0, result
    assert "1 file arrived with a wrong checksum, the first train/metadata.parquet" in result.err
    assert hub.fetched() == {"train/metadata.parquet": 2}
    assert list(folder.rglob("*.incomplete")) == []
    result = fetch("check", "--dataset", "data/Published")
    assert (result.code, result.out.count("train/metadata.parquet")) == (0, 5), result


def test_a_lost_connection_is_taken_up_in_the_middle_and_a_file_that_stays_wrong_is_not_kept(
    fetch: Command, hub: Hub
) -> None:
    large = "train/large.parquet"  # the client reads on from what it has in pieces of 10 MB
    hub.revisions[commit(2)][large] = bytes(range(256)) * 50_000
    hub.cut[large] = 12_000_000
    hub.wrong["train/images/vlures_0002.png"] = 3
    result = fetch("fetch", NAME, "--yes", "--to", "here")
    assert result.code == 1, result
    assert "vlures_0002.png arrived 3 times with a wrong checksum and was not kept" in result.err
    there = {path.relative_to(fetch.folder / "here").as_posix() for path in (fetch.folder / "here/train").rglob("*.*")}
    assert there == {path for path in hub.revisions[commit(2)] if path.startswith("train/")} - {
        "train/images/vlures_0002.png"
    }
    ranges = [seen.range for seen in hub.seen if seen.method == "GET" and seen.path.endswith(large)]
    assert (ranges[0], ranges[1]) == (None, "bytes=10485760-")
    assert (fetch.folder / "here" / large).read_bytes() == hub.revisions[commit(2)][large]


# One process for what needs no kill: the command's own entry, without its start.


@pytest.fixture
def here(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "RepoNotFound", f"There is no dataset {NAME} at"),
        (404, "RepoNotFound", f"There is no dataset {NAME} at"),
        (403, "GatedRepo", "is given only to users who agree to its terms"),
        (403, None, "refuses the token (403)"),
        (404, "RevisionNotFound", f"{NAME} has no revision main"),
        (429, None, "too many requests (429)"),
        (503, None, "fails (503)"),
        (400, None, "refused a request (400)"),
        (200, None, "does not answer like the Hub"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    here: Path, hub: Hub, capsys: pytest.CaptureFixture[str], status: int, code: str | None, words: str
) -> None:
    hub.status, hub.error_code = status, code
    assert call(["fetch", NAME, "--yes", "--revision", "main"]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not (here / "data").exists()


@pytest.mark.parametrize(
    ("name", "value", "code", "words"),
    [
        ("HF_ENDPOINT", "http://127.0.0.1:9", 1, "http://127.0.0.1:9 cannot be reached"),
        ("HF_ENDPOINT", "hub.example", 2, "HF_ENDPOINT is 'hub.example', which is not an address"),
        ("HF_TOKEN", "hf two", 2, "HF_TOKEN cannot be a token"),
    ],
)
def test_a_hub_that_cannot_be_asked_is_one_sentence(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: str,
    code: int,
    words: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert call(["fetch", NAME, "--yes"]) == code
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_names_and_folders_that_cannot_be_used_are_refused(
    here: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["fetch", "a name/of/three", "--yes"]) == 2
    assert "cannot be a dataset's name" in capsys.readouterr().err
    (here / "mine").mkdir()
    (here / "mine/picture1.jpg").touch()
    assert call(["fetch", NAME, "--yes", "--to", "mine"]) == 1
    assert "mine exists already and was not fetched" in capsys.readouterr().err
    hub.revisions[commit(3)] = {"../outside.txt": b"x"}
    assert call(["fetch", NAME, "--yes"]) == 1
    assert "would lie outside its folder; nothing was fetched" in capsys.readouterr().err
    (here / "hidden").mkdir()
    (here / "hidden/.env").write_bytes(b"mine")
    for name in (".env", ".git/config"):  # a folder with nothing but hidden files of one's own is empty enough
        hub.revisions[commit(3)] = {"README.md": b"x", ".gitattributes": b"", name: b"OPENAI_BASE_URL=http://theirs"}
        assert call(["fetch", NAME, "--yes", "--to", "hidden"]) == 1
        assert f"has a file '{name}', which could replace your settings" in capsys.readouterr().err
        assert [path.read_bytes() for path in (here / "hidden").iterdir()] == [b"mine"]
    hub.revisions[commit(3)] = {"README.md": b"x"}
    hub.card = {}
    assert call(["fetch", NAME, "--yes", "--to", "small"]) == 0
    assert "Its card names no licence" in capsys.readouterr().out
    assert call(["fetch", NAME, "--yes", "--to", "small", "--revision", commit(2)]) == 1
    assert f"holds revision {commit(3)[:12]}" in capsys.readouterr().err


def test_each_file_that_is_not_as_published_keeps_a_name_of_its_own(
    here: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = "README.md.before-fetch-3"
    hub.revisions[commit(3)] = {"README.md": b"published", kept: b"also published"}
    assert call(["fetch", NAME, "--yes", "--to", "there"]) == 0
    for mine in (b"mine", b"mine again", b"and again"):
        (here / "there/README.md").write_bytes(mine)
        assert call(["fetch", NAME, "--to", "there"]) == 0
    assert "it is kept as README.md.before-fetch-4 and" in capsys.readouterr().err
    there = {path.name: path.read_bytes() for path in (here / "there").glob("README*")}
    assert there == {
        "README.md": b"published",
        "README.md.before-fetch": b"mine",
        "README.md.before-fetch-2": b"mine again",
        kept: b"also published",
        "README.md.before-fetch-4": b"and again",
    }


class Huge(bytes):
    """A file that says to be larger than any disk."""

    def __len__(self) -> int:
        return 10**18


def test_a_file_is_moved_aside_only_once_it_is_written_down_that_files_are_missing(
    here: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.revisions[commit(3)] = {"README.md": b"published"}
    assert call(["fetch", NAME, "--yes", "--to", "there"]) == 0
    mine, record = here / "there/README.md", here / "there/vlures-fetch.json"
    mine.write_bytes(b"mine")
    said: list[bool] = []

    def stop(frame: FrameType, event: str, _: object) -> None:
        """Ctrl-C as soon as the file has left its place."""
        if event == "c_return" and not mine.exists():
            said.append(json.loads(record.read_bytes())["complete"])
            raise KeyboardInterrupt

    sys.setprofile(stop)
    try:
        with suppress(KeyboardInterrupt):
            call(["fetch", NAME, "--to", "there"])
    finally:
        sys.setprofile(None)
    assert said == [False]
    assert mine.with_name("README.md.before-fetch").read_bytes() == b"mine"

    # A file that would not find room leaves everything where it is.
    mine.write_bytes(b"mine")
    hub.revisions[commit(3)] = {"README.md": Huge(b"published")}
    before = record.read_bytes()
    assert call(["fetch", NAME, "--to", "there"]) == 1
    assert "1,000,000,000,000 MB are missing" in capsys.readouterr().err
    assert (mine.read_bytes(), record.read_bytes()) == (b"mine", before)


def test_a_file_that_the_client_fetches_again_on_its_own_is_seen_to_as_well(
    here: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["fetch", NAME, "--yes", "--to", "there"]) == 0
    shutil.rmtree(here / "there/.cache")  # without its notes the client fetches again what is not in LFS
    (here / "there/train/images/vlures_0001.png").unlink()
    hub.wrong["README.md"] = 2  # one for HEAD, one for GET
    assert call(["fetch", NAME, "--to", "there"]) == 0
    assert "a wrong checksum, the first README.md" in capsys.readouterr().err
    assert (here / "there/README.md").read_bytes() == hub.revisions[commit(2)]["README.md"]

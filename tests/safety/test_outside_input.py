"""What comes in from outside stays where it belongs: links in a dataset, names of folders, keys in a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Command, Sandbox, make_dataset
from vlures.errors import UsageError
from vlures.files.names import name_after_model, refuse_name
from vlures.runs.config import load_config

pytestmark = pytest.mark.warm

SECRET = "The secret article of another folder."


@pytest.fixture
def elsewhere(vlures: Command) -> Path:
    """A folder beside the dataset that is not the user's to send."""
    folder = make_dataset(vlures.folder.parent / "elsewhere", samples=2)
    (folder / "secret.txt").write_text(SECRET)
    return folder


def check(vlures: Command, dataset: str = "data", *options: str) -> tuple[int, str]:
    done = vlures("check", "--dataset", dataset, "--languages", "En", *options)
    return done.code, done.out + done.err


def put_link(path: Path, target: str | Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def link_an_image(data: Path, elsewhere: Path) -> str:
    put_link(data / "image1.png", elsewhere / "image1.png")
    return "image1.png"


def link_a_text(data: Path, elsewhere: Path) -> str:
    put_link(data / "text1.txt", elsewhere / "secret.txt")
    return "text1.txt"


def link_by_a_chain(data: Path, elsewhere: Path) -> str:
    (data / "deep").mkdir()
    put_link(data / "deep/hop", "../../../elsewhere/./../elsewhere/secret.txt")
    put_link(data / "text1.txt", "deep/../deep/hop")
    return "text1.txt"


def link_the_table(data: Path, elsewhere: Path) -> str:
    (elsewhere / "secret.csv").write_text("file_name,text\nimage1.png,secret\n")
    for text in data.glob("*.txt"):
        text.unlink()
    put_link(data / "metadata.csv", elsewhere / "secret.csv")
    return "metadata.csv"


def link_the_folder_of_images(data: Path, elsewhere: Path) -> str:
    for path in list(data.iterdir()):
        path.unlink()
    (data / "metadata.jsonl").write_text('{"file_name": "image1.png", "text": "a"}\n')
    put_link(data / "images", elsewhere)
    return "image1.png"


def link_an_image_of_a_table(data: Path, elsewhere: Path) -> str:
    for path in list(data.iterdir()):
        path.unlink()
    (data / "sub").mkdir()
    put_link(data / "sub/way", elsewhere)
    (data / "metadata.csv").write_text("file_name,text\nsub/way/image2.png,a\n")
    return "sub/way/image2.png"


def link_the_folder_of_a_language(data: Path, elsewhere: Path) -> str:
    for path in list(data.iterdir()):
        path.unlink()
    put_link(data / "En", elsewhere)
    return "En"


LINKS = [
    link_an_image,
    link_a_text,
    link_by_a_chain,
    link_the_table,
    link_the_folder_of_images,
    link_an_image_of_a_table,
    link_the_folder_of_a_language,
]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_out_of_the_dataset_is_followed_only_when_asked(vlures: Command, elsewhere: Path, link: object) -> None:
    assert callable(link)
    name = link(vlures.folder / "data", elsewhere)
    code, said = check(vlures)
    assert code == 1
    assert f"{name}: a link that leads out of the dataset's folder, to {elsewhere}" in said
    assert SECRET not in said
    options = ("--dataset", "data", "--languages", "En", "--tasks", "1", "--sandbox", "--mode", "live")
    stopped = vlures("run", *options)
    assert stopped.code == 1
    assert "a link that leads out" in stopped.err
    followed = check(vlures, "data", "--follow-links")
    assert "a link that leads out" not in followed[1]
    if link is not link_a_text and link is not link_by_a_chain:
        assert vlures("run", *options, "--skip-problems").code == 0


def test_links_within_the_dataset_and_to_it_are_followed(vlures: Command) -> None:
    data = vlures.folder / "data"
    (data / "blobs").mkdir()
    shutil.move(data / "image1.png", data / "blobs/f00d")
    put_link(data / "image1.png", "blobs/f00d")
    put_link(vlures.folder / "named", data)
    assert check(vlures, "data")[0] == 0
    assert check(vlures, "named")[0] == 0


def test_a_table_that_the_user_names_may_be_a_link(vlures: Command, elsewhere: Path) -> None:
    (elsewhere / "table.csv").write_text("file_name,text\nimage1.png,a\n")
    put_link(vlures.folder / "data/named.csv", elsewhere / "table.csv")
    assert check(vlures, "data/named.csv")[0] == 0


def test_the_cache_of_the_hub_needs_links_to_be_followed(vlures: Command, elsewhere: Path) -> None:
    snapshot = vlures.folder / "hub/snapshots/abc"
    snapshot.mkdir(parents=True)
    (vlures.folder / "hub/blobs").mkdir()
    for number, path in enumerate(sorted(elsewhere.glob("image*"))):
        shutil.copy(path, vlures.folder / f"hub/blobs/{number}")
        put_link(snapshot / path.name, f"../../blobs/{number}")
    assert check(vlures, "hub/snapshots/abc")[0] == 1
    assert check(vlures, "hub/snapshots/abc", "--follow-links")[0] == 0


@pytest.mark.parametrize(
    "file",
    ["/etc/image1.png", "../elsewhere/image1.png", "sub/../../elsewhere/image1.png", "..\\elsewhere\\image1.png"],
)
def test_a_name_that_leads_out_is_refused_with_links_followed_too(vlures: Command, elsewhere: Path, file: str) -> None:
    for path in (vlures.folder / "data").iterdir():
        path.unlink()
    row = json.dumps({"file_name": file, "text": "a"})
    (vlures.folder / "data/metadata.jsonl").write_text(row + "\n")
    for options in ((), ("--follow-links",)):
        code, said = check(vlures, "data", *options)
        assert code == 1
        assert "could lead out of the dataset's folder" in said


# Names of folders


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-6-luna", "gpt-6-luna"),
        ("Qwen/Qwen3-VL-8B-Instruct", "Qwen-Qwen3-VL-8B-Instruct"),
        ("org/model:tag", "org-model-tag"),
        ("../../x", "-..-x"),
        ("/etc/passwd", "-etc-passwd"),
        ("a\\b\0c\x1bd", "a-b-c-d"),
        ("~/x", "-x"),
        ("con", "model-con"),
        ("NUL.txt", "model-NUL.txt"),
        ("com1", "model-com1"),
        ("console", "console"),
        ("x..", "x"),
        ("m" * 300, "m" * 100),
        ("画" * 300, "画" * 60),
    ],
)
def test_a_model_names_its_folder(model: str, name: str) -> None:
    assert load_config(None, {"model": model}).run_name == name


@pytest.mark.parametrize("model", ["..", ".", "...", "/", "\\", "~", "../..", "\0", "--", "-.-"])
def test_a_model_that_names_no_folder_is_refused(vlures: Command, model: str) -> None:
    with pytest.raises(UsageError, match="cannot name a folder; name it with --name"):
        load_config(None, {"model": model}).run_name  # noqa: B018
    assert load_config(None, {"model": model, "name": "mine"}).run_name == "mine"


NO_NAMES = ["..", ".", "../x", "a/b", "a\\b", "a\0b", "a\nb", "a b", " a", "a.", "~", "-a", ".a", "a" * 101, "画" * 61]
RESERVED = ["CON", "nul", "Aux.txt", "prn", "COM1", "lpt9.tar.gz", "com¹"]


@pytest.mark.parametrize("name", [*NO_NAMES, *RESERVED])
def test_a_name_that_is_no_folders_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"`name`|--name"):
        load_config(None, {"name": name})


@given(st.text(max_size=400))
def test_whatever_the_model_its_folder_is_one_below_the_output(model: str) -> None:
    name = name_after_model(model)
    if name is not None:
        assert Path(name).name == name
        assert len(name.encode()) <= 190
        assert not name.startswith(".")
        assert not name.endswith((".", " "))
        assert name.isprintable()
        assert refuse_name(name) is None or name.startswith("-")


def test_a_run_never_leaves_its_output_folder(vlures: Command) -> None:
    before = {path.name for path in vlures.folder.iterdir()}
    for model in ("..", "../../x"):
        vlures(
            "run",
            "--sandbox",
            "--mode",
            "live",
            "--dataset",
            "data",
            "--languages",
            "En",
            "--tasks",
            "1",
            "--model",
            model,
        )
    assert {path.name for path in vlures.folder.iterdir()} - before == {"outputs"}
    assert [path.name for path in (vlures.folder / "outputs").iterdir()] == ["sandbox--..-x"]


# Keys


def test_a_file_of_keys_that_others_can_read_is_said_once(vlures: Command, shared_sandbox: Sandbox) -> None:
    vlures.use(shared_sandbox)
    file = vlures.folder / ".env"
    run = ("run", "--mode", "live", "--dataset", "data", "--languages", "En", "--tasks", "1", "--limit", "1")
    for mode, text, times in (
        (0o644, "OPENAI_API_KEY=sk-secret\n", 1),
        (0o640, "export HF_TOKEN='x'\n", 1),
        (0o600, "OPENAI_API_KEY=sk-secret\n", 0),
        (0o644, "OPENAI_BASE_URL=http://127.0.0.1\nOPENAI_API_KEY=\n", 0),
    ):
        file.write_text(text)
        file.chmod(mode)
        done = vlures(*run)
        assert done.err.count("chmod 600 .env") == times, (oct(mode), done.err)
        assert "sk-secret" not in done.err
    file.write_text("OPENAI_API_KEY=sk-secret\n")
    file.chmod(0o644)
    assert "chmod" not in vlures(*run, "--sandbox").err

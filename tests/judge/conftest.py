"""A run of sandbox answers that is made once, and copied for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command
from tests.warm import WarmCommand

RUN = "outputs/sandbox-answers"
ANSWERS = 12
"""Two languages, two tasks, three images."""


@pytest.fixture(scope="session")
def answered_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures of two languages and a run of sandbox answers about them."""
    folder = tmp_path_factory.mktemp("answered")
    for name in ("SampleEn", "SampleJp"):
        (folder / "data" / name).mkdir(parents=True)
        for path in (REPOSITORY / "data" / name).iterdir():
            if path.stem in ("image1", "text1", "photo_002", "text_002", "image3", "text3"):
                shutil.copy(path, folder / "data" / name)
    command = WarmCommand(folder, {"HOME": str(folder / "home")})
    what = ("--languages", "En,Jp", "--tasks", "1,6", "--name", "answers", "--mode", "live")
    ended = command("run", "--sandbox", *what)
    assert ended.code == 0, ended
    return folder


@pytest.fixture
def answered(answered_folder: Path, tmp_path: Path) -> Command:
    """The command in a folder of its own with those answers."""
    folder = tmp_path / "work"
    shutil.copytree(answered_folder, folder)
    return WarmCommand(folder, {"HOME": str(folder / "home")})

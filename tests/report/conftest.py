"""The study that the tests of reports share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.report.study import FLASH, LUNA, make_study, write_judgements, write_report
from tests.warm import WarmCommand


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of two finished runs, both judged. Tests leave it as it is."""
    folder = tmp_path_factory.mktemp("study") / "work"
    make_study(folder)
    for run in (LUNA, FLASH):
        write_judgements(folder / run)
    return folder


@pytest.fixture(scope="session")
def both(study: Path) -> Path:
    """The report of both runs."""
    return write_report(WarmCommand(study, {"HOME": str(study.parent)}), study / "both.html", LUNA, FLASH)


@pytest.fixture
def work(study: Path, tmp_path: Path) -> Command:
    """The command, in a copy of the study."""
    shutil.copytree(study, tmp_path / "work")
    return WarmCommand(tmp_path / "work", {"HOME": str(tmp_path)})

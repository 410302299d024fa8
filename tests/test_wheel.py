"""A wheel works away from the repository: installed alone, in an empty folder, it lays out all that a rehearsal
needs."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel and an sdist of what is in the repository now, built in a copy of it."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(REPOSITORY / name, source)
    for name in ("configs", "data"):
        (source / name).symlink_to(REPOSITORY / name)
    shutil.copytree(
        REPOSITORY / "vlures", source / "vlures", symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    out = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-c", BUILD, out], cwd=source, check=True, capture_output=True)
    return out


@dataclass
class Installation:
    """An environment that has vlures from the wheel, and everything else from the one that the tests run in."""

    folder: Path

    def __call__(self, command: str, *arguments: str, at: Path) -> str:
        keys = ("OPENAI_", "GOOGLE_", "GEMINI_", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(keys)}
        ended = subprocess.run(
            [self.folder / "bin" / command, *arguments], cwd=at, env=environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended
        return ended.stdout


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--quiet"]
    subprocess.run([*pip, "--no-index", "--no-deps", "--no-compile", *built.glob("*.whl")], check=True)
    return Installation(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_rehearsal_needs_nothing_but_the_wheel(installed: Installation, tmp_path: Path) -> None:
    assert installed("python", "-c", "import vlures; print(vlures.__file__)", at=tmp_path).startswith(
        str(installed.folder)
    )

    said = installed("vlures", "init", "a study", at=tmp_path)
    study = tmp_path / "a study"
    assert "cd 'a study' && vlures run --sandbox" in said
    assert sorted(path.name for path in study.iterdir()) == ["configs", "data", "outputs"]
    assert contents(study / "configs") == contents(REPOSITORY / "configs")
    for dataset in sorted((REPOSITORY / "data").glob("Sample??")):
        assert contents(study / "data" / dataset.name) == contents(dataset), "with the pictures, the same in all"

    installed("vlures", "check", at=study)
    installed("vlures", "run", "--sandbox", "--limit", "1", "--tasks", "1,6", at=study)
    results = sorted(study.glob("outputs/sandbox-*/results_*/*/*.json"))
    assert [path.parent.name for path in results] == ["English"] * 2 + ["Japanese"] * 2 + ["Swahili"] * 2 + ["Urdu"] * 2


def test_the_wheel_is_small_and_the_source_archive_has_all_of_it(built: Path) -> None:
    [wheel], [archive] = built.glob("*.whl"), built.glob("*.tar.gz")
    assert wheel.stat().st_size < 3_000_000, "every picture is in it once"
    names = zipfile.ZipFile(wheel).namelist()
    assert "vlures/benchmarks/urban/subtypes.toml" in names
    assert not any("SampleUrban" in name for name in names)
    in_wheel = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("vlures/")}
    with tarfile.open(archive) as files:
        assert in_wheel <= {member.name.partition("/")[2] for member in files.getmembers() if member.isreg()}
    modules = {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "vlures").rglob("*.py")}
    assert modules <= in_wheel

"""The command as the other tests have it, with every run through google-generativeai."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import Command, make_dataset
from tests.e2e.targets import TARGETS, Target


class ThroughRetiredSdk(Command):
    """A `--sdk` in a test's own arguments comes later, and wins."""

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command, *options = arguments
        return super().start(command, "--sdk", "google-generativeai", *options)


@pytest.fixture
def vlures(tmp_path: Path) -> Command:
    folder = tmp_path / "work"
    make_dataset(folder / "data", samples=6, texts=5)
    return ThroughRetiredSdk(folder)


@pytest.fixture
def target() -> Target:
    """For the tests of every target that hold of this SDK too."""
    return TARGETS["gemini"]

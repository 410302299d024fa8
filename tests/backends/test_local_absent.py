"""Local models where torch is not installed, as in the environment of these tests, and where nobody asked for them."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.conftest import Command


def test_this_environment_has_no_torch() -> None:
    assert find_spec("torch") is None
    assert find_spec("transformers") is None


@pytest.mark.parametrize("command", ["plan", "run"])
def test_one_sentence_names_what_to_install(vlures: Command, command: str) -> None:
    result = vlures(command, "--backend", "local", "--model", "llava", "--dataset", "data", "--name", "mine")
    assert result.code == 1, result
    assert result.err.count("\n") == 1
    assert "torch, transformers" in result.err
    assert "pip install 'vlures[local]'" in result.err
    assert not (vlures.folder / "outputs").exists()


def test_other_backends_have_no_local_options(vlures: Command) -> None:
    for option in (("--quant", "8bit"), ("--dtype", "bf16"), ("--rows", "4"), ("--device", "cpu")):
        result = vlures("plan", "--backend", "gemini", "--dataset", "data", *option)
        assert result.code == 2, result
        assert option[0] in result.err
        assert "local" in result.err


def test_local_models_have_no_batches(vlures: Command) -> None:
    result = vlures("run", "--backend", "local", "--mode", "batch", "--dataset", "data")
    assert result.code == 2
    assert "--backend local --mode live" in result.err


def test_files_and_status_need_no_torch(vlures: Command) -> None:
    assert vlures("--help").code == 0
    assert vlures("config", "show", "--backend", "local").code == 0
    result = vlures("status")
    assert "torch" not in result.err

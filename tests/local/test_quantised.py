"""Fewer bits: answers come, they are other questions than the unquantised ones, and a machine that cannot says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Command
from tests.local.conftest import DONE, run_arguments, texts, write_questions

IMAGES = 2


def digests(vlures: Command, name: str) -> set[str]:
    return {line["digest"] for line in vlures.last_lines(name).values()}


@pytest.mark.parametrize(("kind", "bits"), [("blip2_t5", "8bit"), ("llava", "4bit")])
def test_quantised_models_answer_under_digests_of_their_own(
    vlures: Command, tiny: Callable[[str], Path], kind: str, bits: str
) -> None:
    write_questions(vlures.folder, IMAGES)
    for name, options in {"plain": (), "quantised": ("--quant", bits)}.items():
        result = vlures(*run_arguments(tiny(kind), *options, name=name))
        assert result.code in DONE, result
        assert "MatMul" not in result.err, "a library's warning for every layer"
        found = texts(vlures, name)
        assert len(found) == IMAGES * 6
        assert any(found.values())
    assert not digests(vlures, "plain") & digests(vlures, "quantised")
    assert bits == "8bit" or texts(vlures, "quantised") != texts(vlures, "plain"), "the weights are still whole"


def test_a_bitsandbytes_that_does_not_work_here_is_one_sentence(
    vlures: Command, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    """A build for another machine fails when it is imported, as this one does."""
    write_questions(vlures.folder, 1)
    package = tmp_path / "broken/bitsandbytes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('no library for this machine')\n", encoding="utf-8")
    vlures.environment["PYTHONPATH"] = str(package.parent)
    result = vlures(*run_arguments(tiny("blip2_t5"), "--quant", "8bit"))
    assert result.code == 1, result
    assert "--quant 8bit does not work on cpu here" in result.err
    assert "no library for this machine" in result.err
    assert "Traceback" not in result.err

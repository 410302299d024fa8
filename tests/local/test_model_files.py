"""What decides an answer is in its digest: the model's files, its adapter's, the type of its numbers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from peft import LoraConfig, get_peft_model

from tests.conftest import Command
from tests.local.conftest import DONE, run_arguments, texts, write_questions
from tests.local.tiny_models import build

CHANGED = "6 stored answers are to a question that has changed since"
LORA_TARGETS = {
    "blip2_t5": r".*language_model.*\.(q|k|v|o|wi_0|wi_1|wo)",
    "llava": r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)",
}


def test_a_model_that_was_trained_again_makes_its_answers_stale(
    vlures: Command, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    write_questions(vlures.folder, 2)
    folder = Path(shutil.copytree(tiny("blip2_t5"), tmp_path / "model"))
    assert vlures(*run_arguments(folder)).code in DONE
    assert vlures(*run_arguments(folder)).code in DONE  # nothing to do
    before = texts(vlures)
    build("blip2_t5", folder, seed=1)
    stopped = vlures(*run_arguments(folder))
    assert stopped.code == 1, stopped
    assert "model_files" in stopped.err
    assert vlures(*run_arguments(folder, "--stale", "redo")).code in DONE
    assert texts(vlures) != before


def test_a_plan_speaks_of_no_money_and_of_nothing_to_send(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, 1)
    planned = vlures("plan", *run_arguments(tiny("blip2_t5"))[1:])
    assert planned.code == 0, planned
    assert " due of " in planned.out
    for word in ("USD", "$", "MB", "price"):
        assert word not in planned.out + planned.err


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "tokenizer.json", "generation_config.json"])
def test_every_file_that_is_read_counts(
    vlures: Command, tiny: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    write_questions(vlures.folder, 1)
    folder = Path(shutil.copytree(tiny("blip2_t5"), tmp_path / "model"))
    assert vlures(*run_arguments(folder)).code in DONE
    path = folder / name
    path.write_text(path.read_text() + "\n")
    assert CHANGED in vlures("plan", *run_arguments(folder)[1:]).out
    (folder / "README.md").write_text("Notes about the model.")
    path.write_text(path.read_text()[:-1])
    assert CHANGED not in vlures("plan", *run_arguments(folder)[1:]).out


def test_other_numbers_and_another_allowance_are_other_questions(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, 1)
    assert vlures(*run_arguments(tiny("blip2_t5"))).code in DONE
    for more in (("--dtype", "bf16"), ("--temperature", "0.7")):
        assert CHANGED in vlures("plan", *run_arguments(tiny("blip2_t5"), *more)[1:]).out


@pytest.mark.parametrize("kind", LORA_TARGETS)
def test_an_adapter_is_a_model_too(vlures: Command, tiny: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    write_questions(vlures.folder, 2)
    adapter = make_adapter(tiny(kind), tmp_path / "adapter", LORA_TARGETS[kind], seed=3)
    assert vlures(*run_arguments(tiny(kind), name="base")).code in DONE
    assert vlures(*run_arguments(adapter)).code in DONE
    assert texts(vlures) != texts(vlures, "base")
    make_adapter(tiny(kind), adapter, LORA_TARGETS[kind], seed=4)
    assert vlures(*run_arguments(adapter)).code == 1, "answers of another adapter are stale"


def make_adapter(base: Path, folder: Path, targets: str, seed: int) -> Path:
    torch.manual_seed(seed)
    model = hf.AutoModelForImageTextToText.from_pretrained(base, dtype=torch.float32)
    adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    with torch.no_grad():
        for name, weights in adapted.named_parameters():
            if "lora_" in name:
                weights.normal_(0, 0.3)
    adapted.save_pretrained(folder)
    return folder

"""What cannot be asked fails with its reason, and nothing else does; what cannot be loaded is one sentence."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers as hf
from PIL import Image

from tests.conftest import Command
from tests.local.conftest import DONE, run_arguments, texts, write_questions
from tests.local.tiny_models import KINDS, LLAMA, build, make_tokenizer


def failures(vlures: Command, name: str = "tiny") -> dict[str, tuple[str, str]]:
    lines = vlures.last_lines(name).items()
    return {
        key.rpartition("-")[2]: (line["error"]["code"], line["error"]["message"])
        for key, line in lines
        if line["status"] == "failed"
    }


def test_an_image_that_cannot_be_decoded_fails_alone(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, 5)
    path = vlures.folder / "images/2.png"
    path.write_bytes(damage(path.read_bytes()))
    result = vlures(*run_arguments(tiny("blip2_t5")))
    assert result.code == 3, result
    failed = failures(vlures)
    assert set(failed) == {f"2q{place}" for place in range(6)}
    assert {code for code, _ in failed.values()} == {"bad image"}
    assert "images/2.png" in failed["2q0"][1]
    found = texts(vlures)
    assert any(found[f"{image}q0"] for image in (0, 1, 3, 4))


def damage(png: bytes) -> bytes:
    """The same file with other pixels' data, whose checksum is right: only decoding finds that it makes no sense."""
    length, begin = int.from_bytes(png[33:37], "big"), 41
    assert png[37:41] == b"IDAT"
    data = png[begin : begin + 20] + bytes(length - 20)
    checksum = zlib.crc32(b"IDAT" + data).to_bytes(4, "big")
    return png[:begin] + data + checksum + png[begin + length + 4 :]


@pytest.mark.parametrize("kind", ["blip2_t5", "llava"])
def test_odd_images_end_no_run(vlures: Command, tiny: Callable[[str], Path], kind: str) -> None:
    """Whether a processor takes them is its own affair; those that it does not take fail alone."""
    write_questions(vlures.folder, 7, ("How many?",))
    whole = Image.open(vlures.folder / "images/0.png")
    odd = [
        whole.resize((1, 40)),
        whole.resize((40, 1)),
        whole.resize((3, 3)),
        whole.convert("L"),
        whole.convert("RGBA"),
        whole.convert("P"),
    ]
    for number, picture in enumerate(odd, 1):
        picture.save(vlures.folder / f"images/{number}.png")
    result = vlures(*run_arguments(tiny(kind)))
    assert result.code in DONE, result
    assert len(vlures.last_lines("tiny")) == 7
    assert {code for code, _ in failures(vlures).values()} <= {"bad image"}
    assert not {"0q0", "4q0", "5q0", "6q0"} & set(failures(vlures))


@pytest.mark.parametrize("kind", ["blip2_t5", "llava"])
def test_a_script_that_the_tokenizer_lacks_is_no_question(
    vlures: Command, tiny: Callable[[str], Path], kind: str
) -> None:
    asked = ("How many?", "この写真には車が何台写っていますか。答えは数字だけで書いてください。", "A café?")
    write_questions(vlures.folder, 2, asked)
    result = vlures(*run_arguments(tiny(kind)))
    assert result.code == 3, result
    failed = failures(vlures)
    assert set(failed) == {"0q1", "1q1"}
    assert failed["0q1"][0] == "unknown tokens"
    assert "does not know" in failed["0q1"][1]
    assert failed["0q1"][1] in result.out + result.err


@pytest.mark.parametrize("kind", ["blip2_opt", "instructblip_t5", "llava"])
def test_a_prompt_that_is_too_long_is_not_cut(vlures: Command, tiny: Callable[[str], Path], kind: str) -> None:
    write_questions(vlures.folder, 2, ("How many?", "Is it so? " * 500))
    result = vlures(*run_arguments(tiny(kind)))
    assert result.code == 3, result
    failed = failures(vlures)
    assert set(failed) == {"0q1", "1q1"}
    assert failed["0q1"][0] == "prompt too long"
    assert "nothing was cut off" in failed["0q1"][1]


def test_a_long_prompt_is_no_trouble_where_positions_are_relative(vlures: Command, tiny: Callable[[str], Path]) -> None:
    write_questions(vlures.folder, 1, ("How many?", "Is it so? " * 200))
    assert vlures(*run_arguments(tiny("blip2_t5"))).code in DONE


@pytest.mark.parametrize("kind", ["blip2_opt", "llava", "idefics3"])
def test_a_question_with_the_text_that_stands_for_an_image(
    vlures: Command, tiny: Callable[[str], Path], kind: str
) -> None:
    write_questions(vlures.folder, 1, ("How many?", "What does <image> stand for?"))
    assert vlures(*run_arguments(tiny(kind))).code == 3
    assert {code for code, _ in failures(vlures).values()} == {"image token"}


def test_what_cannot_be_loaded_is_one_sentence(vlures: Command, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    write_questions(vlures.folder, 1)
    for model, said in make_unfit(tiny("blip2_t5"), tmp_path).items():
        result = vlures(*run_arguments(model))
        assert result.code in (1, 2), (model, result)
        assert said in result.err, (model, result.err)
        assert not vlures.answers("tiny")


def make_unfit(whole: Path, folder: Path) -> dict[Path | str, str]:
    """Models that cannot be loaded, and what the sentence about each must say."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(whole, folder / name))

    half = copy("half") / "model.safetensors"
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    (copy("none") / "model.safetensors").unlink()
    pickled = copy("pickled")
    torch.save({}, pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    lacking = copy("lacking")
    model = hf.AutoModelForImageTextToText.from_pretrained(whole)
    weights = {name: value for name, value in model.state_dict().items() if "qformer.encoder.layer.0" not in name}
    model.save_pretrained(lacking, state_dict=weights)
    blind = folder / "blind"
    hf.LlamaForCausalLM(hf.LlamaConfig(vocab_size=128, **LLAMA)).save_pretrained(blind)
    make_tokenizer().save_pretrained(blind)
    unread = copy("unread")
    for path in unread.glob("*processor*"):
        path.unlink()
    (folder / "empty").mkdir()
    odd = copy("odd")
    settings = json.loads((odd / "processor_config.json").read_text())
    settings["num_query_tokens"] = 7
    (odd / "processor_config.json").write_text(json.dumps(settings))
    return {
        half.parent: "cut off or damaged",
        folder / "none": "cannot be loaded",
        pickled: "safetensors",
        lacking: "would be random",
        blind: "takes no images",
        unread: "cannot be loaded",
        folder / "empty": "holds no model",
        odd: "7 places and the model 4",
        "no/such/folder": "There is no model",
        "nobody/nothing": "cannot be asked",
    }


def test_an_old_processor_that_does_not_say_how_many_places_an_image_takes(
    vlures: Command, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    """Trap c: such a processor puts no place for the image into the prompt, and `generate` ignores the image."""
    write_questions(vlures.folder, 4)
    assert vlures(*run_arguments(tiny("blip2_t5"))).code in DONE
    old = Path(shutil.copytree(tiny("blip2_t5"), tmp_path / "old"))
    settings = json.loads((old / "processor_config.json").read_text())
    del settings["num_query_tokens"]
    (old / "processor_config.json").write_text(json.dumps(settings))
    assert vlures(*run_arguments(old, name="old")).code in DONE
    assert texts(vlures, "old") == texts(vlures)
    assert len(set(texts(vlures).values())) > 12


def test_a_model_without_a_chat_template(vlures: Command, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    write_questions(vlures.folder, 1)
    mute = Path(shutil.copytree(tiny("llava"), tmp_path / "mute"))
    (mute / "chat_template.jinja").unlink()
    result = vlures(*run_arguments(mute))
    assert result.code == 1
    assert "chat template" in result.err


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision(vlures: Command, tiny: Callable[[str], Path], kind: str) -> None:
    """Trap i: what fp16 leaves in fp32 (T5's `wo`, the Q-Former) stays so, and answers come."""
    write_questions(vlures.folder, 2)
    for dtype in ("fp16", "bf16"):
        result = vlures(*run_arguments(tiny(kind), "--dtype", dtype, name=dtype))
        assert result.code in DONE, result
        assert len(texts(vlures, dtype)) == 12


def test_building_is_repeatable(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    again = build("blip2_t5", tmp_path / "again")
    assert (again / "model.safetensors").read_bytes() == (tiny("blip2_t5") / "model.safetensors").read_bytes()

"""What fails silently in the models' own code, and must not here. The letters are those of the project's list of traps;
b to e and g are tests elsewhere in this folder, a and f belong to training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.local.conftest import ASKED, draw
from tests.local.tiny_models import KINDS
from vlures.backends.local.families import Loaded, find_family
from vlures.backends.local.loading import load
from vlures.backends.local.model_files import find_model
from vlures.backends.local.options import DtypeName, Options
from vlures.errors import VluresError
from vlures.records import Prompt

NEW_TOKENS = 6
SETTINGS = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "num_beams": 1}


def open_model(folder: Path, dtype: DtypeName = "fp32") -> Loaded:
    return load(find_model(str(folder)), dtype, Options(device="cpu"))


@pytest.mark.parametrize("kind", ["blip2_t5", "instructblip_t5"])
def test_h_a_t5_with_an_output_matrix_of_its_own_keeps_it(
    tiny: Callable[[str], Path], tmp_path: Path, kind: str
) -> None:
    """T5Config ties the two matrices in transformers 5; loading must untie what the file holds apart, as flan-t5's."""
    loaded = open_model(tiny(kind))
    own = torch.randn_like(loaded.model.language_model.lm_head.weight)
    weights = {**loaded.model.state_dict(), "language_model.lm_head.weight": own}
    loaded.model.save_pretrained(tmp_path / "untied", state_dict=weights)
    loaded.processor.save_pretrained(tmp_path / "untied")
    language = open_model(tmp_path / "untied").model.language_model
    assert torch.equal(language.lm_head.weight, own)
    assert not torch.equal(language.lm_head.weight, language.shared.weight)


@pytest.mark.parametrize("kind", ["blip2_t5", "instructblip_t5"])
def test_i_fp16_leaves_in_fp32_what_overflows(tiny: Callable[[str], Path], kind: str) -> None:
    model = open_model(tiny(kind), "fp16").model
    kept = {name for name, weights in model.named_parameters() if weights.dtype == torch.float32}
    assert any(name.endswith(".wo.weight") for name in kept)
    assert any(name.startswith("qformer.") for name in kept)
    assert "query_tokens" in kept
    assert model.language_model.shared.weight.dtype == torch.float16


@pytest.mark.parametrize("kind", KINDS)
def test_the_agreement_in_bf16_is_told(
    tmp_path: Path, tiny: Callable[[str], Path], record_property: Callable[[str, object], None], kind: str
) -> None:
    """In bf16 rounding makes some answers depend on their neighbours. How many is told; that is all that can be."""
    loaded = open_model(tiny(kind), "bf16")
    pictures = []
    for number in range(5):
        draw(tmp_path / f"{number}.png", number)
        pictures.append(Image.open(tmp_path / f"{number}.png").convert("RGB"))
    family = find_family(loaded, NEW_TOKENS)
    prompts = [Prompt("", (question,)) for question in ASKED]
    asked = [family.ask(picture, prompts)[0] for picture in pictures]
    with torch.inference_mode():
        together = family.generate(asked, SETTINGS)
        alone = [
            family.generate([image.take(row, row + 1)], SETTINGS)[0]
            for image in asked
            for row in range(len(image.rows))
        ]
    same = sum(one == other for one, other in zip(together, alone, strict=True))
    record_property("summary", f"{kind} in bf16: {same} of {len(alone)} answers are those of one question at a time")
    assert len(together) == len(alone) == len(pictures) * len(ASKED)


def test_a_model_whose_questions_cannot_share_goes_the_plain_way_and_says_so(
    tmp_path: Path, tiny: Callable[[str], Path]
) -> None:
    """A decoder that forgets its cache stands for one whose cache works otherwise."""
    loaded = open_model(tiny("llava"))
    draw(tmp_path / "0.png", 0)
    picture = Image.open(tmp_path / "0.png").convert("RGB")
    prompts = [Prompt("", (question,)) for question in ASKED]
    family = find_family(loaded, NEW_TOKENS)
    image, _ = family.ask(picture, prompts)
    with torch.inference_mode():
        expected = family.generate([image], SETTINGS)
    assert not family.note

    def forget(_module: Any, _args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
        cache = kwargs.get("past_key_values") or kwargs.get("cache")
        if cache is not None and cache.get_seq_length() > 0 and kwargs["inputs_embeds"].shape[1] > 1:
            for layer in cache.layers:
                layer.keys.zero_()
        return None

    loaded.model.model.language_model.register_forward_pre_hook(forget, with_kwargs=True)
    other = find_family(loaded, NEW_TOKENS)
    image, _ = other.ask(picture, prompts)
    with torch.inference_mode():
        found = other.generate([image], SETTINGS)
    assert found == expected
    assert "anew" in other.note


def test_a_system_text_reaches_a_model_whose_template_drops_it(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    loaded = open_model(tiny("llava"))
    loaded.processor.chat_template = (
        "{% for message in messages if message['role'] == 'user' %}USER: {% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
        " ASSISTANT:"
    )
    draw(tmp_path / "0.png", 0)
    picture = Image.open(tmp_path / "0.png").convert("RGB")
    family = find_family(loaded, NEW_TOKENS)
    image, _ = family.ask(picture, [Prompt("Be brief.", ("How many?",))])
    assert "Be brief." in loaded.processor.tokenizer.decode(image.rows[0].ids)


@pytest.mark.parametrize("kind", ["llava", "idefics3"])
def test_system_texts_of_different_length(tmp_path: Path, tiny: Callable[[str], Path], kind: str) -> None:
    """They stand before the image, so the beginnings that questions share are not all the same."""
    loaded = open_model(tiny(kind))
    draw(tmp_path / "0.png", 0)
    picture = Image.open(tmp_path / "0.png").convert("RGB")
    prompts = [
        Prompt(system, (question,)) for system in ("", "Be brief.", "Look twice, then answer.") for question in ASKED
    ]
    family = find_family(loaded, NEW_TOKENS)
    image, unfit = family.ask(picture, prompts)
    assert not any(unfit)
    with torch.inference_mode():
        together = family.generate([image], SETTINGS)
        alone = [find_family(loaded, NEW_TOKENS).generate([image.take(row, row + 1)], SETTINGS)[0] for row in range(18)]
    assert not family.note
    assert together == alone


def test_an_adapter_that_does_not_fit_is_refused(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    """Its layers would be left at nothing, and the base's answers taken for its own."""
    base = tiny("blip2_t5")
    model = hf.AutoModelForImageTextToText.from_pretrained(base)
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=r".*language_model.*\.(q|v)"))
    adapted.save_pretrained(tmp_path / "adapter")
    load(find_model(str(tmp_path / "adapter")), "fp32", Options(device="cpu"))
    weights = tmp_path / "adapter/adapter_model.safetensors"
    tensors = load_file(weights)
    save_file({name.replace("encoder.block.0", "encoder.block.7"): tensor for name, tensor in tensors.items()}, weights)
    with pytest.raises(VluresError, match="does not fit its base model"):
        load(find_model(str(tmp_path / "adapter")), "fp32", Options(device="cpu"))
    weights.rename(weights.with_name("elsewhere.safetensors"))
    torch.save(tensors, tmp_path / "adapter/adapter_model.bin")
    with pytest.raises(VluresError, match="only format"):
        load(find_model(str(tmp_path / "adapter")), "fp32", Options(device="cpu"))

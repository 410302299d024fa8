"""Answers equal those of one question at a time, for every family; each image goes through the vision tower once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from PIL import Image

from tests.conftest import Command
from tests.local.conftest import ASKED, DONE, run_arguments, texts, write_questions
from tests.local.tiny_models import KINDS

IMAGES = 10
NEW_TOKENS = 6


@pytest.mark.parametrize("kind", KINDS)
def test_answers_are_those_of_one_question_at_a_time(vlures: Command, tiny: Callable[[str], Path], kind: str) -> None:
    write_questions(vlures.folder, IMAGES)
    result = vlures(*run_arguments(tiny(kind), "--rows", "18"))
    assert result.code in DONE, result
    found = texts(vlures)
    expected = ask_one_by_one(tiny(kind), vlures.folder)
    assert len(set(expected.values())) >= 50, "answers that are alike prove nothing"
    assert found == expected


def ask_one_by_one(model_folder: Path, folder: Path) -> Mapping[str, str]:
    """Every question alone through `generate`, as the model's documentation does it."""
    model = hf.AutoModelForImageTextToText.from_pretrained(model_folder, dtype=torch.float32).eval()
    processor = hf.AutoProcessor.from_pretrained(model_folder)
    answers = {}
    for number in range(IMAGES):
        picture = Image.open(folder / f"images/{number}.png").convert("RGB")
        for place, question in enumerate(ASKED):
            inputs = put(processor, model.config.model_type, picture, question)
            with torch.no_grad():
                whole = model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)[0]
            is_seq2seq = model.config.get_text_config(decoder=True).is_encoder_decoder
            new = whole[1 if is_seq2seq else inputs["input_ids"].shape[1] :]
            answers[f"{number}q{place}"] = processor.tokenizer.decode(new, skip_special_tokens=True).strip()
    return answers


def put(processor: Any, kind: str, picture: Image.Image, question: str) -> Any:
    if kind == "blip-2":
        return processor(images=picture, text=f"Question: {question} Answer:", return_tensors="pt")
    if kind == "instructblip":
        return processor(images=picture, text=question, return_tensors="pt")
    content = [{"type": "image", "image": picture}, {"type": "text", "text": question}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )

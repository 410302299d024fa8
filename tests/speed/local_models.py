"""How fast images are answered by models on this machine, beside the plain loop. Prints a table, asserts nothing.

    python tests/speed/local_models.py                   # two layers fewer than a small model, on one core
    python tests/speed/local_models.py --size full       # the real models' sizes with random weights, on a GPU, in bf16
    python tests/speed/local_models.py --size tiny       # to see that all runs

The plain loop is what the models' documentation shows: for each batch of questions one call of the processor, each
question with its image, and one of `generate`. It is measured at a batch of 16 and at others: the best one differs.
Needs torch, transformers and pillow, and nothing else of vlures' own packages.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers as hf
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from vlures.backends.local.families import Family, Loaded, find_family
from vlures.records import Prompt

QUESTIONS_PER_IMAGE = 15
QUESTIONS = [
    f"{begin} {thing}?"
    for begin in ("How many cars are beside the", "Is there a tree near the", "What is on the left of the")
    for thing in ("house", "road", "old tall building", "person with a bag", "sky")
]
SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
REPEATS = 3


@dataclass(frozen=True)
class Size:
    """How large the models are and how much they are asked."""

    images: int
    new_tokens: int
    batches: tuple[int, ...]
    """Of the plain loop."""
    rows: int
    """That ours computes at a time."""
    vision: Mapping[str, Mapping[str, int]]
    """By family."""
    t5: Mapping[str, int]
    llama: Mapping[str, int]
    qformer: Mapping[str, int]
    queries: int
    words: int
    """In the vocabulary."""


def _square(side: int, patch: int, hidden: int, layers: int, heads: int, inner: int) -> dict[str, int]:
    return {
        "image_size": side,
        "patch_size": patch,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
    }


def _llama(hidden: int, layers: int, heads: int, inner: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "intermediate_size": inner,
        "max_position_embeddings": 4096,
    }


def _t5(hidden: int, layers: int, heads: int, inner: int) -> dict[str, int]:
    return {
        "d_model": hidden,
        "num_layers": layers,
        "num_decoder_layers": layers,
        "num_heads": heads,
        "d_kv": hidden // heads,
        "d_ff": inner,
    }


def _qformer(hidden: int, layers: int, heads: int, seen: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": 4 * hidden,
        "encoder_hidden_size": seen,
    }


SIZES = {
    "tiny": Size(
        images=3,
        new_tokens=3,
        batches=(16,),
        rows=30,
        vision={"blip": _square(28, 14, 32, 2, 4, 48), "llava": _square(56, 14, 32, 2, 4, 48)},
        t5=_t5(32, 2, 4, 48),
        llama=_llama(32, 2, 4, 48),
        qformer=_qformer(32, 2, 4, 32),
        queries=4,
        words=1_000,
    ),
    "cpu": Size(
        images=4,
        new_tokens=5,
        batches=(4, 16, 32),
        rows=15,
        vision={"blip": _square(224, 14, 384, 12, 6, 1536), "llava": _square(336, 14, 384, 12, 6, 1536)},
        t5=_t5(512, 8, 8, 1024),
        llama=_llama(512, 8, 8, 1376),
        qformer=_qformer(384, 6, 6, 384),
        queries=32,
        words=8_000,
    ),
    # Those of blip2-flan-t5-xl, instructblip-flan-t5-xl and llava-1.5-7b-hf, by their config.json.
    "full": Size(
        images=32,
        new_tokens=5,
        batches=(16, 64, 256),
        rows=64,
        vision={"blip": _square(224, 14, 1408, 39, 16, 6144), "llava": _square(336, 14, 1024, 24, 16, 4096)},
        t5=_t5(2048, 24, 32, 5120),
        llama=_llama(4096, 32, 32, 11008),
        qformer=_qformer(768, 12, 12, 1408),
        queries=32,
        words=32_064,
    ),
}


def make_tokenizer(words: int, side: str, *, first: bool) -> Any:
    """Tokens of about a word each: the questions' words, and as many others as make up the vocabulary."""
    known = sorted({word for text in QUESTIONS for word in text.replace("?", " ?").split()})
    vocabulary = [*SPECIAL, *known, "Question:", "Answer:", "USER:", "ASSISTANT:"]
    vocabulary += [f"word{number}" for number in range(words - len(vocabulary))]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    template = "<s> $A" if first else "$A </s>"
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=[("<s>", 2), ("</s>", 3)])
    made = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side=side,
        model_max_length=4096,
    )
    made.add_special_tokens({"additional_special_tokens": ["<image>"]})
    return made


def make_blip(size: Size, kind: str) -> tuple[Any, Any]:
    """BLIP-2 or InstructBLIP with a T5."""
    side = size.vision["blip"]["image_size"]
    tokenizer = make_tokenizer(size.words, "right", first=False)
    images = hf.BlipImageProcessor(size={"height": side, "width": side})
    text = hf.T5Config(
        vocab_size=len(tokenizer),
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=3,
        tie_word_embeddings=False,
        **size.t5,
    )
    common = {"num_query_tokens": size.queries, "image_token_index": 4, "text_config": text}
    if kind == "blip-2":
        config = hf.Blip2Config(
            vision_config=hf.Blip2VisionConfig(**size.vision["blip"]),
            qformer_config=hf.Blip2QFormerConfig(vocab_size=len(tokenizer), **size.qformer),
            **common,
        )
        return hf.Blip2ForConditionalGeneration(config), hf.Blip2Processor(images, tokenizer, size.queries)
    second = make_tokenizer(size.words, "right", first=False)
    config = hf.InstructBlipConfig(
        vision_config=hf.InstructBlipVisionConfig(**size.vision["blip"]),
        qformer_config=hf.InstructBlipQFormerConfig(vocab_size=len(second), **size.qformer),
        **common,
    )
    processor = hf.InstructBlipProcessor(images, tokenizer, second, size.queries)
    return hf.InstructBlipForConditionalGeneration(config), processor


def make_llava(size: Size, _kind: str) -> tuple[Any, Any]:
    side = size.vision["llava"]["image_size"]
    tokenizer = make_tokenizer(size.words, "left", first=True)
    images = hf.CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    processor = hf.LlavaProcessor(
        images,
        tokenizer,
        patch_size=size.vision["llava"]["patch_size"],
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=(
            "{% for message in messages %}USER: {% for part in message['content'] %}"
            "{% if part['type'] == 'image' %}<image> {% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
            " ASSISTANT:"
        ),
    )
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(**size.vision["llava"], projection_dim=512),
        text_config=hf.LlamaConfig(
            vocab_size=len(tokenizer), bos_token_id=2, eos_token_id=3, pad_token_id=0, **size.llama
        ),
        image_token_index=4,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    return hf.LlavaForConditionalGeneration(config), processor


FAMILIES: dict[str, Callable[[Size, str], tuple[Any, Any]]] = {
    "blip-2": make_blip,
    "instructblip": make_blip,
    "llava": make_llava,
}


def make_model(family: str, size: Size, device: torch.device, dtype: torch.dtype) -> Loaded:
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    with torch.device(device):
        model, processor = FAMILIES[family](size, family)
    torch.set_default_dtype(torch.float32)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1 and (".q_proj." in name or ".k_proj." in name):
                weights.mul_(3)  # else a decoder's answers are all alike
    # transformers makes positions as buffers of its own: they are where the weights are.
    return Loaded(model.eval().to(device), processor, device, dtype)


def draw(count: int, side: int) -> list[Image.Image]:
    chance = random.Random(0)
    return [Image.frombytes("RGB", (side, side), chance.randbytes(3 * side * side)) for _ in range(count)]


def put(loaded: Loaded, pictures: Sequence[Image.Image], questions: Sequence[str]) -> Any:
    """A batch as the model's documentation makes it."""
    kind = loaded.model.config.model_type
    if kind == "llava":
        texts = [f"USER: <image> {question.replace('?', ' ?')} ASSISTANT:" for question in questions]
    elif kind == "blip-2":
        texts = [f"Question: {question.replace('?', ' ?')} Answer:" for question in questions]
    else:
        texts = [question.replace("?", " ?") for question in questions]
    inputs = loaded.processor(images=list(pictures), text=texts, padding=True, return_tensors="pt").to(loaded.device)
    inputs["pixel_values"] = inputs["pixel_values"].to(loaded.dtype)
    return inputs


def ask_plainly(loaded: Loaded, pictures: Sequence[Image.Image], size: Size, batch: int) -> list[Any]:
    pairs = [(picture, question) for picture in pictures for question in QUESTIONS]
    answers: list[Any] = []
    for first in range(0, len(pairs), batch):
        chosen = pairs[first : first + batch]
        inputs = put(loaded, [picture for picture, _ in chosen], [question for _, question in chosen])
        with torch.inference_mode():
            out = loaded.model.generate(**inputs, **settings(size))
        answers += out[:, -size.new_tokens :].tolist()
    return answers


def ask_by_image(family: Family, pictures: Sequence[Image.Image], size: Size) -> list[Any]:
    prompts = [Prompt("", (question.replace("?", " ?"),)) for question in QUESTIONS]
    per_group = max(size.rows // len(QUESTIONS), 1)
    answers: list[Any] = []
    for first in range(0, len(pictures), per_group):
        images = [family.ask(picture, prompts)[0] for picture in pictures[first : first + per_group]]
        with torch.inference_mode():
            answers += [list(one.ids) for one in family.generate(images, settings(size))]
    return answers


def settings(size: Size) -> dict[str, Any]:
    """As many tokens for every answer: random weights end by chance."""
    return {"max_new_tokens": size.new_tokens, "min_new_tokens": size.new_tokens, "do_sample": False, "num_beams": 1}


def measure(work: Callable[[], list[Any]], device: torch.device) -> tuple[float, list[Any]]:
    """The median of several runs, in seconds, and what came."""
    times, found = [], work()  # once to warm up
    for _ in range(REPEATS):
        began = time.perf_counter()
        found = work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times), found


def compare(family_name: str, size: Size, device: torch.device, dtype: torch.dtype) -> None:
    loaded = make_model(family_name, size, device, dtype)
    side = size.vision["llava" if family_name == "llava" else "blip"]["image_size"]
    pictures = draw(size.images, side)
    family = find_family(loaded, size.new_tokens)
    total = len(pictures) * len(QUESTIONS)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    ours_s, ours = measure(lambda: ask_by_image(family, pictures, size), device)
    print(f"{family_name}: {total} questions about {len(pictures)} images, {size.new_tokens} new tokens, {dtype}")
    print(f"  by image: {ours_s:7.2f} s, {total / ours_s:7.1f} questions/s{_peak(device)}{' ' + family.note}")
    for batch in size.batches:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        try:
            plain_s, plain = measure(lambda batch=batch: ask_plainly(loaded, pictures, size, batch), device)
        except torch.OutOfMemoryError:
            print(f"  plain, batch {batch}: out of memory")
            continue
        alike = sum(one == other for one, other in zip(ours, plain, strict=True))
        print(
            f"  plain, batch {batch:3}: {plain_s:7.2f} s, {plain_s / ours_s:5.2f} × as long; {alike} of {total} "
            f"answers equal, {len({tuple(one) for one in plain})} different{_peak(device)}",
            flush=True,
        )


def _peak(device: torch.device) -> str:
    return f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if device.type == "cuda" else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="cpu")
    parser.add_argument("--only", choices=FAMILIES)
    options = parser.parse_args()
    hf.logging.set_verbosity_error()
    if options.size == "full":
        device, dtype = torch.device("cuda"), torch.bfloat16
        print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, transformers {hf.__version__}")
    else:
        torch.set_num_threads(1)
        device, dtype = torch.device("cpu"), torch.float32
        print(f"one thread, torch {torch.__version__}, transformers {hf.__version__}")
    for name in [options.only] if options.only else FAMILIES:
        compare(name, SIZES[options.size], device, dtype)


if __name__ == "__main__":
    main()

"""Tiny models of every family, with random weights that make answers differ: `build(kind, folder)`.

Each has a tokenizer of printable ASCII, a token for each character, so that any English question can be asked and no
Japanese one; an image of 28 × 28 pixels, which makes four patches; and two layers.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, processors

SPECIAL = ("<pad>", "<unk>", "<s>", "</s>", "<image>")
CHARACTERS = [*string.printable[:95], "\n"]
IMAGE_PX = 28
WEIGHTS_STD = 0.25
"""The library's own start makes all answers alike, and comparing them would prove nothing."""

VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": IMAGE_PX,
    "patch_size": 14,
}
T5 = {
    "d_model": 32,
    "d_ff": 48,
    "d_kv": 8,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_heads": 4,
    "feed_forward_proj": "gated-gelu",
    "decoder_start_token_id": 0,
    "pad_token_id": 0,
    "eos_token_id": 3,
    "tie_word_embeddings": False,
}
LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
OPT = {
    "hidden_size": 32,
    "ffn_dim": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "word_embed_proj_dim": 32,
    "max_position_embeddings": 2048,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] | upper }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)


def build(kind: str, folder: Path, seed: int = 0) -> Path:
    """Save a model with its processor in a folder, as a user has it."""
    torch.manual_seed(seed)
    model, processor = KINDS[kind]()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.dim() > 1:
                # Attention that looks somewhere in particular makes the answers of a decoder differ.
                sharper = 3 if ".q_proj." in name or ".k_proj." in name else 1
                weights.normal_(0, WEIGHTS_STD * sharper)
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def make_tokenizer(
    *, extra: Sequence[str] = (), side: Literal["left", "right"] = "left", first: bool = False, last: bool = False
) -> hf.PreTrainedTokenizerFast:
    """A token for each character. first, last: with <s> before and </s> after a text."""
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *CHARACTERS, *extra])}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.decoder = decoders.Fuse()
    if first or last:
        template = [*(["<s>"] if first else []), "$A", *(["</s>"] if last else [])]
        tokens = [(token, vocabulary[token]) for token in template if token != "$A"]
        tokenizer.post_processor = processors.TemplateProcessing(single=" ".join(template), special_tokens=tokens)
    made = hf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        padding_side=side,
        model_max_length=4096,
    )
    made.add_special_tokens({"additional_special_tokens": ["<image>", *(one for one in extra if one.startswith("<"))]})
    return made


def _blip2(language: Literal["t5", "opt"]) -> tuple[Any, Any]:
    processor = hf.Blip2Processor(_blip_images(), _tokenizer_for(language), num_query_tokens=4)
    words = len(processor.tokenizer)
    config = hf.Blip2Config(
        vision_config=hf.Blip2VisionConfig(**VISION),
        qformer_config=hf.Blip2QFormerConfig(vocab_size=words, **_qformer()),
        text_config=_language(language, words),
        num_query_tokens=4,
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )
    return hf.Blip2ForConditionalGeneration(config), processor


def _instructblip(language: Literal["t5", "llama"]) -> tuple[Any, Any]:
    # Its second tokenizer takes over the first one's side in the real models: trap b.
    second = make_tokenizer(extra=("[CLS]", "[SEP]"), side="right" if language == "t5" else "left")
    processor = hf.InstructBlipProcessor(_blip_images(), _tokenizer_for(language), second, num_query_tokens=4)
    words = len(processor.tokenizer)
    config = hf.InstructBlipConfig(
        vision_config=hf.InstructBlipVisionConfig(**VISION),
        qformer_config=hf.InstructBlipQFormerConfig(vocab_size=len(second), **_qformer()),
        text_config=_language(language, words),
        num_query_tokens=4,
        image_token_index=processor.tokenizer.convert_tokens_to_ids("<image>"),
    )
    return hf.InstructBlipForConditionalGeneration(config), processor


def _llava() -> tuple[Any, Any]:
    tokenizer = make_tokenizer(first=True)
    images = hf.CLIPImageProcessor(size={"shortest_edge": IMAGE_PX}, crop_size={"height": IMAGE_PX, "width": IMAGE_PX})
    processor = hf.LlavaProcessor(
        images,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    config = hf.LlavaConfig(
        vision_config=hf.CLIPVisionConfig(**VISION, projection_dim=32),
        text_config=hf.LlamaConfig(vocab_size=len(tokenizer), **LLAMA),
        image_seq_length=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )
    return hf.LlavaForConditionalGeneration(config), processor


def _idefics3() -> tuple[Any, Any]:
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)]
    extra = ("<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *tiles)
    tokenizer = make_tokenizer(extra=extra, first=True)
    images = hf.Idefics3ImageProcessor(
        size={"longest_edge": 2 * IMAGE_PX}, max_image_size={"longest_edge": IMAGE_PX}, do_image_splitting=True
    )
    processor = hf.Idefics3Processor(images, tokenizer, image_seq_len=1, chat_template=CHAT_TEMPLATE)
    config = hf.Idefics3Config(
        vision_config=hf.Idefics3VisionConfig(**VISION).to_dict(),
        text_config=hf.LlamaConfig(vocab_size=len(tokenizer), **LLAMA).to_dict(),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    return hf.Idefics3ForConditionalGeneration(config), processor


def _blip_images() -> Any:
    return hf.BlipImageProcessor(size={"height": IMAGE_PX, "width": IMAGE_PX})


def _qformer() -> dict[str, int]:
    return {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "encoder_hidden_size": 32,
        "max_position_embeddings": 512,
    }


def _tokenizer_for(language: str) -> hf.PreTrainedTokenizerFast:
    if language == "t5":
        return make_tokenizer(side="right", last=True)
    return make_tokenizer(first=True)


def _language(language: str, words: int) -> Any:
    if language == "t5":
        return hf.T5Config(vocab_size=words, **T5)
    return hf.OPTConfig(vocab_size=words, **OPT) if language == "opt" else hf.LlamaConfig(vocab_size=words, **LLAMA)


KINDS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "blip2_t5": lambda: _blip2("t5"),
    "blip2_opt": lambda: _blip2("opt"),
    "instructblip_t5": lambda: _instructblip("t5"),
    "instructblip_llama": lambda: _instructblip("llama"),
    "llava": _llava,
    "idefics3": _idefics3,
}

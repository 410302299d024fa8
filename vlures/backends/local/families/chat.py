"""LLaVA and every other model with a chat template: the prompt up to the image's end is computed once.

That beginning, image and all, is the same for every question about an image. It is run through the model once, and what
attention remembers of it (the cache) is given to each question. Whether a model allows that is tried on its first
image; where its answer would differ, every question goes the plain way.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from threading import RLock
from typing import TYPE_CHECKING, Any

from vlures.backends.local.families import AskedImage, Generated, Loaded, Row, UnfitPrompt, lacks_memory
from vlures.backends.local.families.tokens import check_known, check_length, cut_answers, end_tokens, pad
from vlures.records import Prompt

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

PLAIN_WAY = (
    "What this model computes for an image cannot be shared by its questions: each is answered with its image anew, "
    "which takes longer."
)
UNFIT_TOKEN = UnfitPrompt(
    "image token", "The prompt holds the text that stands for the image; take it out of the question."
)
NO_TOKEN = -1
"""Where the configuration names no token that stands for an image."""
TEXT_KEYS = frozenset({"input_ids", "attention_mask"})
Beginning = tuple[int, tuple[int, ...]]
"""The number of an image and the tokens up to its end."""
LARGEST_DIFFERENCE = {"float32": 1e-3, "bfloat16": 0.15, "float16": 0.03}
"""Between the scores of an answer's first token, computed in the two ways, as a share of the largest. Rounding alone
makes less; another position of a token, or an image that is not seen, makes more."""


class ChatFamily:
    """A decoder whose processor has a chat template."""

    def __init__(self, loaded: Loaded, most_new_tokens: int) -> None:
        self._model, self._processor = loaded.model, loaded.processor
        self._device, self._dtype = loaded.device, loaded.dtype
        _complete_processor(loaded)
        self._tokenizer = loaded.processor.tokenizer
        config = loaded.model.config
        positions = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
        self._most_prompt_tokens = positions and positions - most_new_tokens
        self._image_token = int(
            getattr(config, "image_token_id", None) or getattr(config, "image_token_index", None) or NO_TOKEN
        )
        self._pad: int = self._tokenizer.pad_token_id or 0
        self._ends = end_tokens(loaded.model)
        self._shares: bool | None = None
        """Whether questions may share an image's beginning; None until it was tried."""
        self._cache_name = _cache_name(loaded.model)
        self.note = ""
        self._one_at_a_time = RLock()
        """A tokenizer serves one thread."""

    def ask(self, picture: Image | None, prompts: Sequence[Prompt]) -> tuple[AskedImage, list[UnfitPrompt | None]]:
        with self._one_at_a_time:
            return self._ask_blind(prompts) if picture is None else self._ask(picture, prompts)

    def _ask_blind(self, prompts: Sequence[Prompt]) -> tuple[AskedImage, list[UnfitPrompt | None]]:
        """Questions without an image."""
        rows, taken, unfit = [], [], []
        for prompt in prompts:
            conversation = self._converse(prompt, None)
            row = check_known(self._tokenizer, f"{prompt.system}\n{prompt.user}") or self._encode_text(conversation)
            unfit.append(row if isinstance(row, UnfitPrompt) else None)
            if isinstance(row, Row):
                rows.append(row)
                taken.append(conversation)
        return AskedImage({}, tuple(rows), tuple(taken)), unfit

    def _encode_text(self, conversation: list[dict[str, Any]]) -> Row | UnfitPrompt:
        ids = self._tokenize(conversation)
        if self._image_token in ids:
            return UNFIT_TOKEN
        return check_length(len(ids), self._most_prompt_tokens) or Row(tuple(ids))

    def _ask(self, picture: Image, prompts: Sequence[Prompt]) -> tuple[AskedImage, list[UnfitPrompt | None]]:
        conversations = [self._converse(prompt, picture) for prompt in prompts]
        unfit = [check_known(self._tokenizer, f"{prompt.system}\n{prompt.user}") for prompt in prompts]
        fit = [number for number, reason in enumerate(unfit) if reason is None]
        if not fit:
            return AskedImage({}, ()), unfit
        first = self._processor.apply_chat_template(
            conversations[fit[0]], tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        pixels = {key: value for key, value in first.items() if key not in TEXT_KEYS}
        if self._shares is None and self._must_go_plainly(first, pixels):
            self._shares, self.note = False, PLAIN_WAY
        rows, taken = [], []
        image_ids = self._find_image_ids(conversations[fit[0]], first["input_ids"][0].tolist())
        for number in fit:
            row = self._encode(conversations[number], image_ids)
            if isinstance(row, UnfitPrompt):
                unfit[number] = row
            else:
                rows.append(row)
                taken.append(conversations[number])
        return AskedImage(pixels, tuple(rows), tuple(taken)), unfit

    def generate(self, images: Sequence[AskedImage], settings: Mapping[str, Any]) -> list[Generated]:
        first = next((image for image in images if image.pixels), None)
        if self._shares is None and first is not None:
            self._shares = self._try_sharing(first, settings)
            if not self._shares:
                self.note = PLAIN_WAY
        answers: list[Generated] = []
        for shape, alike in groupby(images, _shape):
            way = self._generate_sharing if self._shares and shape else self._generate_plainly
            answers += way(list(alike), settings)
        return answers

    def _converse(self, prompt: Prompt, picture: Image | None) -> list[dict[str, Any]]:
        """The prompt as a conversation. A system text that the template would drop goes before the question."""
        image, question = {"type": "image", "image": picture}, {"type": "text", "text": prompt.user}
        user = {"role": "user", "content": [question] if picture is None else [image, question]}
        if not prompt.system:
            return [user]
        system = {"role": "system", "content": [{"type": "text", "text": prompt.system}]}
        if prompt.system in self._render([system, user]):
            return [system, user]
        question["text"] = f"{prompt.system}\n\n{prompt.user}"
        return [user]

    def _render(self, conversation: list[dict[str, Any]]) -> str:
        """The conversation in the template's words; empty where the template refuses it."""
        from jinja2.exceptions import TemplateError

        try:
            text: str = self._processor.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
        except (TemplateError, TypeError):  # some templates take no parts, only a text
            return ""
        return text

    def _tokenize(self, conversation: list[dict[str, Any]]) -> list[int]:
        """Tokens of a conversation in which one token stands for the image."""
        text = self._render(conversation)
        begins = bool(self._tokenizer.bos_token) and text.startswith(self._tokenizer.bos_token)
        ids: list[int] = self._tokenizer(text, add_special_tokens=not begins)["input_ids"]
        return ids

    def _find_image_ids(self, conversation: list[dict[str, Any]], whole: list[int]) -> list[int] | None:
        """The tokens that the processor puts in the place of the one that stands for the image. They depend on the
        image alone. None where the rest is not as the tokenizer has it."""
        ids = self._tokenize(conversation)
        if ids.count(self._image_token) != 1:
            return None
        place = ids.index(self._image_token)
        before, after = ids[:place], ids[place + 1 :]
        end = len(whole) - len(after)
        return whole[place:end] if whole[:place] == before and whole[end:] == after else None

    def _encode(self, conversation: list[dict[str, Any]], image_ids: list[int] | None) -> Row | UnfitPrompt:
        ids = self._tokenize(conversation)
        if ids.count(self._image_token) > 1:
            return UNFIT_TOKEN
        if image_ids is None:
            whole = self._process([conversation])
            ids = whole["input_ids"][0].tolist()
        else:
            place = ids.index(self._image_token)
            ids = [*ids[:place], *image_ids, *ids[place + 1 :]]
        return check_length(len(ids), self._most_prompt_tokens) or Row(tuple(ids))

    def _must_go_plainly(self, first: Mapping[str, Any], pixels: Mapping[str, Any]) -> bool:
        """Whether the model takes more by token than the tokens, or its image's places are unknown."""
        import torch

        by_token = [value for value in pixels.values() if value.shape[:2] == first["input_ids"].shape]
        known = self._image_token in first["input_ids"]
        return bool(by_token) or not known or not all(isinstance(value, torch.Tensor) for value in pixels.values())

    def _try_sharing(self, image: AskedImage, settings: Mapping[str, Any]) -> bool:
        """Whether the first tokens of the shortest question, which has most pads, and of the longest come out the same
        in both ways."""
        import torch

        one = {**settings, "max_new_tokens": 1, "do_sample": False}
        one |= {"output_logits": True, "return_dict_in_generate": True}
        by_length = sorted(range(len(image.rows)), key=lambda row: len(image.rows[row].ids))
        probe = image.choose((by_length[0], by_length[-1]))
        scores: list[torch.Tensor] = []

        def keep(output: Any) -> Any:
            scores.append(output.logits[0].float())
            return output.sequences

        try:
            self._generate_sharing([probe], one, keep)
            self._generate_plainly([probe], one, keep)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
            if lacks_memory(error):
                raise
            return False
        plain = scores.pop()
        shared = torch.cat(scores)  # apart, where the beginnings are of different length
        largest = LARGEST_DIFFERENCE[str(self._dtype).removeprefix("torch.")]
        return bool((shared - plain).abs().max() <= largest * plain.abs().max())

    def _generate_sharing(
        self, images: Sequence[AskedImage], settings: Mapping[str, Any], read: Callable[[Any], Any] = lambda out: out
    ) -> list[Generated]:
        """Answers to questions that share their image's beginning."""
        begun = [
            (number, _beginning(row, self._image_token)) for number, image in enumerate(images) for row in image.rows
        ]
        rows = [row.ids for image in images for row in image.rows]
        answers: dict[int, Generated] = {}
        for length in dict.fromkeys(len(beginning) for _, beginning in begun):
            chosen = [place for place, (_, beginning) in enumerate(begun) if len(beginning) == length]
            found = self._begin_alike(images, [begun[place] for place in chosen], [rows[place] for place in chosen])
            output = read(self._model.generate(**found, **settings))
            answers |= zip(chosen, cut_answers(output, found["input_ids"].shape[1], self._ends), strict=True)
        return [answers[place] for place in range(len(rows))]

    def _begin_alike(
        self, images: Sequence[AskedImage], begun: Sequence[Beginning], rows: Sequence[tuple[int, ...]]
    ) -> dict[str, Any]:
        """What `generate` takes for rows whose beginnings have one length, with these in the cache."""
        import torch

        beginnings = list(dict.fromkeys(begun))
        cache = self._read_beginnings(images, beginnings)
        cache.batch_select_indices(torch.tensor([beginnings.index(one) for one in begun], device=self._device))
        length = len(beginnings[0][1])
        first, ones = pad([row[:length] for row in rows], "left", self._pad, self._device)
        # Pads stand between the beginning and the question: the beginning is in the cache from position 0 on.
        rest, mask = pad([row[length:] for row in rows], "left", self._pad, self._device)
        return {
            "input_ids": torch.cat([first, rest], 1),
            "attention_mask": torch.cat([ones, mask], 1),
            self._cache_name: cache,
        }

    def _read_beginnings(self, images: Sequence[AskedImage], beginnings: Sequence[Beginning]) -> Any:
        """What attention remembers of beginnings: a cache with a row for each."""
        import torch
        from transformers import DynamicCache

        cache = DynamicCache(config=self._model.config.get_text_config(decoder=True))
        ids = torch.tensor([ids for _, ids in beginnings], device=self._device)
        pixels = {
            key: torch.cat([images[number].pixels[key] for number, _ in beginnings]).to(self._device)
            for key in images[0].pixels
        }
        self._model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            use_cache=True,
            logits_to_keep=1,
            **{self._cache_name: cache},
            **self._as_floats(pixels),
        )
        return cache

    def _generate_plainly(
        self, images: Sequence[AskedImage], settings: Mapping[str, Any], read: Callable[[Any], Any] = lambda out: out
    ) -> list[Generated]:
        """Answers as `generate` gives them for images and texts, with an image for each question."""
        with self._one_at_a_time:
            inputs = self._process([conversation for image in images for conversation in image.conversations])
        inputs = self._as_floats({key: value.to(self._device) for key, value in inputs.items()})
        output = self._model.generate(**inputs, **settings)
        return cut_answers(read(output), inputs["input_ids"].shape[1], self._ends)

    def _process(self, conversations: list[list[dict[str, Any]]]) -> Mapping[str, Any]:
        processed: Mapping[str, Any] = self._processor.apply_chat_template(
            conversations,
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        )
        return processed

    def _as_floats(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Pixels with the model's own type of numbers; tokens as they are."""
        return {key: value.to(self._dtype) if value.is_floating_point() else value for key, value in inputs.items()}


def _beginning(row: Row, image_token: int) -> tuple[int, ...]:
    """The prompt up to its image's end."""
    last = len(row.ids) - 1 - row.ids[::-1].index(image_token)
    return row.ids[: last + 1]


def _shape(image: AskedImage) -> Any:
    """What must be equal for images to be computed together."""
    return tuple(sorted((key, tuple(value.shape)) for key, value in image.pixels.items()))


def _cache_name(model: Any) -> str:
    """What `forward` and `generate` call the cache: transformers 5.24 has renamed it."""
    inner = inspect.signature(model.forward).parameters
    return "cache" if "cache" in inner else "past_key_values"


def _complete_processor(loaded: Loaded) -> None:
    """Tell an old processor of LLaVA's how many places an image takes, which only the model's configuration says."""
    processor, config = loaded.processor, loaded.model.config
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    if config.model_type == "llava" and getattr(processor, "patch_size", None) is None:
        processor.patch_size = config.vision_config.patch_size
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
        processor.num_additional_image_tokens = 1  # of CLIP's tower: the class token

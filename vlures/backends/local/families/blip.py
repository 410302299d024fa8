"""BLIP-2 and InstructBLIP: an image becomes a few query tokens before the question.

BLIP-2's query tokens depend on the image alone, so they are computed once. InstructBLIP's Q-Former reads the question
as well: only the vision tower, which is most of the work, is shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from vlures.backends.local.families import AskedImage, Generated, Loaded, Row, UnfitPrompt
from vlures.backends.local.families.tokens import check_known, check_length, cut_answers, end_tokens, pad
from vlures.errors import VluresError
from vlures.records import Prompt

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


NO_TOKEN = -1


class BlipFamily:
    """BLIP-2 and InstructBLIP, with a language model of either kind."""

    def __init__(self, loaded: Loaded, most_new_tokens: int) -> None:
        self._model, self._processor, self._device = loaded.model, loaded.processor, loaded.device
        self._dtype = loaded.dtype
        self._language_model = loaded.model.language_model
        config = loaded.model.config
        self._queries: int = config.num_query_tokens
        self._reads_question = config.model_type == "instructblip"
        self._is_seq2seq = bool(self._language_model.config.is_encoder_decoder)
        # An old configuration names none; which token stands for a place does not matter here.
        self._image_token = NO_TOKEN if config.image_token_index is None else int(config.image_token_index)
        self._pad: int = self._language_model.config.pad_token_id or 0
        self._ends = end_tokens(self._language_model)
        # T5's positions are relative: it has no limit of its own.
        positions = None if self._is_seq2seq else getattr(config.text_config, "max_position_embeddings", None)
        self._most_prompt_tokens = positions and positions - most_new_tokens
        self._most_question_tokens: int | None = (
            config.qformer_config.max_position_embeddings if self._reads_question else None
        )
        self.note = ""
        self._one_at_a_time = Lock()
        """A tokenizer serves one thread."""
        _check_queries(loaded)

    def ask(self, picture: Image | None, prompts: Sequence[Prompt]) -> tuple[AskedImage, list[UnfitPrompt | None]]:
        if picture is None:
            reason = UnfitPrompt("no image", "The question has no image, and models of this kind must have one.")
            return AskedImage({}, ()), [reason] * len(prompts)
        pixels = self._processor.image_processor(picture, return_tensors="pt")["pixel_values"]
        rows, unfit = [], []
        for prompt in prompts:
            with self._one_at_a_time:
                row = self._encode(self._put(prompt))
            unfit.append(row if isinstance(row, UnfitPrompt) else None)
            if isinstance(row, Row):
                rows.append(row)
        return AskedImage({"pixel_values": pixels}, tuple(rows)), unfit

    def _put(self, prompt: Prompt) -> str:
        """The prompt as the family was trained: https://arxiv.org/abs/2301.12597 (table 4 and appendix) asks
        `Question: … Answer:`, https://arxiv.org/abs/2305.06500 gives the instruction as it is."""
        text = "\n\n".join(part for part in (prompt.system, prompt.user) if part)
        return text if self._reads_question else f"Question: {text} Answer:"

    def _encode(self, text: str) -> Row | UnfitPrompt:
        tokenizer = self._processor.tokenizer
        if unknown := check_known(tokenizer, text):
            return unknown
        ids = tokenizer(text)["input_ids"]
        if self._image_token in ids:
            return UnfitPrompt(
                "image token", "The prompt holds the text that stands for the image; take it out of the question."
            )
        if too_long := check_length(self._queries + len(ids), self._most_prompt_tokens):
            return too_long
        question = self._processor.qformer_tokenizer(text)["input_ids"] if self._reads_question else ()
        if too_long := check_length(len(question), self._most_question_tokens, "question for the Q-Former"):
            return too_long
        return Row((*[self._image_token] * self._queries, *ids), tuple(question))

    def generate(self, images: Sequence[AskedImage], settings: Mapping[str, Any]) -> list[Generated]:
        import torch

        rows = [row for image in images for row in image.rows]
        owner = torch.tensor([number for number, image in enumerate(images) for _ in image.rows], device=self._device)
        pixels = torch.cat([image.pixels["pixel_values"] for image in images]).to(self._device, self._dtype)
        queries = self._see_with_questions(pixels, owner, rows) if self._reads_question else self._see(pixels)[owner]
        ids, mask = pad([row.ids for row in rows], "right" if self._is_seq2seq else "left", self._pad, self._device)
        is_image = (ids == self._image_token) & mask.bool()
        if not bool((is_image.sum(1) == self._queries).all()):
            raise VluresError("A prompt does not have one place for each of the image's tokens; this is a fault here.")
        # The places' own token may be none of the language model's: an older tokenizer adds it at the end.
        embedded = self._language_model.get_input_embeddings()(ids.masked_fill(is_image, self._pad))
        embedded[is_image] = queries.flatten(0, 1).to(embedded.dtype)
        inputs = {"inputs_embeds": embedded, "attention_mask": mask}
        if not self._is_seq2seq:
            inputs["input_ids"] = ids
        sequences = self._language_model.generate(**inputs, **settings)
        # An encoder-decoder returns a start token and the answer, a decoder the prompt and the answer.
        return cut_answers(sequences, 1 if self._is_seq2seq else ids.shape[1], self._ends)

    def _see(self, pixels: torch.Tensor) -> torch.Tensor:
        """Query tokens of images, as the language model takes them: (images, query tokens, hidden)."""
        features: torch.Tensor = self._model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
        return features

    def _see_with_questions(self, pixels: torch.Tensor, owner: torch.Tensor, rows: Sequence[Row]) -> torch.Tensor:
        """Query tokens of each row: (rows, query tokens, hidden). owner: the number of each row's image."""
        import torch

        model = self._model
        seen = model.vision_model(pixel_values=pixels, return_dict=True).last_hidden_state[owner]
        # Whatever side the tokenizer pads: the Q-Former counts positions from the left, pads included.
        ids, mask = pad([row.qformer_ids for row in rows], "right", 0, self._device)
        queries = model.query_tokens.expand(len(rows), -1, -1)
        heard = model.qformer(
            input_ids=ids,
            attention_mask=torch.cat([mask.new_ones(queries.shape[:2]), mask], dim=1),
            query_embeds=queries,
            encoder_hidden_states=seen,
            encoder_attention_mask=mask.new_ones(seen.shape[:2]),
            return_dict=True,
        ).last_hidden_state[:, : self._queries]
        projected: torch.Tensor = model.language_projection(heard.to(seen.dtype))
        return projected


def _check_queries(loaded: Loaded) -> None:
    """Raises VluresError where processor and model disagree. An old processor that says nothing is no trouble: places
    are counted by the model."""
    said, needed = getattr(loaded.processor, "num_query_tokens", None), loaded.model.config.num_query_tokens
    if said is not None and said != needed:
        raise VluresError(
            f"The processor gives an image {said} places and the model {needed}; take both from the same model."
        )

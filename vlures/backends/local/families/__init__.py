"""What differs between families of models: how a prompt is put, and what of an image's work is done once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from vlures.errors import VluresError
from vlures.records import Prompt

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


@dataclass(frozen=True, slots=True)
class UnfitPrompt:
    """Why a model cannot be asked a question."""

    code: str
    """Short and stable."""
    message: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is ready to answer."""

    model: Any
    """A transformers model for images and text, in evaluation mode."""
    processor: Any
    device: torch.device
    dtype: torch.dtype
    """Of the images that it is given."""


@dataclass(frozen=True, slots=True)
class Row:
    """A question about an image, in tokens."""

    ids: tuple[int, ...]
    """The whole prompt with the image's places, without padding."""
    qformer_ids: tuple[int, ...] = ()
    """The question for a Q-Former that reads it, without padding."""


@dataclass(frozen=True, slots=True)
class AskedImage:
    """An image as its model takes it, and the questions about it."""

    pixels: Mapping[str, torch.Tensor]
    """What the image processor made of it, with a first dimension for images: (1, …). Empty without an image."""
    rows: tuple[Row, ...]
    conversations: tuple[Any, ...] = ()
    """Of each row, for a processor that has to see everything at once."""

    def take(self, first: int, end: int) -> AskedImage:
        """The image with some of its questions."""
        return replace(self, rows=self.rows[first:end], conversations=self.conversations[first:end])

    def choose(self, places: Sequence[int]) -> AskedImage:
        """The image with the questions at these places."""
        conversations = tuple(self.conversations[place] for place in places) if self.conversations else ()
        return replace(self, rows=tuple(self.rows[place] for place in places), conversations=conversations)


@dataclass(frozen=True, slots=True)
class Generated:
    """The tokens of one answer."""

    ids: tuple[int, ...]
    """Without those of the prompt, the end's and the padding's."""
    ended: bool
    """The model ended it; otherwise it was cut at the allowance."""


class Family(Protocol):
    """Models that are asked in one way."""

    note: str
    """A sentence for the user that has not been said yet; empty if there is none."""

    def ask(self, picture: Image | None, prompts: Sequence[Prompt]) -> tuple[AskedImage, list[UnfitPrompt | None]]:
        """An image and questions as tensors and tokens, on the CPU and in any thread. The image has a row for each
        prompt that fits; the list says of every prompt why it does not. picture: None for questions without one."""

    def generate(self, images: Sequence[AskedImage], settings: Mapping[str, Any]) -> list[Generated]:
        """The answers to all rows, image by image. settings: as `generate` of transformers takes them."""


TOO_LITTLE_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")


def lacks_memory(error: Exception) -> bool:
    """Whether an error says that there is too little memory: a CPU's is a plain RuntimeError. An illegal access to
    memory is another matter."""
    import torch

    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error).lower() for words in TOO_LITTLE_MEMORY)
    )


def find_family(loaded: Loaded, most_new_tokens: int) -> Family:
    """The family of a model. Raises VluresError for one that has neither a family nor a chat template."""
    from vlures.backends.local.families.blip import BlipFamily
    from vlures.backends.local.families.chat import ChatFamily

    kind = loaded.model.config.model_type
    if kind in ("blip-2", "instructblip"):
        return BlipFamily(loaded, most_new_tokens)
    if getattr(loaded.processor, "chat_template", None) is None:
        raise VluresError(
            f"A model of the kind {kind} is asked through its chat template, and its processor has none; add "
            "chat_template.jinja to its folder. Only BLIP-2 and InstructBLIP are asked without one."
        )
    return ChatFamily(loaded, most_new_tokens)

"""Rows of tokens: what is unknown in them, padding, and where an answer ends. Tensors only at the edge."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from vlures.backends.local.families import Generated, UnfitPrompt

if TYPE_CHECKING:
    import torch

MOST_UNKNOWN, FEW_UNKNOWN, HALF = 0.1, 5, 0.5
"""The largest share of a prompt's characters that the tokenizer may not know; so many do not matter either, unless they
are half of it. A few are names and signs; a text in a script that it lacks is unknown altogether."""


def check_known(tokenizer: Any, text: str) -> UnfitPrompt | None:
    """Why a text cannot be asked: its tokenizer has no tokens for too much of it. Unknown words stand for all they
    hold, so characters are counted, not tokens."""
    if tokenizer.unk_token_id is None or not text.strip():
        return None
    spans = _find_unknown(tokenizer, text)
    lost = sum(len(text[first:end].replace(" ", "")) for first, end in spans)
    share = lost / len("".join(text.split()))
    if share <= MOST_UNKNOWN or (lost <= FEW_UNKNOWN and share < HALF):
        return None
    return UnfitPrompt(
        "unknown tokens",
        f"The model's tokenizer does not know {share:.0%} of the prompt's characters ({len(spans):,} unknown tokens): "
        "it was not made for this language. Take another model for it.",
    )


def _find_unknown(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    """Where in the text the unknown tokens are: (first character, the one after the last)."""
    if not tokenizer.is_fast:  # it does not say where its tokens are: words are tried one by one
        words = [(found.start(), found.end()) for found in re.finditer(r"\S+", text)]
        known = [tokenizer(text[first:end], add_special_tokens=False)["input_ids"] for first, end in words]
        return [word for word, ids in zip(words, known, strict=True) if tokenizer.unk_token_id in ids]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    pairs = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    return [(first, end) for token, (first, end) in pairs if token == tokenizer.unk_token_id]


def check_length(tokens: int, most: int | None, what: str = "prompt") -> UnfitPrompt | None:
    """Why a prompt of so many tokens cannot be asked. It is never cut."""
    if most is None or tokens <= most:
        return None
    return UnfitPrompt(
        "prompt too long",
        f"The {what} has {tokens:,} tokens, and the model takes {most:,} beside the answer; nothing was cut off. Lower "
        "--max-output-tokens, shorten the prompt, or take a model with a longer context.",
    )


def pad(
    rows: Sequence[Sequence[int]], side: Literal["left", "right"], value: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as one tensor of token IDs and its mask, both (rows, longest row)."""
    import torch

    longest = max(len(row) for row in rows)
    ids = torch.full((len(rows), longest), value, dtype=torch.long)
    mask = torch.zeros((len(rows), longest), dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(longest - len(row), longest) if side == "left" else slice(0, len(row))
        ids[number, place] = torch.tensor(row, dtype=torch.long)
        mask[number, place] = 1
    return ids.to(device), mask.to(device)


def cut_answers(sequences: torch.Tensor, begin: int, ends: Collection[int]) -> list[Generated]:
    """Answers from what `generate` returned. begin: where they begin in each row. ends: tokens that end an answer."""
    return [_cut(row, ends) for row in sequences[:, begin:].tolist()]


def _cut(row: list[int], ends: Collection[int]) -> Generated:
    for place, token in enumerate(row):
        if token in ends:
            return Generated(tuple(row[:place]), ended=True)
    return Generated(tuple(row), ended=False)


def end_tokens(model: Any) -> frozenset[int]:
    """The tokens that end an answer of a model that generates."""
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = getattr(model.config.get_text_config(decoder=True), "eos_token_id", None)
    return frozenset(() if ends is None else [ends] if isinstance(ends, int) else ends)

"""The options that only local models have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec

from vlures.config.options import option

DtypeName = Literal["fp32", "bf16", "fp16"]
Quantisation = Literal["8bit", "4bit"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a local model is loaded and run."""

    device: str = option(
        "Where a local model computes: auto (a GPU if there is one), cpu, cuda, cuda:1, mps.", "auto", "Local models"
    )
    dtype: Literal["auto", "fp32", "bf16", "fp16"] = option(
        "The numbers that a local model computes with; auto: bf16 on a GPU that has it, else fp32.",
        "auto",
        "Local models",
    )
    quant: Quantisation | None = option(
        "Load a local model's weights in fewer bits (bitsandbytes).", None, "Local models"
    )
    rows: Annotated[int, msgspec.Meta(ge=1, le=4096)] | None = option(
        "Questions that a local model answers at a time; by default 64 on a GPU, 16 on a CPU.", None, "Local models"
    )
    trust_remote_code: bool = option(
        "Run the code that a local model's repository brings. Read it first.", False, "Local models"
    )

"""Where a model computes, and with which numbers."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from vlures.backends.local.options import DtypeName, Options
from vlures.backends.local.ranks import local_rank
from vlures.errors import UsageError

if TYPE_CHECKING:
    import torch


def find_device(own: Options) -> torch.device:
    """Raises UsageError for a device that this machine does not have."""
    import torch

    name = _best_device() if own.device == "auto" else own.device
    if name == "cuda":  # of several ranks each takes its own
        name = f"cuda:{local_rank()}"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        said = str(error).splitlines()[0]
        raise UsageError(f"--device {own.device} cannot be used here ({said}); take auto or cpu.") from error
    return device


@cache
def _best_device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"cuda:{local_rank() % torch.cuda.device_count()}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def find_dtype(own: Options) -> DtypeName:
    """The type that a model's numbers have: bf16 on a GPU that computes with it, else fp32."""
    import torch

    if own.dtype != "auto":
        return own.dtype
    device = find_device(own)
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"


def as_torch(dtype: DtypeName) -> torch.dtype:
    import torch

    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]

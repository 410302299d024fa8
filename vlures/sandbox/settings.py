"""How a sandbox behaves."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vlures.sandbox.faults.fault import Fault

RequestKind = Literal["chat", "responses", "batch", "generateContent", "batchGenerateContent", "gemini upload"]
RequestCheck = Callable[[RequestKind, object], str | None]
"""A check of a request's decoded body: why it is refused, or None."""


@dataclass(frozen=True)
class SandboxSettings:
    """How one sandbox behaves; by default it serves any key and any model, quickly and without faults."""

    host: str = "127.0.0.1"
    """Loopback only."""
    port: int = 0
    """0 takes any free port."""
    state_dir: Path | None = None
    """Folder for files, batches and the ledger. None: a temporary one, deleted when the sandbox ends."""
    batch_s: float = 2.0
    """Seconds from a batch's start to its end."""
    parallel_batches: int = 0
    """How many batches run at a time; the others stay `validating`. 0: all."""
    latency_s: float = 0.0
    """Total seconds that a live answer takes."""
    api_key: str | None = None
    """The only key accepted. None: any."""
    models: tuple[str, ...] = ()
    """The models that exist. Empty: all."""
    faults: tuple[Fault, ...] = ()
    """The faults active from the start."""
    keep_uploads: bool = False
    """Whether the content of an upload is kept after the end of its batch, instead of a digest."""
    seed: int = 0
    """Another seed gives other wordings and other random faults."""
    check_request: RequestCheck | None = None
    """An additional check of every request, live or in a batch; one that it objects to is refused with status 400."""
    queue_tokens: int | None = None
    """Limit on the estimated prompt tokens of a model's unfinished batches; a batch beyond it fails."""
    plain_lacks: tuple[str, ...] = ()
    """The request fields that the plain server (`/plain/v1`) refuses."""
    plain_reasoning: bool = False
    """Whether the plain server returns its reasoning."""

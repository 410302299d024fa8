"""What a sandbox can be told when it starts."""

from dataclasses import dataclass
from pathlib import Path

from vlures.sandbox.faults.kinds import Fault


@dataclass(frozen=True)
class SandboxSettings:
    """How one sandbox behaves; the defaults serve anyone with any key and any model, quickly and without faults.

    `state_dir` None means a temporary folder that goes when the sandbox ends. `batch_s` is the time in seconds from a
    batch's start to its end; `parallel_batches` 0 lets all run at once, otherwise the rest stay `validating`.
    `latency_s` is the whole time that a live answer takes. `queue_tokens` is the limit on the estimated prompt tokens
    of all unfinished batches of one model; a batch that passes it fails as it does at the provider. `plain_lacks` are
    the fields that the plain server (`/plain/v1`) refuses; `plain_reasoning` lets it tell its reasoning too.
    """

    host: str = "127.0.0.1"
    port: int = 0
    state_dir: Path | None = None
    batch_s: float = 2.0
    parallel_batches: int = 0
    latency_s: float = 0.0
    api_key: str | None = None
    models: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    seed: int = 0
    validate_specs: bool = False
    queue_tokens: int | None = None
    plain_lacks: tuple[str, ...] = ()
    plain_reasoning: bool = False

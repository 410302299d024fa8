"""A batch as the sandbox keeps it, and what its times and faults say of it at a given moment."""

from dataclasses import dataclass
from typing import Literal

from vlures.sandbox.faults.fault import Fault, parse_fault

Provider = Literal["openai", "gemini"]
Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
FINAL: frozenset[str] = frozenset(("failed", "completed", "expired", "cancelled"))

VALIDATING_SHARE = 0.1
"""The share of a batch's time after which it is validated."""
FINALIZING_SHARE = 0.9
"""The share of a batch's time after which its result files are written."""
PAUSE_SHARE = 0.5
"""The share of a batch's time after which the fault `paused` holds it."""


@dataclass(frozen=True)
class Usage:
    """The tokens of a batch's answers."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True)
class BatchErrorLine:
    """Why a batch failed validation."""

    code: str
    message: str
    line: int | None = None
    """Counted from 1."""
    param: str | None = None


@dataclass(frozen=True)
class Batch:
    """One batch: what was asked, the faults it was given at its creation, and how far it has come.

    Both providers' batches have the same life and the same statuses; Gemini shows them under other names. Every moment
    is in seconds since 1970, None if it has not come.
    """

    id: str
    created_at: float
    input_file_id: str
    endpoint: str
    provider: Provider = "openai"
    display_name: str = ""
    """Gemini only."""
    priority: int = 0
    """Gemini only."""
    deleted: bool = False
    """Gemini only: the batch is no longer shown, and still runs."""
    metadata: dict[str, str] | None = None
    """OpenAI only."""
    output_life_s: int | None = None
    """Seconds until the result files expire; None: the default."""
    faults: tuple[str, ...] = ()
    """The texts of the faults that struck its creation."""
    status: Status = "validating"
    model: str | None = None
    total: int = 0
    """Lines of the input file."""
    completed: int = 0
    failed: int = 0
    queued_tokens: int = 0
    """Estimated prompt tokens, if the sandbox limits them."""
    executed: bool = False
    """Whether its result files are written."""
    errors: tuple[BatchErrorLine, ...] = ()
    is_input_refused: bool = False
    """Whether it failed because of what is in its input file."""
    is_end_seen: bool = False
    """Whether a client that knows its id has seen how it ended."""
    output_file_id: str | None = None
    error_file_id: str | None = None
    usage: Usage = Usage()
    started_at: float | None = None
    in_progress_at: float | None = None
    finalizing_at: float | None = None
    completed_at: float | None = None
    failed_at: float | None = None
    expired_at: float | None = None
    cancelling_at: float | None = None
    cancelled_at: float | None = None

    @property
    def could_not_begin(self) -> bool:
        """Whether it failed through no fault of its input file: a full queue, a file that was not visible yet."""
        return self.status == "failed" and not self.is_input_refused

    def fault(self, kind: str) -> Fault | None:
        """The batch's fault of this kind, if it has one."""
        return next((fault for fault in map(parse_fault, self.faults) if fault.kind == kind), None)

    def due(self, share: float, batch_s: float) -> float:
        """The moment when this share of the batch's time has passed; the faults `queued` and `paused` delay it."""
        delay_s = self._seconds("queued") + (self._seconds("paused") if share > PAUSE_SHARE else 0.0)
        return (self.started_at or self.created_at) + delay_s + share * batch_s

    def is_queued(self, now: float) -> bool:
        """Whether the fault `queued` keeps the batch from starting."""
        return now < self.due(0.0, 0.0)

    def is_paused(self, now: float, batch_s: float) -> bool:
        """Whether the fault `paused` holds the batch."""
        return 0.0 <= now - self.due(PAUSE_SHARE, batch_s) < self._seconds("paused")

    def _seconds(self, kind: str) -> float:
        fault = self.fault(kind)
        return fault.number("seconds", 1.0) if fault else 0.0

    def is_listed(self, now: float) -> bool:
        """Whether lists show the batch; the fault `list_late` hides a new one."""
        fault = self.fault("list_late")
        return fault is None or now >= self.created_at + fault.number("seconds", 60.0)

    def new_state(self, now: float) -> str | None:
        """The state that the fault `new_state` shows instead of the batch's own."""
        fault = self.fault("new_state")
        shown = fault is not None and now < self.created_at + fault.number("seconds", 1.0)
        return fault.option("name", "reviewing") if fault is not None and shown else None

    def share_done(self, now: float, batch_s: float) -> float:
        """The share of its lines that a running batch has answered, by the clock."""
        if self.in_progress_at is None or self.started_at is None:
            return 0.0
        paused_s = min(self._seconds("paused"), max(0.0, now - self.due(PAUSE_SHARE, batch_s)))
        length = (FINALIZING_SHARE - VALIDATING_SHARE) * batch_s
        worked_s = now - self.due(VALIDATING_SHARE, batch_s) - paused_s
        return min(1.0, max(0.0, worked_s / length)) if length > 0 else 1.0

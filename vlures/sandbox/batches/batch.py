"""A batch as the sandbox keeps it, and the folder of batches."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from vlures.sandbox.faults.kinds import Fault, parse_fault

Provider = Literal["openai", "gemini"]
Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
FINAL: frozenset[str] = frozenset(("failed", "completed", "expired", "cancelled"))
WINDOW_S = 24 * 3600

VALIDATING_SHARE = 0.1
"""The share of a batch's time after which it has been validated."""
FINALIZING_SHARE = 0.9
"""The share of a batch's time after which its result files are made."""
PAUSE_SHARE = 0.5
"""The share of a batch's time after which the fault `paused` holds it."""


@dataclass(frozen=True)
class Usage:
    """The tokens of a batch's answers."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_tokens: int = 0

    def document(self) -> dict[str, object]:
        """The usage as a batch object shows it."""
        return {
            "input_tokens": self.input_tokens,
            "input_tokens_details": {"cached_tokens": self.cached_tokens},
            "output_tokens": self.output_tokens,
            "output_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": self.input_tokens + self.output_tokens,
        }


@dataclass(frozen=True)
class BatchErrorLine:
    """Why a batch failed validation; `line` counts from one."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


@dataclass(frozen=True)
class Batch:
    """One batch: what was asked, which faults it got at its creation, and how far it has come.

    Both providers' batches have the same life and the same statuses; Gemini shows them under other names. `deleted` is
    Gemini's: the batch is shown no more, and runs on.
    """

    id: str
    created_at: float
    input_file_id: str
    endpoint: str
    provider: Provider = "openai"
    display_name: str = ""
    priority: int = 0
    deleted: bool = False
    metadata: dict[str, str] | None = None
    output_life_s: int | None = None
    faults: tuple[str, ...] = ()
    status: Status = "validating"
    model: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    queued_tokens: int = 0
    executed: bool = False
    errors: tuple[BatchErrorLine, ...] = ()
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

    def fault(self, kind: str) -> Fault | None:
        """The fault of this kind that the batch was given at its creation."""
        return next((fault for fault in map(parse_fault, self.faults) if fault.kind == kind), None)

    def due(self, share: float, batch_s: float) -> float:
        """The moment at which this share of the batch's time is over; the faults `queued` and `paused` put it off."""
        put_off = self._seconds("queued") + (self._seconds("paused") if share > PAUSE_SHARE else 0.0)
        return (self.started_at or self.created_at) + put_off + share * batch_s

    def is_queued(self, now: float) -> bool:
        """Whether the fault `queued` keeps the batch from beginning."""
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
        """The state that the fault `new_state` shows in the place of the batch's own."""
        fault = self.fault("new_state")
        shown = fault is not None and now < self.created_at + fault.number("seconds", 1.0)
        return fault.option("name", "reviewing") if fault is not None and shown else None

    def document(
        self, batch_s: float, *, shows_results: bool = True, shows_all_counts: bool = True
    ) -> dict[str, object]:
        """The batch object as OpenAI shows it; while it runs, the answered lines are counted by the clock."""
        shows_results = shows_results and self.status in FINAL
        missing_id = "" if self.fault("empty_ids") and self.status in FINAL else None
        errors = {"object": "list", "data": [_error_document(error) for error in self.errors]} if self.errors else None
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": self.model,
            "errors": errors,
            "input_file_id": self.input_file_id,
            "completion_window": "24h",
            "status": self.new_state(time.time()) or self.status,
            "output_file_id": self.output_file_id if shows_results and self.output_file_id else missing_id,
            "error_file_id": self.error_file_id if shows_results and self.error_file_id else missing_id,
            "created_at": int(self.created_at),
            "in_progress_at": _whole(self.in_progress_at),
            "expires_at": int(self.created_at) + WINDOW_S,
            "finalizing_at": _whole(self.finalizing_at),
            "completed_at": _whole(self.completed_at),
            "failed_at": _whole(self.failed_at),
            "expired_at": _whole(self.expired_at),
            "cancelling_at": _whole(self.cancelling_at),
            "cancelled_at": _whole(self.cancelled_at),
            "request_counts": self._counts(batch_s, shows_all_counts=shows_all_counts),
            "metadata": self.metadata,
            "usage": self.usage.document(),
        }

    def _counts(self, batch_s: float, *, shows_all_counts: bool) -> dict[str, int]:
        if self.fault("uncounted"):
            return {"total": 0, "completed": 0, "failed": 0}
        completed = self.completed if shows_all_counts else self.completed // 2
        if self.status == "in_progress" and self.started_at is not None:
            completed = int(self.total * self.share_done(time.time(), batch_s))
        return {"total": self.total, "completed": completed, "failed": self.failed}

    def share_done(self, now: float, batch_s: float) -> float:
        """The share of its lines that a running batch has answered, by the clock."""
        if self.in_progress_at is None or self.started_at is None:
            return 0.0
        paused_s = min(self._seconds("paused"), max(0.0, now - self.due(PAUSE_SHARE, batch_s)))
        length = (FINALIZING_SHARE - VALIDATING_SHARE) * batch_s
        worked_s = now - self.due(VALIDATING_SHARE, batch_s) - paused_s
        return min(1.0, max(0.0, worked_s / length)) if length > 0 else 1.0


def _whole(moment: float | None) -> int | None:
    return None if moment is None else int(moment)


def _error_document(error: BatchErrorLine) -> dict[str, object]:
    return {"code": error.code, "line": error.line, "message": error.message, "param": error.param}


class BatchStore:
    """The folder of batches; every change is on disk when `save` returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for torn in folder.glob("*.part"):
            torn.unlink()
        found = (msgspec.json.decode(path.read_bytes(), type=Batch) for path in folder.glob("*.json"))
        self._looks: Counter[str] = Counter()
        self._batches = {batch.id: batch for batch in sorted(found, key=lambda batch: batch.created_at)}

    def save(self, batch: Batch) -> Batch:
        """Keep this state of a batch."""
        part = self._folder / f"{batch.id}.part"
        part.write_bytes(msgspec.json.encode(batch))
        part.replace(self._folder / f"{batch.id}.json")
        self._batches[batch.id] = batch
        return batch

    def find(self, batch_id: str) -> Batch | None:
        """The batch as it is now, or None if there is no such batch."""
        return self._batches.get(batch_id)

    def visibility(self, batch: Batch) -> dict[str, bool]:
        """Whether this look at a batch is told of its results, and of all its counts; the faults `results_late` and `counts_late`
        hide them from the first looks at one that has ended."""
        if batch.status in FINAL:
            self._looks[batch.id] += 1
        looks = self._looks[batch.id]

        def tells(kind: str) -> bool:
            late = batch.fault(kind)
            return batch.status not in FINAL or late is None or looks > late.number("looks", 1.0)

        return {"shows_results": tells("results_late"), "shows_all_counts": tells("counts_late")}

    def newest_first(self, provider: Provider | None = None) -> list[Batch]:
        """Every batch, the newest first; only one provider's where it is named."""
        return [batch for batch in reversed(self._batches.values()) if provider in (None, batch.provider)]

    def unfinished(self) -> list[Batch]:
        """The batches that still have to run, the oldest first."""
        return [batch for batch in self._batches.values() if batch.status not in FINAL]

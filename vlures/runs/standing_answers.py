"""Whether a stored answer stands: or is due, to another question than today's, or to be asked again. Decisions only, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from vlures.records import FINAL_STATUSES, AskedModel, Request
from vlures.runs.allowances import is_answer_to
from vlures.store.cell_state import Entry
from vlures.store.due import is_due


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to become of one request."""

    state: Literal["due", "answered", "in flight"]
    asked_again: str | None = None
    """Why a request that has its answer is due all the same."""
    is_stale: bool = False
    """The stored answer is to another question than today's, and it was not said what to do about it."""
    changed: bool = False
    """What is in flight is another question than today's."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user, and the folder, say about stored answers."""

    asked: AskedModel
    redo: Collection[str]
    stale: Literal["stop", "keep", "redo"]
    allowances: Collection[int]
    """Smaller allowances of output tokens under which a whole answer is one to today's question."""
    redo_from: Mapping[str, int]
    """Checkpoint file → its size in bytes when a redo that goes on began; empty if none does."""
    in_flight: Mapping[str, str]
    """Key → digest of what a batch holds that was created, or may have been."""

    def judge(self, request: Request, entry: Entry | None, checkpoint_file: str) -> Verdict:
        """entry: of the stored response, which stands in checkpoint_file."""
        changed = is_stale(entry, request.digest)
        again = self._find_redo(entry, checkpoint_file, changed=changed)
        stale = False
        if entry and changed and again is None and not self._is_whole(request, entry):
            stale = True
            again = "stale" if self.stale == "redo" else None
        if request.key in self.in_flight:
            other = self.in_flight[request.key] != request.digest
            return Verdict("in flight", again, stale, changed=other)
        return Verdict("answered" if not is_due(entry) and not again else "due", again, stale)

    def _find_redo(self, entry: Entry | None, checkpoint_file: str, *, changed: bool) -> str | None:
        """Why --redo asks this again, unless it has done so already: a redo that was interrupted goes on."""
        if entry is None or is_due(entry) or (word := self._find_word(entry)) is None:
            return None
        # A cell that had nothing when the redo began has been asked since.
        size_then = self.redo_from.get(checkpoint_file, 0) if self.redo_from else None
        return f"redo {word}" if size_then is None or entry.offset < size_then or changed else None

    def _find_word(self, entry: Entry) -> str | None:
        """The word of --redo that the answer comes under."""
        if entry.imported and "imported" in self.redo:
            return "imported"
        return entry.status if entry.status in self.redo else None

    def _is_whole(self, request: Request, entry: Entry) -> bool:
        """Whether an answer that was not cut is one to the request, under a smaller allowance of tokens."""
        return entry.status != "truncated" and is_answer_to(request, self.asked.provider, entry.digest, self.allowances)


def is_stale(entry: Entry | None, digest: str) -> bool:
    """Whether the stored answer is known to be to another question than today's."""
    if entry is None or entry.imported:
        return False
    return entry.status in FINAL_STATUSES and not entry.due and entry.digest != digest

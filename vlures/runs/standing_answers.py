"""Whether a stored answer stands, is due, is stale, or is asked again. Decisions only, no I/O."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from vlures.records import FINAL_STATUSES, AskedModel, Request
from vlures.runs.allowances import is_answer_to
from vlures.store.cell_state import Entry
from vlures.store.due import is_due


@dataclass(frozen=True, slots=True)
class RequestState:
    """What happens to one request."""

    state: Literal["due", "answered", "in flight"]
    asked_again: str | None = None
    """Why a request that has an answer is due again."""
    is_stale: bool = False
    """The stored answer is to another question than today's, and no redo covers it."""
    changed: bool = False
    """The request in flight asks another question than today's."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the user and the folder say about stored answers."""

    asked: AskedModel
    redo: Collection[str]
    stale: Literal["stop", "keep", "redo"]
    allowances: Collection[int]
    """Smaller output token limits under which a whole answer still answers today's question."""
    redo_from: Mapping[str, int]
    """Checkpoint file → its size in bytes when an unfinished redo began; empty if there is none."""
    in_flight: Mapping[str, str]
    """Key → digest of the requests in batches that were, or may have been, created."""

    def decide(self, request: Request, entry: Entry | None, checkpoint_file: str) -> RequestState:
        """entry: of the stored response, which is in checkpoint_file."""
        changed = is_stale(entry, request.digest)
        again = self._find_redo(entry, checkpoint_file, changed=changed)
        stale = False
        if entry and changed and again is None and not self._is_whole(request, entry):
            stale = True
            again = "stale" if self.stale == "redo" else None
        if request.key in self.in_flight:
            other = self.in_flight[request.key] != request.digest
            return RequestState("in flight", again, stale, changed=other)
        return RequestState("answered" if not is_due(entry) and not again else "due", again, stale)

    def _find_redo(self, entry: Entry | None, checkpoint_file: str, *, changed: bool) -> str | None:
        """Why --redo asks this again, unless it has done so already: an interrupted redo continues."""
        if entry is None or is_due(entry) or (word := self._find_word(entry)) is None:
            return None
        # A cell that was empty when the redo began has been asked since.
        size_then = self.redo_from.get(checkpoint_file, 0) if self.redo_from else None
        return f"redo {word}" if size_then is None or entry.offset < size_then or changed else None

    def _find_word(self, entry: Entry) -> str | None:
        """The word of --redo that covers the answer."""
        if entry.imported and "imported" in self.redo:
            return "imported"
        return entry.status if entry.status in self.redo else None

    def _is_whole(self, request: Request, entry: Entry) -> bool:
        """Whether an uncut answer still answers the request, though under a smaller token limit."""
        return entry.status != "truncated" and is_answer_to(request, self.asked.provider, entry.digest, self.allowances)


def is_stale(entry: Entry | None, digest: str) -> bool:
    """Whether the stored answer is known to answer another question than today's."""
    if entry is None or entry.imported:
        return False
    return entry.status in FINAL_STATUSES and not entry.due and entry.digest != digest

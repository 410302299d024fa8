"""The ledger: a line for each answer that a real provider would charge for. Append-only, on disk before any reply."""

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from vlures.sandbox.answers.compose import Answer
from vlures.sandbox.answers.questions import Question

Provider = Literal["openai", "gemini", "plain"]


class Entry(msgspec.Struct, frozen=True):
    """One charged answer; the true usage, even where a fault hides or falsifies it in the reply."""

    mode: Literal["batch", "live"]
    provider: Provider
    id: str | None
    """The custom id of the batch's line; None if live."""
    digest: str
    """Of the question (`Question.digest`)."""
    batch: str | None
    """The batch's id; None if live."""
    model: str
    time: float
    """Seconds since 1970."""
    images: tuple[str, ...] = ()
    """SHA-256 of each image's bytes."""
    said: str = ""
    """SHA-256 of the answer's text."""
    input_tokens: int = 0
    """Including the cached ones."""
    output_tokens: int = 0
    """Including thinking."""
    cached_tokens: int = 0


def make_entry(
    provider: Provider,
    question: Question,
    answer: Answer,
    image_tokens: int,
    cached_tokens: int,
    *,
    line_id: str | None = None,
    batch_id: str | None = None,
) -> Entry:
    """The entry of an answer given now: to a line of a batch, or live."""
    return Entry(
        "batch" if batch_id else "live",
        provider,
        line_id,
        question.digest(),
        batch_id,
        question.model,
        time.time(),
        question.image_digests,
        hashlib.sha256(answer.said.encode("utf-8", "surrogatepass")).hexdigest(),
        answer.text_tokens + image_tokens,
        answer.output_tokens + answer.thought_tokens,
        cached_tokens,
    )


class Ledger:
    """The file of entries, with the counts that the statistics need; survives a kill of the sandbox."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = 0
        self.ids: Counter[str] = Counter()
        self.digests: Counter[str] = Counter()
        self._recorded: set[tuple[str, str | None]] = set()
        self._lock = threading.Lock()
        self._load()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def _load(self) -> None:
        if not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._count(msgspec.json.decode(line, type=Entry))
                whole += len(line)
        os.truncate(self.path, whole)  # a kill may have cut the last line; its answer was never sent

    def _count(self, entry: Entry) -> None:
        self.entries += 1
        self.digests[entry.digest] += 1
        if entry.id is not None:
            self.ids[entry.id] += 1
        if entry.batch is not None:
            self._recorded.add((entry.batch, entry.id))

    def record(self, entries: Iterable[Entry]) -> None:
        """Write entries; a batch line that an earlier process recorded is not recorded again."""
        with self._lock:
            new = [e for e in entries if e.batch is None or (e.batch, e.id) not in self._recorded]
            if new:
                _write_all(self._descriptor, b"".join(msgspec.json.encode(entry) + b"\n" for entry in new))
            for entry in new:
                self._count(entry)

    def duplicates(self) -> tuple[int, int]:
        """How many custom ids, and how many digests, the ledger has more than once."""
        with self._lock:
            return sum(n > 1 for n in self.ids.values()), sum(n > 1 for n in self.digests.values())

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

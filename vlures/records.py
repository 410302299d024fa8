"""What every room speaks of: Cell, Variant, Request, Response, Job. Frozen records, no I/O, no benchmark's own words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NewType, Protocol, get_args

Status = Literal["ok", "truncated", "refused", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
FINAL_STATUSES: frozenset[str] = frozenset({"ok", "truncated", "refused"})
"""A request with such a response is not asked again unless the user says so; `failed` is due again."""


Cell = NewType("Cell", str)
"""The part of a benchmark that has one checkpoint file and one results file. Only its benchmark knows what it means."""


class Variant(Protocol):
    """The way a benchmark is asked, and how its cells are named in files and messages. Known without the benchmark's data."""

    @property
    def label(self) -> str:
        """The end of its folders' names: `1shot_rationales`. Letters, digits and underscores."""

    def checkpoint_file(self, cell: Cell) -> str:
        """The name of the cell's checkpoint: `checkpoint_….jsonl`."""

    def cell_of(self, checkpoint_file: str) -> Cell | None:
        """The cell whose checkpoint has this name; None for a file that is no checkpoint of this variant."""

    def results_file(self, cell: Cell, run_name: str) -> str:
        """The path of the cell's results file below the results folder."""

    def is_cell(self, text: str) -> bool:
        """Whether the benchmark can have this cell."""

    def is_sample_id(self, text: str) -> bool:
        """Whether a sample can have this ID."""

    def title(self, cell: Cell) -> str:
        """The cell's name in tables and messages."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image file that was read once. size in bytes, width and height in pixels, digest the SHA-256 of its bytes."""

    path: Path
    mime_type: str
    size_bytes: int
    width: int
    height: int
    digest: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is said to the model about one sample. The user's turn is kept in pieces, so that a sample's
    article is one string in memory however many requests hold it."""

    system: str
    """Empty: none is sent."""
    pieces: tuple[str, ...]

    @property
    def user(self) -> str:
        return "".join(self.pieces)


Parameters = Mapping[str, Any]
"""Generation parameters the user has set, by our own names; one that was not set is not in it."""


@dataclass(frozen=True, slots=True)
class AskedModel:
    """Who is asked, and how."""

    provider: str
    name: str
    parameters: Parameters


def is_same_model(asked: str, answered: str) -> bool:
    """Whether a reply's name of the model is the one asked for: a dated snapshot of it (`gpt-6-luna-2026-09-01`) and a
    server's own path to it are."""
    name = answered.rpartition("/")[2]
    return name == asked.rpartition("/")[2] or re.fullmatch(rf"{re.escape(asked)}[-@.:]?[\d.-]+", name) is not None


@dataclass(frozen=True, slots=True)
class Request:
    """Everything the model will see for one sample in one cell. It holds the image's path, not its bytes."""

    key: str
    cell: Cell
    sample_id: str
    model: str
    parameters: Parameters
    prompt: Prompt
    image: Image
    digest: str
    language: str | None = None
    """Of prompt and answer, as in BCP 47: a hint for estimates of tokens, never sent."""


def digest_request(provider: str, model: str, parameters: Parameters, prompt: Prompt, image: Image) -> str:
    """Digest of all that decides an answer: 32 hexadecimal digits of a SHA-256."""
    sha = hashlib.sha256()
    sha.update(repr((provider, model, sorted(parameters.items()), prompt.system, image.digest)).encode())
    for piece in prompt.pieces:
        sha.update(piece.encode())
    return sha.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None where it did not say. Thinking is part of the output; what was read from
    the provider's cache, or written into it, of the input."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    thinking_tokens: int | None = None
    cache_write_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. code is short and stable; transient means that asking again may well succeed."""

    code: str
    message: str
    transient: bool = False


MOST_COUNTED = 2**53
"""Tokens, or anything else that is counted: beyond it a number in JSON is not exact, and is taken for none at all
(https://datatracker.ietf.org/doc/html/rfc8259#section-6)."""

Note = Literal["think tags", "unknown end"]
"""think tags: thinking stood in the text, and was taken out of it. unknown end: nothing is known of the finish reason, and the text
is kept as it came."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A request, by its key, that a backend leaves to another one."""

    key: str


@dataclass(frozen=True, slots=True)
class Response:
    """What came of one request. text is there only if the model spoke (status `ok` or `truncated`, or a refusal in words).

    reasoning: what the model gave of its reasoning, or a summary, also where that is all it gave. notes: what had to be decided to
    read the answer. model: the one that answered. latency_s: of the call
    that was answered, in seconds. imported: the file of the original scripts that it was taken over from; then nobody
    knows the digest of what was asked. nano_usd: what it is taken to have cost, in billionths of a dollar, by the price of its day; None
    where no price was known.
    """

    key: str
    status: Status
    digest: str = ""
    text: str | None = None
    reasoning: str | None = None
    notes: tuple[Note, ...] | None = None
    finish_reason: str | None = None
    model: str | None = None
    usage: Usage | None = None
    error: Failure | None = None
    response_id: str | None = None
    job: str | None = None
    attempts: int = 1
    latency_s: float | None = None
    time: str | None = None
    imported: str | None = None
    nano_usd: int | None = None


JobState = Literal["intended", "uploaded", "creating", "created", "collected", "dropped"]
"""intended, uploaded: no batch can exist yet. creating: one may exist, nobody knows. created: it does.
collected: its answers are stored. dropped: it is certain that no batch came of it."""

OPEN_JOB_STATES: frozenset[str] = frozenset({"intended", "uploaded", "creating", "created"})


@dataclass(frozen=True, slots=True)
class BatchSnapshot:
    """A batch as it was last seen at the provider. Times are ISO 8601, UTC.

    since: when this status was first seen. lost: the provider did not know it. results_until: when its result files expire.
    """

    status: str
    time: str
    since: str
    done: int = 0
    total: int = 0
    lost: bool = False
    results_until: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One batch at a provider, from the intent to create it until its answers are stored.

    tag: ours, in the batch's metadata. requests: key → digest of what was asked. time: of the intent, ISO 8601, UTC;
    changed: of the last event. weight: what it takes of the provider's queue. trial: it is the one line that goes first.
    deadline: when the provider gives it up. input_until: when its input file expires.
    account: of the provider under which it is created, in words that hold no key; only that one's lists show it.
    doubted: when the reply to its creation was lost first; there may be a second batch of its tag.
    """

    tag: str
    provider: str
    state: JobState
    requests: Mapping[str, str]
    time: str
    file_id: str | None = None
    batch_id: str | None = None
    status: str | None = None
    note: str | None = None
    changed: str | None = None
    weight: int = 0
    trial: bool = False
    deadline: str | None = None
    input_until: str | None = None
    account: str | None = None
    doubted: str | None = None
    seen: BatchSnapshot | None = None

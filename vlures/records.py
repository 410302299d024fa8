"""The records that every room uses: Cell, Variant, Request, Response, Job. Frozen, no I/O, no benchmark's own words."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NewType, Protocol, get_args

Status = Literal["ok", "truncated", "refused", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
FINAL_STATUSES: frozenset[str] = frozenset({"ok", "truncated", "refused"})
"""A request with such a response is not sent again unless the user asks for it; `failed` is due again."""


Cell = NewType("Cell", str)
"""The part of a benchmark that has one checkpoint file and one results file. Only its benchmark knows what it means."""


class Variant(Protocol):
    """The way a benchmark is asked, and how its cells are named in files and messages. Needs no data."""

    @property
    def label(self) -> str:
        """The end of its folders' names: `1shot_rationales`. Letters, digits and underscores."""

    def checkpoint_file(self, cell: Cell) -> str:
        """The name of the cell's checkpoint: `checkpoint_….jsonl`."""

    def cell_of(self, checkpoint_file: str) -> Cell | None:
        """The cell whose checkpoint has this name; None for a file that is not a checkpoint of this variant."""

    def results_file(self, cell: Cell, run_name: str) -> str:
        """The path of the cell's results file below the results folder."""

    def is_cell(self, text: str) -> bool:
        """Whether the benchmark can have this cell."""

    def is_sample_id(self, text: str) -> bool:
        """Whether a sample can have this ID."""

    def title(self, cell: Cell) -> str:
        """The cell's name in tables and messages."""


ImageTrait = Literal["turned", "cmyk", "16 bit", "animated", "tiny"]
"""turned: its EXIF data say that it is to be turned or mirrored. tiny: a side has one pixel."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image file that was read once."""

    path: Path
    mime_type: str
    size_bytes: int
    width: int
    """In pixels."""
    height: int
    """In pixels."""
    digest: str
    """SHA-256 of its bytes."""
    traits: tuple[ImageTrait, ...] = ()
    """What may make a model see it otherwise than its owner does."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """The texts for the model about one sample."""

    system: str
    """Empty: none is sent."""
    pieces: tuple[str, ...]
    """Of the user's turn. Kept apart, so that requests about a sample share its article's string in memory."""

    @property
    def user(self) -> str:
        return "".join(self.pieces)


Parameters = Mapping[str, Any]
"""Generation parameters that the user has set, by our own names."""


Schema = Mapping[str, Any]
"""The JSON Schema of an answer, in what all providers understand: objects whose properties are all required, strings,
integers, arrays, enums of strings. Models write the properties in the schema's order."""


@dataclass(frozen=True, slots=True)
class AskedModel:
    """Who is asked, and how."""

    provider: str
    name: str
    parameters: Parameters


def is_same_model(asked: str, answered: str) -> bool:
    """Whether a reply names the model that was asked: so does a dated snapshot of it (`gpt-6-luna-2026-09-01`), or a
    server's own path to it."""
    name = answered.rpartition("/")[2]
    return name == asked.rpartition("/")[2] or re.fullmatch(rf"{re.escape(asked)}[-@.:]?[\d.-]+", name) is not None


@dataclass(frozen=True, slots=True)
class Request:
    """Everything the model will see for one sample in one cell. Holds the image's path, not its bytes."""

    key: str
    cell: Cell
    sample_id: str
    model: str
    parameters: Parameters
    prompt: Prompt
    image: Image | None
    """None: the model is shown none."""
    digest: str
    language: str | None = None
    """Of prompt and answer, as a BCP 47 tag: a hint for token estimates, never sent."""
    schema: Schema | None = None
    """The answer is to be JSON of this form."""


def write_schema(schema: Schema) -> str:
    """A schema as JSON, in its own order."""
    return json.dumps(schema, ensure_ascii=False)


def digest_request(
    provider: str,
    model: str,
    parameters: Parameters,
    prompt: Prompt,
    image: Image | None,
    schema: Schema | None = None,
) -> str:
    """Digest of everything that determines an answer: 32 hexadecimal digits of a SHA-256. A schema enters it only where
    there is one, so that requests without one keep the digests that earlier versions stored."""
    sha = hashlib.sha256()
    what = (provider, model, sorted(parameters.items()), prompt.system, image and image.digest)
    sha.update(repr(what if schema is None else (*what, write_schema(schema))).encode())
    for piece in prompt.pieces:
        sha.update(piece.encode())
    return sha.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None where it did not say."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    """Part of the input, read from the provider's cache."""
    thinking_tokens: int | None = None
    """Part of the output."""
    cache_write_tokens: int | None = None
    """Part of the input, written into the provider's cache."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer."""

    code: str
    """Short and stable."""
    message: str
    transient: bool = False
    """Asking again may succeed."""


MOST_COUNTED = 2**53
"""Tokens, or any other count: a larger number in JSON is not exact, and is treated as missing
(https://datatracker.ietf.org/doc/html/rfc8259#section-6)."""

Note = Literal["think tags", "unknown end"]
"""think tags: thinking was removed from the text. unknown end: the finish reason is unknown; the text is unchanged."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A request, by its key, that a backend leaves to another backend."""

    key: str


@dataclass(frozen=True, slots=True)
class Response:
    """The outcome of one request."""

    key: str
    status: Status
    digest: str = ""
    """Of the request (digest_request)."""
    text: str | None = None
    """Only if the model spoke: status `ok` or `truncated`, or a refusal in words."""
    reasoning: str | None = None
    """The model's reasoning, or a summary of it, as far as it was given."""
    notes: tuple[Note, ...] | None = None
    """What had to be decided to read the answer."""
    finish_reason: str | None = None
    model: str | None = None
    """The one that answered."""
    usage: Usage | None = None
    error: Failure | None = None
    response_id: str | None = None
    job: str | None = None
    """The tag of its batch; None if it was asked live."""
    attempts: int = 1
    latency_s: float | None = None
    """Of the call that was answered, in seconds."""
    time: str | None = None
    """When it was stored, ISO 8601, UTC."""
    imported: str | None = None
    """The file of the original scripts that it was taken from; its request's digest is unknown then."""
    nano_usd: int | None = None
    """Its presumed cost in billionths of a dollar, by the price of its day; None where no price was known."""


JobState = Literal["intended", "uploaded", "creating", "created", "collected", "dropped"]
"""intended, uploaded: no batch can exist yet. creating: one may exist. created: it does.
collected: its answers are stored. dropped: it certainly has no batch."""

OPEN_JOB_STATES: frozenset[str] = frozenset({"intended", "uploaded", "creating", "created"})


@dataclass(frozen=True, slots=True)
class BatchSnapshot:
    """A batch as it was last seen at the provider. Times are ISO 8601, UTC."""

    status: str
    time: str
    since: str
    """When this status was first seen."""
    done: int = 0
    total: int = 0
    lost: bool = False
    """The provider did not know it."""
    results_until: str | None = None
    """When its result files expire."""


@dataclass(frozen=True, slots=True)
class Job:
    """One batch at a provider, from the intent to create it until its answers are stored. Times are ISO 8601, UTC."""

    tag: str
    """Our own name for it, in the batch's metadata."""
    provider: str
    state: JobState
    requests: Mapping[str, str]
    """Key → digest of each request."""
    time: str
    """Of the intent."""
    file_id: str | None = None
    batch_id: str | None = None
    status: str | None = None
    note: str | None = None
    changed: str | None = None
    """When its last event was recorded."""
    weight: int = 0
    """How much of the provider's queue it takes."""
    trial: bool = False
    """It is the single line that goes first."""
    deadline: str | None = None
    """When the provider gives it up."""
    input_until: str | None = None
    """When its input file expires."""
    account: str | None = None
    """The provider's account that creates it, described without its key; only that account's lists show the batch."""
    doubted: str | None = None
    """When the reply to its creation was first lost; a second batch with its tag may exist."""
    seen: BatchSnapshot | None = None

"""The words of the project as frozen dataclasses. No I/O.

Sample, Task, Language, Setting, Cell, Request, Response and Job mean what the README's table says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

Status = Literal["ok", "truncated", "refused", "failed"]
STATUSES: tuple[Status, ...] = get_args(Status)
FINAL_STATUSES: frozenset[str] = frozenset({"ok", "truncated", "refused"})
"""A request with such a response is not asked again unless the user says so; `failed` is due again."""


@dataclass(frozen=True, slots=True)
class Task:
    number: int
    code: str
    name: str
    needs_text: bool


TASKS: dict[int, Task] = {
    task.number: task
    for task in (
        Task(1, "OR", "object recognition", needs_text=False),
        Task(2, "SU", "scene understanding", needs_text=False),
        Task(3, "RU", "relationship understanding", needs_text=False),
        Task(4, "SS", "semantic segmentation", needs_text=False),
        Task(5, "IC", "image captioning", needs_text=False),
        Task(6, "ITM", "image-text matching", needs_text=True),
        Task(7, "U", "unrelatedness", needs_text=True),
        Task(8, "VQA", "visual question answering", needs_text=True),
    )
}


@dataclass(frozen=True, slots=True)
class Language:
    code: str
    name: str


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language("En", "English"),
        Language("Jp", "Japanese"),
        Language("Sw", "Swahili"),
        Language("Ur", "Urdu"),
    )
}


def find_language(word: str) -> Language | None:
    """The language with this code or English name, in any case; None if there is none."""
    for language in LANGUAGES.values():
        if word.lower() in (language.code.lower(), language.name.lower()):
            return language
    return None


@dataclass(frozen=True, slots=True)
class Setting:
    """How a prompt is built: shots × rationales."""

    shots: Literal[0, 1] = 1
    rationales: bool = True

    @property
    def label(self) -> str:
        """As folders and prompt packs write it: `1shot_rationales`."""
        return f"{self.shots}shot_{'rationales' if self.rationales else 'norationales'}"

    @property
    def key(self) -> str:
        """As request keys write it: `1shot-rationales`."""
        return self.label.replace("_", "-")


SETTINGS: tuple[Setting, ...] = tuple(Setting(shots, rationales) for shots in (0, 1) for rationales in (False, True))


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """(language, task) in one setting: one checkpoint file, one results file."""

    language: str
    task: int

    def __str__(self) -> str:
        return f"{self.language} task {self.task}"


def request_key(cell: Cell, setting: Setting, sample_id: int) -> str:
    """The stable name of a request, also the provider's custom id: `Sw-t3-1shot-rationales-421`."""
    return f"{cell.language}-t{cell.task}-{setting.key}-{sample_id}"


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
class Sample:
    """One image with its numeric ID, and its article text where there is one. text_path: the article's file, where it is
    a file of its own."""

    id: int
    image: Image
    text: str | None
    text_path: Path | None = None


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is said to the model about one sample. The user's turn is kept in pieces, so that a sample's
    article is one string in memory however many requests hold it."""

    system: str
    pieces: tuple[str, ...]

    @property
    def user(self) -> str:
        return "".join(self.pieces)


Parameters = Mapping[str, Any]
"""Generation parameters the user has set, by our own names; one that was not set is not in it."""


@dataclass(frozen=True, slots=True)
class Request:
    """Everything the model will see for one sample in one cell. It holds the image's path, not its bytes."""

    key: str
    cell: Cell
    sample_id: int
    model: str
    parameters: Parameters
    prompt: Prompt
    image: Image
    digest: str


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
class Sighting:
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
    seen: Sighting | None = None


COLUMN_ROLES = ("file", "text", "language", "id")
"""What the columns of a dataset's table may be."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about a dataset that its owner should know. An error keeps its files out; a note does not.

    times: how many such it stands for.
    """

    severity: Literal["error", "note"]
    files: tuple[str, ...]
    reason: str
    times: int = 1


@dataclass(frozen=True, slots=True)
class Dataset:
    """A folder's samples by ascending ID, and all that is wrong with it.

    layout: how it was found to be laid out, in words. language: the code, where the samples are one language's own. selection:
    which part of it was read, in words; empty for all. fetched: where `vlures fetch` has it from.
    """

    folder: Path
    samples: tuple[Sample, ...]
    problems: tuple[Problem, ...] = field(default=())
    layout: str = ""
    language: str | None = None
    selection: str = ""
    fetched: Mapping[str, str | None] | None = None

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

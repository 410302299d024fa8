"""What a line of a checkpoint, of jobs.jsonl, or a small file of a run says; and what is wrong with one that cannot be believed.

A million lines are read at every start, so a sound line is decoded straight into its Struct. Only one that does not fit is
looked at closely: either nothing but a count of tokens or seconds makes no sense, which then counts as missing, or the run stops.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import msgspec

from vlures.errors import VluresError
from vlures.files.reading import LARGEST_JSON_BYTES, UnusableFile, parse_json, read_file
from vlures.records import MOST_COUNTED, JobState, Note, Status

LONGEST_LINE_BYTES = 500_000_000
"""Of a checkpoint. A batch of 50,000 requests takes 4 MB, an answer hardly ever 1 MB."""
LATER_VERSION = "it was written by a later version of vlures"
UPGRADE = "Upgrade vlures, then run again."
MEND = "Mend or remove that line, then run again."

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_COUNTED)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=MOST_COUNTED)]


# What there is a million of is a Struct without garbage collection: made in a fraction of a dataclass's time.


class StoredUsage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Usage, as a line has it."""

    input_tokens: _Count | None = None
    output_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    thinking_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None


class StoredFailure(msgspec.Struct, frozen=True, gc=False):
    """Failure, as a line has it."""

    code: str
    message: str
    transient: bool = False


class StoredLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Response, as a line has it, or the wish to ask again (`due`). Every field is there, so that none is read unseen, in the order
    in which it is written."""

    key: str
    status: Status | Literal["due"]
    digest: str = msgspec.field(default_factory=str)  # written even when empty
    text: str | None = None
    reasoning: str | None = None
    notes: tuple[Note, ...] | None = None
    finish_reason: str | None = None
    model: str | None = None
    usage: StoredUsage | None = None
    error: StoredFailure | None = None
    response_id: str | None = None
    job: str | None = None
    attempts: _Count | None = None
    latency_s: _Seconds | None = None
    time: str | None = None
    imported: str | None = None
    nano_usd: _Count | None = None


class _KnownLine(StoredLine, frozen=True, gc=False, forbid_unknown_fields=True):
    """What is skipped is not decoded, and bytes that are not UTF-8 would go unseen in it."""


class UnreadableLine(ValueError):
    """Why a line cannot be believed, and what to do about it."""

    def __init__(self, reason: str, advice: str = MEND) -> None:
        super().__init__(reason)
        self.advice = advice

    def at(self, path: Path, number: int) -> VluresError:
        """The sentence that names the line. number: from 1."""
        return VluresError(f"{path}, line {number}, cannot be read ({self}); nothing was changed. {self.advice}")


_decoder = msgspec.json.Decoder(_KnownLine)
_encoder = msgspec.json.Encoder()


def read_lines(lines: list[bytes]) -> Sequence[StoredLine]:
    """Lines of a checkpoint, line breaks included; empty if they must be read one by one, for what is to be said of one of them.

    Of a name that stands twice a decoder takes the last one without a word. Lines that are, byte by byte, what an encoder makes of
    their content have no such name, and to find that out takes a third of the time of looking for names.
    """
    written = b"".join(lines)
    try:
        stored: list[_KnownLine] = _decoder.decode_lines(written)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    if _encoder.encode_lines(stored) != written or any(_lacks_text(line) for line in stored if line.text is None):
        return ()
    return stored


def read_line(line: bytes) -> StoredLine:
    """One line of a checkpoint. Raises UnreadableLine.

    Only the names that decide who answered what are looked at for one that stands twice. Within a text the quotation marks of
    such a name are escaped, so that they do not count.
    """
    try:
        stored: StoredLine = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        stored = _convert(_read_closely(line), StoredLine)
    if stored.text is None and _lacks_text(stored):
        raise UnreadableLine(f"an answer that is {stored.status!r} without its text")
    if any(line.count(name) > 1 for name in (b'"text"', b'"status"', b'"key"')):
        _read_closely(line)
    return stored


def _lacks_text(stored: StoredLine) -> bool:
    return stored.status == "ok" or (stored.status == "truncated" and stored.error is None)


def read_answer(line: bytes) -> dict[str, Any]:
    """All that a checkpoint's line says, by its fields' names. Raises UnreadableLine."""
    try:
        content: dict[str, Any] = msgspec.json.decode(line)
        msgspec.convert(content, StoredLine)  # most lines are sound, and their numbers make sense
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        content = _read_closely(line)
        _convert(content, StoredLine)
    return content


def misplaced(key: str) -> UnreadableLine:
    return UnreadableLine(f"the key {key[:200]!r} does not belong here")


def _read_closely(line: bytes) -> dict[str, Any]:
    """The line's object, with counts and seconds that make no sense set to None. Raises UnreadableLine, saying what is wrong."""
    _check_bytes(line)
    try:
        content = json.loads(line, object_pairs_hook=_once, parse_int=_read_int)
    except json.JSONDecodeError as error:
        raise UnreadableLine(_describe(error)) from error
    except RecursionError as error:
        raise UnreadableLine("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise UnreadableLine("it is no JSON object")
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UnreadableLine("it holds half a character") from error
    used = content.get("usage")
    if isinstance(used, dict):
        content["usage"] = {name: _tidy(value) for name, value in used.items()}
    for name in ("latency_s", "attempts"):
        if name in content and (tidy := _tidy(content.pop(name), is_whole=name == "attempts")) is not None:
            content[name] = tidy
    return content


def _check_bytes(line: bytes) -> None:
    if not line.strip():
        raise UnreadableLine("it is empty")
    if line.startswith(b"\xef\xbb\xbf"):
        raise UnreadableLine("it begins with a byte order mark", "Save the file without one, then run again.")
    if b"\0" in line:
        raise UnreadableLine("it holds NUL bytes, as a power cut leaves them")
    if b"\r" in line.rstrip(b"\r\n"):
        raise UnreadableLine("lines end in CR alone", "Save the file with LF at the end of each line, then run again.")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise UnreadableLine(f"its byte {error.start + 1:,} is not UTF-8") from error


def _describe(error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        return "more than one object stands in it" if error.doc[error.pos] == "{" else "more follows its object"
    return f"no JSON: {error.msg} at character {error.pos + 1:,}"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        doubled = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise UnreadableLine(f"{doubled[:200]!r} stands twice in it")
    return content


def _read_int(digits: str) -> int | float:
    """Python refuses to read a number of thousands of digits; beyond a float's range it is infinite all the same."""
    return int(digits) if len(digits) < 300 else float("inf")


def _tidy(value: Any, *, is_whole: bool = True) -> Any:
    """None for a number that cannot be a count of tokens, of attempts, or a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not 0 <= value <= MOST_COUNTED:  # also what is not a number at all
        return None
    if not is_whole:
        return float(value)
    return int(value) if value == int(value) else None


def _convert(content: Any, kind: type[Any]) -> Any:
    """Raises UnreadableLine."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        if str(error).startswith("Invalid enum value"):
            raise UnreadableLine(f"{LATER_VERSION}: {_uncapitalised(error)}", UPGRADE) from error
        raise UnreadableLine(_uncapitalised(error)) from error


def _uncapitalised(error: Exception) -> str:
    words = str(error).replace(" - at `$`", "").replace("`$.", "`")
    return words[:1].lower() + words[1:300]


# jobs.jsonl


class _JobEvent(msgspec.Struct):
    job: str
    state: JobState
    time: str
    provider: str | None = None
    requests: dict[str, str] | None = None
    file_id: str | None = None
    batch_id: str | None = None
    status: str | None = None
    note: str | None = None
    weight: _Count | None = None
    trial: bool | None = None
    deadline: str | None = None
    input_until: str | None = None
    account: str | None = None
    doubted: str | None = None


class _SeenEvent(msgspec.Struct):
    seen: str
    status: str
    time: str
    since: str
    done: _Count = 0
    total: _Count = 0
    lost: bool = False
    results_until: str | None = None


class _FactEvent(msgspec.Struct):
    fact: str
    facts: dict[str, Any]


_EVENTS: Mapping[str, type[Any]] = {"fact": _FactEvent, "seen": _SeenEvent, "job": _JobEvent}
_MOMENTS = ("time", "since", "deadline", "input_until", "doubted", "results_until")


def read_event(line: bytes, known_jobs: Container[str] | None) -> dict[str, Any]:
    """A line of jobs.jsonl. known_jobs: the tags in the lines before; None: not asked. Raises UnreadableLine."""
    try:
        event = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        event = _read_closely(line)
    if not isinstance(event, dict):
        raise UnreadableLine("it is no JSON object")
    kind = next((kind for kind in _EVENTS if kind in event), None)
    if kind is None:
        raise UnreadableLine(f"{LATER_VERSION}, or it is damaged: it tells of no job and no fact", UPGRADE)
    if any(line.count(b'"%s"' % name) > 1 for name in (b"job", b"seen", b"fact", b"state")):
        _read_closely(line)
    _convert(event, _EVENTS[kind])
    if kind == "fact":
        return event
    for name in _MOMENTS:
        _check_moment(name, event.get(name))
    if known_jobs is None:
        return event
    if kind == "seen" and event["seen"] not in known_jobs:
        raise UnreadableLine(f"no line before it tells of the job {event['seen'][:200]!r}")
    if kind == "job" and event["job"] not in known_jobs:
        for name in ("provider", "requests"):
            if event.get(name) is None:
                raise UnreadableLine(f"the job {event['job'][:200]!r} begins without its {name}")
    return event


def _check_moment(name: str, moment: str | None) -> None:
    """Of a time that commands count with."""
    if moment is None:
        return
    try:
        has_zone = datetime.fromisoformat(moment).tzinfo is not None
    except ValueError:
        has_zone = False
    if not has_zone:
        raise UnreadableLine(f"its `{name}` {moment[:100]!r} is no time with its zone")


# What a killed process leaves at the end of a file


def is_torn(tail: bytes) -> bool:
    """Whether what stands behind the last line break is a line that was not written to its end; False for one that lacks only
    its line break, in the place of which NUL bytes may stand, as a power cut leaves them.

    Raises UnreadableLine for anything else: what was never a single line may hold answers, and is not moved aside.
    """
    whole = tail.rstrip(b"\0 \t\r")
    text = whole.decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        if b"\r" in tail:
            _check_bytes(tail.replace(b"\0", b""))
        return True
    if end < len(text):
        raise UnreadableLine("more follows its object, and no line break ends it")
    return text.encode() != whole  # bytes that are not UTF-8


# Small files


class _Run(msgspec.Struct):
    """What commands rely on in run.json."""

    time: str | None = None
    provider: str | None = None
    mode: Literal["batch", "live"] | None = None
    benchmark: str | None = None
    model: str | None = None
    config: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    text_languages: dict[str, str] | None = None
    prompt_digests: dict[str, str] | None = None
    data_digests: dict[str, str] | None = None
    planned: dict[str, dict[str, _Count]] | None = None


class _Redo(msgspec.Struct):
    """redo.json."""

    sizes: dict[str, _Count] | None = None


_SMALL_FILES: Mapping[str, type[Any]] = {"run.json": _Run, "redo.json": _Redo}


def read_small_file(path: Path) -> dict[str, Any]:
    """A small file of a checkpoint folder; empty if it is not there. Raises VluresError naming it."""
    if not path.exists() and not path.is_symlink():
        return {}
    try:
        content = parse_json(read_file(path, LARGEST_JSON_BYTES))
        if not isinstance(content, dict):
            _refuse("it is no JSON object")
        _convert(content, _SMALL_FILES.get(path.name, dict[str, Any]))
    except UnusableFile as error:
        raise VluresError(f"{path} cannot be read (it {error}); move it aside and run again.") from error
    except UnreadableLine as error:
        raise VluresError(f"{path} cannot be read ({error}); move it aside and run again.") from error
    return dict(content)


def _refuse(reason: str) -> NoReturn:
    raise UnreadableLine(reason)

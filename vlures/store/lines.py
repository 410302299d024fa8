"""What a line of a checkpoint says, and what is wrong with one that cannot be believed.

Every start reads a million lines, so a sound line is decoded straight into its Struct. Only one that does not fit is
looked at closely: if just a count of tokens or seconds makes no sense, that counts as missing; otherwise the run stops.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from vlures.errors import VluresError
from vlures.records import MOST_COUNTED, Note, Response, Status

LONGEST_LINE_BYTES = 500_000_000
"""Of a checkpoint. A batch of 50,000 requests takes 4 MB, an answer hardly ever 1 MB."""
LATER_VERSION = "it was written by a later version of vlures"
UPGRADE = "Upgrade vlures, then run again."
CORRECT = "Correct or remove that line, then run again."

Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_COUNTED)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=MOST_COUNTED)]


# A run has a million of these: a Struct without garbage collection is made in a fraction of a dataclass's time.


class StoredUsage(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Usage, as a line has it."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cached_tokens: Count | None = None
    thinking_tokens: Count | None = None
    cache_write_tokens: Count | None = None


class StoredFailure(msgspec.Struct, frozen=True, gc=False):
    """Failure, as a line has it."""

    code: str
    message: str
    transient: bool = False


class StoredLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Response, as a line has it, or the mark that its sample is to be asked again (`due`).

    Has every field, so that none goes unchecked, in the order in which they are written.
    """

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
    attempts: Count | None = None
    latency_s: Seconds | None = None
    time: str | None = None
    imported: str | None = None
    nano_usd: Count | None = None


class _KnownLine(StoredLine, frozen=True, gc=False, forbid_unknown_fields=True):
    """Unknown fields are refused: the decoder skips them, and would miss bytes in them that are not UTF-8."""


class UnreadableLine(ValueError):
    """Why a line cannot be believed, and what to do about it."""

    def __init__(self, reason: str, advice: str = CORRECT) -> None:
        super().__init__(reason)
        self.advice = advice

    def at(self, path: Path, number: int) -> VluresError:
        """The error that names the line. number: from 1."""
        return VluresError(f"{path}, line {number}, cannot be read ({self}); nothing was changed. {self.advice}")


_decoder = msgspec.json.Decoder(_KnownLine)
_encoder = msgspec.json.Encoder()


def read_lines(lines: list[bytes]) -> Sequence[StoredLine]:
    """Lines of a checkpoint, line breaks included; empty if they must be read one by one, to say what is wrong with
    one.

    If a name occurs twice, a decoder silently takes the last one. Lines that equal, byte by byte, what an encoder makes
    of their content have no such name, and this check takes a third of the time of a search for names.
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

    Only the names that decide who answered what are checked for occurring twice. Within a text the quotation marks of
    such a name are escaped, so they do not count.
    """
    try:
        stored: StoredLine = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        stored = convert(read_closely(line), StoredLine)
    if stored.text is None and _lacks_text(stored):
        raise UnreadableLine(f"an answer that is {stored.status!r} without its text")
    if any(line.count(name) > 1 for name in (b'"text"', b'"status"', b'"key"')):
        read_closely(line)
    return stored


def _lacks_text(stored: StoredLine) -> bool:
    return stored.status == "ok" or (stored.status == "truncated" and stored.error is None)


def read_answer(line: bytes) -> dict[str, Any]:
    """All that a checkpoint's line says, by its fields' names. Raises UnreadableLine."""
    try:
        content: dict[str, Any] = msgspec.json.decode(line)
        msgspec.convert(content, StoredLine)  # most lines are sound, and their numbers make sense
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        content = read_closely(line)
        convert(content, StoredLine)
    return content


def misplaced(key: str) -> UnreadableLine:
    """What is wrong with a line whose key is not of its file's cell and variant."""
    return UnreadableLine(f"the key {key[:200]!r} does not belong here")


def read_closely(line: bytes) -> dict[str, Any]:
    """The line's object, with nonsensical counts and seconds set to None. Raises UnreadableLine with what is wrong."""
    check_bytes(line)
    try:
        content = json.loads(line, object_pairs_hook=_refuse_doubled, parse_int=_read_int)
    except json.JSONDecodeError as error:
        raise UnreadableLine(_describe(error)) from error
    except RecursionError as error:
        raise UnreadableLine("it is nested too deeply") from error
    if not isinstance(content, dict):
        raise UnreadableLine("it is not a JSON object")
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


def check_bytes(line: bytes) -> None:
    """Raises UnreadableLine for bytes that no line of ours has."""
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
        return "it holds more than one object" if error.doc[error.pos] == "{" else "more follows its object"
    return f"it is not JSON: {error.msg} at character {error.pos + 1:,}"


def _refuse_doubled(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        doubled = next(name for number, (name, _) in enumerate(pairs) if name in dict(pairs[:number]))
        raise UnreadableLine(f"{doubled[:200]!r} occurs twice in it")
    return content


def _read_int(digits: str) -> int | float:
    """Python refuses a number with thousands of digits; beyond a float's range it is infinite anyway."""
    return int(digits) if len(digits) < 300 else float("inf")


def _tidy(value: Any, *, is_whole: bool = True) -> Any:
    """None for a number that cannot be a count of tokens, of attempts, or a time in seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not 0 <= value <= MOST_COUNTED:  # NaN too
        return None
    if not is_whole:
        return float(value)
    return int(value) if value == int(value) else None


def convert(content: Any, kind: type[Any]) -> Any:
    """The content as that type. Raises UnreadableLine."""
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        if str(error).startswith("Invalid enum value"):
            raise UnreadableLine(f"{LATER_VERSION}: {_uncapitalised(error)}", UPGRADE) from error
        raise UnreadableLine(_uncapitalised(error)) from error


def _uncapitalised(error: Exception) -> str:
    words = str(error).replace(" - at `$`", "").replace("`$.", "`")
    return words[:1].lower() + words[1:300]


def encode_line(response: Response) -> bytes:
    """A response as its line in a checkpoint file."""
    return msgspec.json.encode(without_nones(msgspec.to_builtins(response))) + b"\n"


def without_nones(value: Any) -> Any:
    """A dict without the fields that are None, at every depth; other values unchanged."""
    if isinstance(value, dict):
        return {key: without_nones(inner) for key, inner in value.items() if inner is not None}
    return value

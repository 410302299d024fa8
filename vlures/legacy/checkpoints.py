"""Checkpoints of the original scripts: `checkpoint_task<n>_<Code>.json`, taken over once into the run's own.

Real texts become answers that are marked `imported`. What stands there for a missing answer ("Error: …", null, "") does
not, and is due. Nothing that the store has is ever replaced, and the originals stay as they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlures.benchmarks import Benchmark
from vlures.benchmarks.vlures.benchmark import VluresBenchmark
from vlures.benchmarks.vlures.dataset import numeric_id
from vlures.benchmarks.vlures.languages import find_language
from vlures.benchmarks.vlures.settings import Setting, make_cell, parse_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.errors import VluresError
from vlures.files.reading import UnusableFile, read_file
from vlures.records import FINAL_STATUSES, Cell, Response
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import request_key

_NAME = re.compile(r"checkpoint_task([0-9]+)_([A-Za-z]+)\.json", re.IGNORECASE)
_ERROR = re.compile(r"\s*error\s*:", re.IGNORECASE)
_KEY = re.compile(r"[0-9]+|[0-9]\S*\.[A-Za-z]+|[^-\u22120-9].*", re.DOTALL)
"""A number, or a name: where the number comes first, only a file's ending shows that it is one."""
_BLANKS = re.compile(r"[ \t\r\n]*")
_CLOSING = {"{": "}", "[": "]"}
_TEXT_FIELDS = ("text", "answer", "response")
LARGEST_BYTES = 500_000_000
"""Of a checkpoint: a million answers of 500 characters."""
_NAMED = 5
"""So many entries of a kind are named in a sentence."""


@dataclass(frozen=True, slots=True)
class Original:
    """What one checkpoint of the original scripts holds.

    digest: of its bytes. empty: IDs without a real text. troubles: what could not be read or is odd, each a sentence
    without its beginning and its end. whole: all of it could be read.
    """

    path: Path
    cell: Cell
    digest: str
    answers: dict[str, str]
    empty: frozenset[str]
    troubles: tuple[str, ...]
    whole: bool


@dataclass(slots=True)
class Taken:
    """What came of taking checkpoints over.

    files: found. new: of them, not taken over before. answers: stored now. whole: all that the new ones hold could be read.
    """

    files: int = 0
    new: int = 0
    answers: int = 0
    whole: bool = True


def take_originals(store: CheckpointStore, folder: Path, say: Callable[[str], None]) -> Taken:
    """Store the answers of the folder's checkpoints, each file once; only VLURes has any. say: told every sentence about what was found.

    A file is remembered as taken over when its answers are on the disk, so one that was interrupted is gone through again
    and nothing is stored twice. Raises VluresError for a file that cannot be read at all.
    """
    taken = Taken()
    if not isinstance(store.variant, Setting):
        return taken
    for path, cell in _find_checkpoints(folder, say):
        data = _read(path)
        known = _digests(store, path)
        taken.files += 1
        if _digest(data) in known:
            continue
        original = read_original(path, cell, data)
        if known:
            say(f"{path}: another file of this name was taken over before; what is new in this one is added.")
        fresh = _fresh(store, original)
        for sample_id, text in fresh.items():
            key = request_key(cell, store.variant, sample_id)
            store.append(Response(key, "ok", text=text, attempts=0, imported=path.name))
        store.sync_all()
        store.remember(_fact(path), {"digests": [*known, original.digest]})
        _report(original, store, fresh, say, "taken over and marked as imported")
        taken.new += 1
        taken.answers += len(fresh)
        taken.whole = taken.whole and original.whole
    return taken


def assume_originals_imported(store: CheckpointStore, say: Callable[[str], None]) -> None:
    """Let a plan count the answers that the next run takes over from the store's own folder. Writes nothing."""
    assumed: dict[Cell, set[str]] = {}
    if not isinstance(store.variant, Setting):
        return
    for path, cell in _find_checkpoints(store.folder, say):
        data = _read(path)
        if _digest(data) not in _digests(store, path):
            original = read_original(path, cell, data)
            fresh = _fresh(store, original)
            _report(original, store, fresh, say, "will be taken over by the next run, and count as answered here")
            assumed.setdefault(cell, set()).update(fresh)
    for cell, numbers in assumed.items():
        for number in numbers:
            store.assume_imported(cell, number)


def find_unknown_samples(benchmark: Benchmark, store: CheckpointStore) -> list[str]:
    """Keys of imported answers about samples that the datasets, where they were read whole, don't have."""
    if not isinstance(benchmark, VluresBenchmark):
        return []
    datasets = {code: dataset for code, dataset in benchmark.datasets.items() if not dataset.selection}
    known = {code: {str(sample.id) for sample in dataset.samples} for code, dataset in datasets.items()}
    languages = {cell: parse_cell(cell)[0] for cell in store.cells}
    return [
        request_key(cell, store.variant, sample_id)
        for cell, language in languages.items()
        if language in known
        for sample_id, entry in store.entries(cell).items()
        if entry.imported and sample_id not in known[language]
    ]


def find_waiting(store: CheckpointStore) -> list[Path]:
    """The checkpoints in the store's own folder that were not taken over yet."""
    if not isinstance(store.variant, Setting):
        return []
    found = _find_checkpoints(store.folder, lambda _: None)
    return [path for path, _ in found if _digest(_read(path)) not in _digests(store, path)]


def read_original(path: Path, cell: Cell, data: bytes) -> Original:
    """An object {"<id>": "<text>"}, or a list of objects with an id and a text, as far as it can be read.

    Raises VluresError for another encoding than UTF-8: its answers would be paid for again.
    """
    mark, text = _decode(path, data)
    pile = _Pile()
    torn = ""
    try:
        for key, value in _parse(text):
            pile.add(key, value)
    except _Torn as tear:
        torn = tear.describe(text, len(mark))
    answers = pile.settle()
    troubles = [torn] if torn else []
    if mark:
        troubles.append("it begins with a byte order mark, which was skipped")
    troubles += pile.troubles()
    empty = frozenset(pile.empty - answers.keys())
    whole = not torn and not pile.left
    return Original(path, cell, _digest(data), answers, empty, tuple(troubles), whole)


def holds_originals(folder: Path) -> bool:
    """Whether a folder has any checkpoint of the original scripts."""
    return any(True for _ in _find_checkpoints(folder, lambda _: None))


def _find_checkpoints(folder: Path, say: Callable[[str], None]) -> Iterator[tuple[Path, Cell]]:
    """By name; what is named like a checkpoint but belongs to no cell is said."""
    for path in sorted(folder.glob("*.json")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        language, task = find_language(match[2]), int(match[1])
        if language is None or task not in TASKS:
            say(f"{path} is left aside: there is no {'task ' + match[1] if language else 'language ' + match[2]}.")
            continue
        yield path, make_cell(language.code, task)


def _read(path: Path) -> bytes:
    try:
        return read_file(path, LARGEST_BYTES)
    except UnusableFile as error:
        raise VluresError(f"{path} {error}; mend that, or move it elsewhere.") from error


def _decode(path: Path, data: bytes) -> tuple[bytes, str]:
    """The byte order mark, if there is one, and the text as far as it goes. Raises VluresError for anything but UTF-8."""
    data = data.rstrip(b"\0")  # where a power cut has left room but no content
    mark = data[: len(BOM_UTF8)] if data.startswith(BOM_UTF8) else b""
    try:
        return mark, data[len(mark) :].decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # torn in the middle of a letter
            return mark, data[len(mark) : len(mark) + error.start].decode()
        at = len(mark) + error.start
        raise VluresError(
            f"{path} is not UTF-8 (byte {at:,}, line {_line(data, at)}), and nothing of it was taken; save it as UTF-8, or move it "
            "elsewhere to have its answers asked for again."
        ) from error


def _line(data: bytes, position: int) -> int:
    return data.count(b"\n", 0, position) + 1


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def _fact(path: Path) -> str:
    return f"imported {path.name}"


def _digests(store: CheckpointStore, path: Path) -> list[str]:
    """Of the files of this name that were taken over."""
    return list(store.recall(_fact(path)).get("digests", []))


def _fresh(store: CheckpointStore, original: Original) -> dict[str, str]:
    return {number: text for number, text in original.answers.items() if not _is_answered(store, original.cell, number)}


def _is_answered(store: CheckpointStore, cell: Cell, sample_id: str) -> bool:
    """Whether an answer stands, be it that it is to be asked again."""
    entry = store.entry(cell, sample_id)
    return entry is not None and entry.status in FINAL_STATUSES


def _report(
    original: Original, store: CheckpointStore, fresh: dict[str, str], say: Callable[[str], None], fate: str
) -> None:
    cell, path = original.cell, original.path
    parts = [f"{len(fresh):,} answer(s) {fate}"]
    kept = original.answers.keys() - fresh.keys()
    if kept:
        others = sum(
            response.get("text") != original.answers[number] for number, response in _stored(store, cell, kept)
        )
        parts.append(f"{len(kept):,} not, because the run has an answer, which stays ({others:,} with another text)")
    if due := sum(not _is_answered(store, cell, number) for number in original.empty):
        parts.append(f"{due:,} that held an error or nothing are due")
    say(f"{path}: {'; '.join(parts)}.")
    for trouble in original.troubles:
        say(f"{path}: {trouble}.")


def _stored(store: CheckpointStore, cell: Cell, wanted: set[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((number, response) for number, response in store.responses(cell) if number in wanted)


# Reading what may be torn


class _Torn(Exception):
    """The text makes no sense from a position on; all before it was given."""

    def __init__(self, position: int) -> None:
        super().__init__()
        self.position = position

    def describe(self, text: str, before: int) -> str:
        """before: bytes of the file before the text."""
        beginning = text.lstrip()[:1]
        if not beginning:
            return "it is empty"
        if beginning not in _CLOSING:
            return "it holds neither an object nor a list of answers, so nothing of it was read"
        whole = text[: self.position].encode()
        line = _line(whole, len(whole))
        return f"it is torn behind byte {before + len(whole):,} (line {line}); what may have followed was not read"


class _Broken(Exception):
    """There is no whole value here."""


def _parse(text: str) -> Iterator[tuple[Any, Any]]:
    """(key, value) of an object, (None, element) of a list, one by one. Raises _Torn behind the last whole one."""
    position = _skip(text, 0)
    opening = text[position : position + 1]
    if opening not in _CLOSING:
        raise _Torn(position)
    closing = _CLOSING[opening]
    position = _skip(text, position + 1)
    while text[position : position + 1] != closing:
        try:
            key, value, end = _parse_entry(text, position, named=opening == "{")
        except _Broken:
            raise _Torn(position) from None
        following = _skip(text, end)
        mark = text[following : following + 1]
        if mark not in ("", ",", closing):  # damaged inside, so that nobody knows where the value ends
            raise _Torn(position)
        yield key, value
        if not mark:
            raise _Torn(end)
        position = following if mark == closing else _skip(text, following + 1)
    if _skip(text, position + 1) < len(text):
        raise _Torn(position + 1)


def _parse_entry(text: str, position: int, *, named: bool) -> tuple[Any, Any, int]:
    key = None
    if named:
        key, position = _parse_value(text, position)
        position = _skip(text, position)
        if not isinstance(key, str) or text[position : position + 1] != ":":
            raise _Broken
        position = _skip(text, position + 1)
    value, position = _parse_value(text, position)
    return key, value, position


_DECODER = json.JSONDecoder()


def _parse_value(text: str, position: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, position)
    except (ValueError, RecursionError):  # RecursionError: a file of nothing but opening brackets
        raise _Broken from None


def _skip(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


class _Pile:
    """What the entries of a file come to. left: what is no answer and has no ID or no text, with the reason."""

    def __init__(self) -> None:
        self.empty: set[str] = set()
        self.left: list[str] = []
        self._texts: dict[str, dict[str, str]] = {}  # by ID, then by the key that it stands under
        self._twice: dict[str, None] = {}
        self._count = 0

    def add(self, key: str | None, value: Any) -> None:
        """key: None for an element of a list, which tells its own ID."""
        self._count += 1
        name = f"entry {self._count}" if key is None else repr(key)
        try:
            if key is None:
                key, value = _open_element(value)
                name = f"{name}, {key!r}"
            number = _find_id(key)
            if value is None or (isinstance(value, str) and (not value.strip() or _ERROR.match(value))):
                self.empty.add(number)
                return
            _check_text(value)
        except VluresError as error:
            self.left.append(f"{name} ({error})")
            return
        texts = self._texts.setdefault(number, {})
        if texts.get(key, value) != value:
            self._twice[number] = None
        texts[key] = value

    def settle(self) -> dict[str, str]:
        """The answers, when all entries are there. Where several keys come to one ID with different texts, none is chosen."""
        answers = {}
        for number, texts in self._texts.items():
            if len(set(texts.values())) == 1:
                answers[number] = next(iter(texts.values()))
                continue
            self._twice.pop(number, None)
            for key in texts:
                others = _name_some([repr(other) for other in texts if other != key])
                self.left.append(f"{key!r} (another text for the ID {number} stands under {others})")
        return answers

    def troubles(self) -> Iterator[str]:
        if self.left:
            yield f"{len(self.left):,} of its entries cannot be answers: {_name_some(self.left)}"
        if self._twice:
            ids = _name_some(list(self._twice))
            yield f"{len(self._twice):,} ID(s) stand there more than once with different texts, of which the last was taken: {ids}"


def _find_id(key: str) -> str:
    """Raises VluresError with the reason for what is neither a whole number nor a name with one number in it."""
    key = key.strip()
    number = numeric_id(key)
    if not _KEY.fullmatch(key):
        raise VluresError("neither a whole number nor a file's name")
    return str(number)


def _open_element(element: Any) -> tuple[str, Any]:
    """The ID and the text of an element of a list. Raises VluresError with the reason if it has none, or several."""
    if not isinstance(element, dict):
        raise VluresError(f"{_describe(element)}, not an object with an id and a text")
    fields = [name for name in _TEXT_FIELDS if name in element]
    if "id" not in element or isinstance(element["id"], bool) or not isinstance(element["id"], str | int):
        raise VluresError("it has no id")
    if len(fields) != 1:
        raise VluresError(f"it has {' and '.join(fields) or 'none of ' + ', '.join(_TEXT_FIELDS)}")
    return str(element["id"]), element[fields[0]]


def _check_text(value: Any) -> None:
    if not isinstance(value, str):
        raise VluresError(f"{_describe(value)}, not a text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise VluresError("its text holds half a character") from error


def _describe(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}
    return kinds.get(type(value), "null" if value is None else "a number")


def _name_some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

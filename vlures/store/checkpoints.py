"""CheckpointStore: the append-only record of responses and jobs; the only thing that a run must not lose.

One file per cell with a line per response, `jobs.jsonl` with a line per event of a job. A line is in the operating
system's hands before it is counted, and on the disk within a second. Nothing is ever deleted: a torn last line is
moved aside, any other unreadable line stops the run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from vlures.errors import NotWritable, VluresError
from vlures.files.reading import UnusableFile, open_file
from vlures.files.writing import CANCELLED, AppendOnlyFile, cut_off, finish_line, move_tail, sync_folders, write_whole
from vlures.records import FINAL_STATUSES, OPEN_JOB_STATES, BatchSnapshot, Cell, Job, JobState, Response, Usage, Variant
from vlures.store.keys import LONGEST_ID, key_prefix, parse_key, request_key, unescape
from vlures.store.lines import (
    LONGEST_LINE_BYTES,
    StoredLine,
    StoredUsage,
    UnreadableLine,
    is_torn,
    misplaced,
    read_answer,
    read_event,
    read_line,
    read_lines,
    read_small_file,
)

LEAST_FREE_BYTES = 32_000_000
"""A run stops sending while there is still this much room, so that the answers in flight find a place."""

SYNCED_IN_TURN = 4
SYNCS_AT_ONCE = 16
"""What is brought to the disk at the same time goes there together: 32 files took 19 ms one after another, and 4 ms so."""

READ_BYTES = 64_000
"""Of a checkpoint at a time: as much as stays in a processor's cache until its lines are read."""

JOB_FACTS = (
    "state",
    "file_id",
    "batch_id",
    "status",
    "note",
    "weight",
    "trial",
    "deadline",
    "input_until",
    "account",
    "doubted",
)
_SNAPSHOT_FACTS = tuple(fact.name for fact in fields(BatchSnapshot))

MOST_COUNTED = 10_000_000
"""Tokens of one answer; older versions stored any number that a server told."""

# What there is a million of is a Struct without garbage collection: made in a fraction of a dataclass's time.


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Where a sample of a cell stands. offset: of its line in the cell's file, in bytes. due: asked again since. imported:
    taken over from the original scripts, so that nobody knows to which question the answer is."""

    status: str
    digest: str
    offset: int
    due: bool = False
    imported: bool = False


@dataclass(slots=True)
class CellTotals:
    """Tokens that were paid for in a cell, redone answers included."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    cache_write_tokens: int = 0

    def add(self, usage: Usage | StoredUsage | CellTotals) -> None:
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.cached_tokens += usage.cached_tokens or 0
        self.thinking_tokens += usage.thinking_tokens or 0
        self.cache_write_tokens += usage.cache_write_tokens or 0


@dataclass(slots=True)
class CellMoney:
    """What a cell's lines tell of their cost.

    nano_usd: the sum of those that say it. unpriced: tokens of the others, by mode and by the model that answered. untold: how many
    answers tell neither.
    """

    nano_usd: int = 0
    unpriced: dict[tuple[Literal["batch", "live"], str | None], CellTotals] = field(default_factory=dict)
    untold: int = 0

    def add(self, line: Response | StoredLine) -> None:
        """Count a line of an answer that was not imported."""
        if line.nano_usd is not None:
            self.nano_usd += max(0, line.nano_usd)
        elif line.usage is not None and _is_sound(line.usage):
            answered: tuple[Literal["batch", "live"], str | None] = ("batch" if line.job else "live", line.model)
            totals = self.unpriced.get(answered)
            if totals is None:
                totals = self.unpriced[answered] = CellTotals()
            totals.add(line.usage)
        elif line.status in FINAL_STATUSES and line.error is None:
            self.untold += 1


def _is_sound(usage: Usage | StoredUsage) -> bool:
    asked, answered = usage.input_tokens, usage.output_tokens
    if asked is None or answered is None:
        return False
    return 0 <= asked <= MOST_COUNTED and 0 <= answered <= MOST_COUNTED


class CheckpointStore:
    """The checkpoint folder of one output folder in one variant.

    writable=False reads only and mends nothing. say: called with a sentence about anything that was mended. guard: raises an
    exception where the folder is no longer this process's; asked before each event of a job, and by whoever appends.
    Raises VluresError for a line that cannot be read, naming file and line.
    """

    def __init__(
        self,
        output_folder: Path,
        variant: Variant,
        *,
        writable: bool = True,
        say: Callable[[str], None] = lambda _: None,
        guard: Callable[[], None] = lambda: None,
    ) -> None:
        self.guard = guard
        self.folder = output_folder / f"checkpoints_{variant.label}"
        self.variant = variant
        self._writable = writable
        self._say = say
        self._files: dict[Path, AppendOnlyFile] = {}
        self._dirty: set[Path] = set()
        self._has_new_names = True
        # Files of earlier processes: one that was killed may have left its last answers in the system's hands only.
        self._found: set[Path] = set()
        self._entries: dict[Cell, dict[str, Entry]] = {}
        self._totals: dict[tuple[Cell, Literal["batch", "live"]], CellTotals] = {}
        self._money: dict[Cell, CellMoney] = {}
        self._jobs: dict[str, Job] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        if writable:
            self._make_folder()
        self._load()

    # Reading

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(sorted(self._entries))

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(self._jobs.values())

    def open_jobs(self) -> tuple[Job, ...]:
        """Jobs whose answers may still come."""
        return tuple(job for job in self._jobs.values() if job.state in OPEN_JOB_STATES)

    def left_by_batches(self) -> frozenset[str]:
        """Keys of requests without an answer that were in a batch which is over."""
        over = [job for job in self._jobs.values() if job.batch_id and job.state not in OPEN_JOB_STATES]
        keys = {key for job in over for key in job.requests}
        return frozenset(key for key in keys if not self._is_answered(key))

    def _is_answered(self, key: str) -> bool:
        entry = self.entry(*parse_key(key, self.variant))
        return entry is not None and entry.status in FINAL_STATUSES

    def entries(self, cell: Cell) -> Mapping[str, Entry]:
        return self._entries.get(cell, {})

    def entry(self, cell: Cell, sample_id: str) -> Entry | None:
        return self._entries.get(cell, {}).get(sample_id)

    def totals(self, cell: Cell, mode: Literal["batch", "live"] | None = None) -> CellTotals:
        """Tokens of a cell's answers, in one mode or in both."""
        if mode is not None:
            return self._totals.get((cell, mode), CellTotals())
        both = CellTotals()
        both.add(self.totals(cell, "batch"))
        both.add(self.totals(cell, "live"))
        return both

    def money(self, cell: Cell) -> CellMoney:
        """What the lines of a cell tell of their cost."""
        return self._money.get(cell, CellMoney())

    def responses(self, cell: Cell, only: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The standing response of every sample of the cell, or of one, in the order of sort_ids, read back from the disk."""
        entries = self._entries.get(cell, {})
        if only is not None:
            entries = {sample_id: entries[sample_id] for sample_id in entries.keys() & {only}}
        if not entries:
            return
        with self.checkpoint_path(cell).open("rb") as file:
            for sample_id in sort_ids(entries):
                yield sample_id, self._read_at(file, entries[sample_id].offset)

    def usage(self, cell: Cell, entry: Entry) -> Usage | None:
        """What the answer used, read back from the disk."""
        with self.checkpoint_path(cell).open("rb") as file:
            used = self._read_at(file, entry.offset).get("usage")
        return msgspec.convert(used, Usage) if used else None

    def _read_at(self, file: BinaryIO, offset: int) -> dict[str, Any]:
        """Raises VluresError for what is no longer as it was when the store was opened."""
        file.seek(offset)
        try:
            return read_answer(file.readline().rstrip(b"\0"))
        except UnreadableLine as error:
            raise VluresError(
                f"{file.name}, at byte {offset:,}, cannot be read any more ({error}). {error.advice}"
            ) from error

    def checkpoint_path(self, cell: Cell) -> Path:
        return self.folder / self.variant.checkpoint_file(cell)

    @property
    def jobs_path(self) -> Path:
        return self.folder / "jobs.jsonl"

    # Writing

    def open_checkpoints(self, cells: Iterable[Cell]) -> None:
        """Open the files that answers will go to, before any of them is paid for. Raises NotWritable."""
        for cell in cells:
            self._file(self.checkpoint_path(cell))
        self._file(self.jobs_path)

    def append(self, response: Response) -> bool:
        """Store a response. False if the same question has its answer already, or if this is the very answer that stands,
        collected once more; then nothing is written."""
        cell, sample_id = parse_key(response.key, self.variant)
        standing = self.entry(cell, sample_id)
        if (
            standing
            and standing.status in FINAL_STATUSES
            and not standing.due
            and (standing.digest == response.digest or response.status == "failed")
        ):
            return False
        if standing and standing.due and standing.digest == response.digest and self._stands(response, cell, standing):
            return False
        if response.time is None:
            response = replace(response, time=now())
        offset = self._append(self.checkpoint_path(cell), encode_line(response))
        entry = Entry(response.status, response.digest, offset, imported=response.imported is not None)
        _fold(self._entries.setdefault(cell, {}), sample_id, entry)
        if response.usage:
            self._paid(cell, "batch" if response.job else "live").add(response.usage)
        if response.imported is None:
            self._money.setdefault(cell, CellMoney()).add(response)
        return True

    def holds(self, response: Response) -> bool:
        """Whether the standing answer is this very one, collected once more."""
        cell, sample_id = parse_key(response.key, self.variant)
        standing = self.entry(cell, sample_id)
        return standing is not None and self._stands(response, cell, standing)

    def take_in(self, line: bytes) -> bool:
        """Take in a line of a checkpoint that an earlier process has written elsewhere, unless it is here too. Returns whether it
        brought an answer. Raises UnreadableLine or ValueError for what is no line of this variant."""
        stored = read_line(line)
        cell, sample_id = parse_key(stored.key, self.variant)
        standing = self.entry(cell, sample_id)
        if standing is not None and self._has_line(cell, standing, line):
            return False
        if stored.status != "due":
            return self.append(msgspec.json.decode(line, type=Response))
        if standing is not None and not standing.due and self._is_older(cell, standing, stored.time):
            self._append(self.checkpoint_path(cell), line)
            self._entries[cell][sample_id] = msgspec.structs.replace(standing, due=True)
        return False

    def _has_line(self, cell: Cell, standing: Entry, line: bytes) -> bool:
        with self.checkpoint_path(cell).open("rb") as file:
            file.seek(standing.offset)
            if file.readline() == line:
                return True
            file.seek(0)
            return line in file

    def _is_older(self, cell: Cell, standing: Entry, time: str | None) -> bool:
        """Whether the standing answer came before that time, so that the wish to ask again was not fulfilled by it."""
        with self.checkpoint_path(cell).open("rb") as file:
            came = self._read_at(file, standing.offset).get("time")
        return time is not None and (came is None or came < time)

    def unsynced(self) -> list[bytes]:
        """Lines of checkpoints of which it is not certain that they are on the disk."""
        return [line for path, file in self._files.items() if path != self.jobs_path for line in file.unsynced]

    def assume_imported(self, cell: Cell, sample_id: str) -> None:
        """Count an answer as imported in memory only: for the plan of a run that will import it."""
        self._entries.setdefault(cell, {})[sample_id] = Entry("ok", "", -1, imported=True)

    def _stands(self, response: Response, cell: Cell, standing: Entry) -> bool:
        """Whether the response is the standing one, of the same job."""
        if response.job is None or response.status == "failed":
            return False
        with self.checkpoint_path(cell).open("rb") as file:
            return bool(self._read_at(file, standing.offset).get("job") == response.job)

    def ask_again(self, cell: Cell, sample_id: str, why: str) -> None:
        """Make an answered request due; its old answer stays in the file, and stands until a new one comes."""
        standing = self._entries[cell][sample_id]
        key = request_key(cell, self.variant, sample_id)
        self._write(self.checkpoint_path(cell), {"key": key, "status": "due", "why": why, "time": now()})
        self._entries[cell][sample_id] = msgspec.structs.replace(standing, due=True)

    def begin_job(self, job: Job) -> None:
        """The intent, on the disk before anything is done about it."""
        event = {
            "job": job.tag,
            "state": job.state,
            "provider": job.provider,
            "time": job.time,
            "requests": job.requests,
        }
        facts = {name: getattr(job, name) for name in JOB_FACTS if name not in event}
        self._record_event(event | {name: fact for name, fact in facts.items() if fact})

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None:
        """What has become of a job: file_id, input_until, batch_id, deadline, status, note, doubted. Answers stored so far are on
        the disk first."""
        if state == "collected":
            self.sync_all()
        self._record_event({"job": tag, "state": state, "time": now(), **facts})

    def see_job(self, tag: str, snapshot: BatchSnapshot) -> None:
        """How a job's batch looks at the provider. On the disk within a second."""
        event = {"seen": tag, **_without_nones(asdict(snapshot))}
        self._write(self.jobs_path, event)
        self._fold_event(event)

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was last remembered under the name; empty if nothing was."""
        return self._facts.get(name, {})

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """A fact that a later run is spared to find out again. On the disk within a second."""
        event = {"fact": name, "facts": dict(facts), "time": now()}
        self._fold_event(event)
        self._write(self.jobs_path, event)

    def write_json(self, name: str, content: Any) -> None:
        """Replace a small file of the checkpoint folder, whole or not at all."""
        write_whole(self.folder / name, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        self._has_new_names = True

    def read_json(self, name: str) -> dict[str, Any]:
        """A small file of the checkpoint folder; empty if it is not there."""
        return read_small_file(self.folder / name)

    def sync(self) -> None:
        """Everything written so far is on the disk when this returns."""
        paths = list(self._dirty)
        if len(paths) <= SYNCED_IN_TURN:
            for path in paths:
                self._bring_to_disk(path)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(SYNCS_AT_ONCE) as threads:
            for _ in threads.map(self._bring_to_disk, paths):
                pass

    def sync_all(self) -> None:
        """The same, with what earlier processes have written."""
        self._dirty |= self._found
        self._found.clear()
        self.sync()

    def is_short_of_room(self) -> bool:
        usage = os.statvfs(self.folder)
        return usage.f_bavail * usage.f_frsize < LEAST_FREE_BYTES

    def close(self) -> None:
        try:
            self.sync()
        finally:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _make_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VluresError(
                f"The folder {self.folder} cannot be made ({error.strerror}); name another place with --output."
            ) from error

    def _write(self, path: Path, line: dict[str, Any]) -> int:
        """Append one line; returns its offset in bytes. A line that does not fit is taken back whole."""
        return self._append(path, msgspec.json.encode(line) + b"\n")

    def _append(self, path: Path, line: bytes) -> int:
        offset = self._file(path).append(line)
        self._dirty.add(path)
        return offset

    def _file(self, path: Path) -> AppendOnlyFile:
        """The file, open: it is there from now on."""
        if (file := self._files.get(path)) is None:
            self._has_new_names = self._has_new_names or not path.exists()
            file = AppendOnlyFile(path)
            file.open()
            self._files[path] = file
        return file

    def _record_event(self, event: dict[str, Any]) -> None:
        self.guard()
        self._write(self.jobs_path, _without_nones(event))
        self._bring_to_disk(self.jobs_path)
        self._fold_event(event)

    def _bring_to_disk(self, path: Path) -> None:
        self._dirty.discard(path)
        try:
            self._file(path).sync()
            self._bring_names_to_disk()
        except NotWritable:
            self._dirty.add(path)
            raise

    def _bring_names_to_disk(self) -> None:
        """Those of new files, and of the folders that were made for them."""
        if not self._has_new_names:
            return
        self._has_new_names = False  # before, because another thread may make a file meanwhile
        try:
            sync_folders((self.folder, *self.folder.parents[:2]))
        except NotWritable:
            self._has_new_names = True
            raise

    # Folding lines into what stands

    def _load(self) -> None:
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.jsonl")):
            cell = self.variant.cell_of(path.name)
            if cell is None:
                continue
            self._found.add(path)
            self._load_cell(path, cell)
        if self.jobs_path.is_file():
            for number, line in enumerate(chain.from_iterable(self._lines(self.jobs_path)), start=1):
                try:
                    self._fold_event(read_event(line, self._jobs))
                except UnreadableLine as error:
                    if line.endswith(CANCELLED):
                        continue
                    raise error.at(self.jobs_path, number) from error

    def _load_cell(self, path: Path, cell: Cell) -> None:
        """What is done a million times is looked up before, or done for many lines at once, and calls no function that it can do
        without."""
        prefix, is_sample_id = key_prefix(cell, self.variant), self.variant.is_sample_id
        entries = self._entries.get(cell, {})
        batch, live = self._paid(cell, "batch"), self._paid(cell, "live")
        money = self._money.setdefault(cell, CellMoney())
        number = offset = 0
        for lines in self._lines(path):
            for line, stored in zip(lines, read_lines(lines) or _read_each(lines, path, number), strict=True):
                if stored is not None:
                    key = stored.key
                    sample = key[len(prefix) :]
                    if "%" in sample:
                        sample = unescape(sample)
                    if not key.startswith(prefix) or len(sample) > LONGEST_ID or not is_sample_id(sample):
                        raise misplaced(key).at(path, number + 1 + lines.index(line))
                    if sample in entries or stored.status == "due" or stored.imported is not None:
                        imported = stored.imported is not None
                        _fold(entries, sample, Entry(stored.status, stored.digest, offset, False, imported))
                    else:
                        entries[sample] = Entry(stored.status, stored.digest, offset)
                    if stored.usage is not None:
                        (batch if stored.job else live).add(stored.usage)
                    if stored.nano_usd is not None:
                        money.nano_usd += stored.nano_usd
                    elif stored.imported is None:
                        money.add(stored)
                offset += len(line)
            number += len(lines)
        if entries:
            self._entries[cell] = entries

    def _paid(self, cell: Cell, mode: Literal["batch", "live"]) -> CellTotals:
        """Where the tokens that were paid for are added up."""
        return self._totals.setdefault((cell, mode), CellTotals())

    def _fold_event(self, event: dict[str, Any]) -> None:
        if "fact" in event:
            self._facts[event["fact"]] = event["facts"]
            return
        if "seen" in event:
            tag = event.pop("seen")
            known = {name: event[name] for name in _SNAPSHOT_FACTS if name in event}
            self._jobs[tag] = replace(self._jobs[tag], seen=BatchSnapshot(**known))
            return
        tag = event["job"]
        facts = {key: event[key] for key in JOB_FACTS if event.get(key)}
        facts["changed"] = event["time"]
        if tag in self._jobs:
            self._jobs[tag] = replace(self._jobs[tag], **facts)
        else:
            job = Job(tag, event["provider"], event["state"], event["requests"], event["time"])
            self._jobs[tag] = replace(job, **facts)

    def _lines(self, path: Path) -> Iterator[list[bytes]]:
        """All whole or cancelled lines, some at a time.

        Once all of them are read, and so believed, what a process that was killed has left at the end is mended.
        """
        tail = b""
        before = 0
        with _open(path) as file:
            if os.fstat(file.fileno()).st_size < LONGEST_LINE_BYTES:
                some = iter(partial(file.readlines, READ_BYTES), [])
            else:
                some = ([line] for line in iter(partial(file.readline, LONGEST_LINE_BYTES), b""))
            for lines in some:
                if not lines[-1].endswith(b"\n"):
                    tail = lines.pop()
                    if len(tail) >= LONGEST_LINE_BYTES:
                        raise _too_long().at(path, before + len(lines) + 1)
                yield lines
                before += len(lines)
        if tail:
            try:
                torn = is_torn(tail)
            except UnreadableLine as error:
                raise error.at(path, before + 1) from error
            if not torn:
                yield [tail.rstrip(b"\0") + b"\n"]
            self._mend_tail(path, tail, torn=torn)

    def _mend_tail(self, path: Path, tail: bytes, *, torn: bool) -> None:
        """Keep half a line aside; complete one that lacks only its line break, without the NULs behind it."""
        if not self._writable:
            what = "is torn" if torn else "has lost its line break"
            self._say(f"The last line of {path} {what}; the next run mends it.")
        elif torn:
            aside = _free_name(path.with_name(f"{path.name}.torn-{path.stat().st_size - len(tail)}"))
            move_tail(path, tail, aside)
            self._say(f"The last line of {path} was torn ({len(tail)} bytes); it was cut off and kept in {aside.name}.")
        else:
            whole = tail.rstrip(b"\0")
            cut_off(path, len(tail) - len(whole))
            finish_line(path)
            self._say(f"The last line of {path} had lost its line break; it is whole again.")


def _open(path: Path) -> BinaryIO:
    """Raises VluresError if it is no file that can be read."""
    try:
        return open_file(path, READ_BYTES)
    except UnusableFile as error:
        raise VluresError(
            f"{path} {error}; move it aside or give yourself the right to read it, then run again."
        ) from error


def _read_each(lines: list[bytes], path: Path, before: int) -> Iterator[StoredLine | None]:
    """Lines of a checkpoint, before which so many stand; None for one that was cancelled. Raises VluresError, naming the line."""
    for number, line in enumerate(lines, start=before + 1):
        try:
            stored = read_line(line)
        except UnreadableLine as error:
            if not line.endswith(CANCELLED):
                raise error.at(path, number) from error
            stored = None
        yield stored


def _too_long() -> UnreadableLine:
    return UnreadableLine(f"it has more than {LONGEST_LINE_BYTES:,} bytes")


def _fold(entries: dict[str, Entry], sample_id: str, entry: Entry) -> None:
    """The last answer stands; a failure does not displace an answer, a wish to ask again marks it."""
    standing = entries.get(sample_id)
    if entry.status == "due":
        if standing:
            entries[sample_id] = msgspec.structs.replace(standing, due=True)
    elif standing is None or entry.status in FINAL_STATUSES or standing.status not in FINAL_STATUSES:
        entries[sample_id] = entry


def sort_ids(sample_ids: Iterable[str]) -> list[str]:
    """Shorter IDs first, those of one length by their characters: whole numbers ascend."""
    return sorted(sorted(sample_ids), key=len)


def encode_line(response: Response) -> bytes:
    """A response as its line in a checkpoint file."""
    return msgspec.json.encode(_without_nones(msgspec.to_builtins(response))) + b"\n"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _free_name(path: Path) -> Path:
    """The path, or the first of `path-2`, `path-3` … that is not taken."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _without_nones(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nones(inner) for key, inner in value.items() if inner is not None}
    return value

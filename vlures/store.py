"""CheckpointStore: the append-only record of responses and jobs; the only thing that a run must not lose.

One file per cell with a line per response, `jobs.jsonl` with a line per event of a job. A line is in the operating
system's hands before it is counted, and on the disk within a second. Nothing is ever deleted: a torn last line is
moved aside, any other unreadable line stops the run.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from vlures.errors import VluresError
from vlures.records import (
    FINAL_STATUSES,
    OPEN_JOB_STATES,
    Cell,
    Job,
    JobState,
    Response,
    Setting,
    Sighting,
    Status,
    Usage,
    request_key,
)

LEAST_FREE_BYTES = 32_000_000
"""A run stops sending while there is still this much room, so that the answers in flight find a place."""

SYNCED_IN_TURN = 4
SYNCS_AT_ONCE = 16
"""What is brought to the disk at the same time goes there together: 32 files took 19 ms one after another, and 4 ms so."""

READ_BYTES = 1_000_000
"""Of a checkpoint at a time."""

JOB_FACTS = ("state", "file_id", "batch_id", "status", "note", "weight", "trial", "deadline", "input_until")
_CHECKPOINT_NAME = re.compile(r"checkpoint_task(\d+)_(\w+)\.jsonl")


# What there is a million of is a Struct without garbage collection: made in a fraction of a dataclass's time.


class _StoredUsage(msgspec.Struct, frozen=True, gc=False):
    """Usage, as a line has it."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    thinking_tokens: int | None = None
    cache_write_tokens: int | None = None


class _StoredLine(msgspec.Struct, frozen=True, gc=False):
    """What the store keeps in mind of a response; the text stays on the disk."""

    key: str
    status: Status | Literal["due"]
    digest: str = ""
    error: dict[str, Any] | None = None
    usage: _StoredUsage | None = None
    job: str | None = None
    imported: str | None = None


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

    def add(self, usage: Usage | _StoredUsage | CellTotals) -> None:
        self.input_tokens += usage.input_tokens or 0
        self.output_tokens += usage.output_tokens or 0
        self.cached_tokens += usage.cached_tokens or 0
        self.thinking_tokens += usage.thinking_tokens or 0
        self.cache_write_tokens += usage.cache_write_tokens or 0


class CheckpointStore:
    """The checkpoint folder of one output folder in one setting.

    writable=False reads only and mends nothing. say: called with a sentence about anything that was mended.
    Raises VluresError for a line that cannot be read, naming file and line.
    """

    def __init__(
        self,
        output_folder: Path,
        setting: Setting,
        *,
        writable: bool = True,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.folder = output_folder / f"checkpoints_{setting.label}"
        self.setting = setting
        self._writable = writable
        self._say = say
        self._files: dict[Path, int] = {}
        self._dirty: set[Path] = set()
        self._has_new_names = True
        # Files of earlier processes: one that was killed may have left its last answers in the system's hands only.
        self._found: set[Path] = set()
        self._entries: dict[Cell, dict[int, Entry]] = {}
        self._totals: dict[tuple[Cell, Literal["batch", "live"]], CellTotals] = {}
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

    def entries(self, cell: Cell) -> Mapping[int, Entry]:
        return self._entries.get(cell, {})

    def entry(self, cell: Cell, sample_id: int) -> Entry | None:
        return self._entries.get(cell, {}).get(sample_id)

    def totals(self, cell: Cell, mode: Literal["batch", "live"] | None = None) -> CellTotals:
        """Tokens of a cell's answers, in one mode or in both."""
        if mode is not None:
            return self._totals.get((cell, mode), CellTotals())
        both = CellTotals()
        both.add(self.totals(cell, "batch"))
        both.add(self.totals(cell, "live"))
        return both

    def responses(self, cell: Cell, only: int | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
        """The standing response of every sample of the cell, or of one, by ascending ID, read back from the disk."""
        entries = self._entries.get(cell, {})
        if only is not None:
            entries = {sample_id: entries[sample_id] for sample_id in entries.keys() & {only}}
        if not entries:
            return
        with self.checkpoint_path(cell).open("rb") as file:
            for sample_id in sorted(entries):
                file.seek(entries[sample_id].offset)
                yield sample_id, msgspec.json.decode(file.readline())

    def usage(self, cell: Cell, entry: Entry) -> Usage | None:
        """What the answer used, read back from the disk."""
        with self.checkpoint_path(cell).open("rb") as file:
            file.seek(entry.offset)
            used = msgspec.json.decode(file.readline()).get("usage")
        return msgspec.convert(used, Usage) if used else None

    def checkpoint_path(self, cell: Cell) -> Path:
        return self.folder / f"checkpoint_task{cell.task}_{cell.language}.jsonl"

    @property
    def jobs_path(self) -> Path:
        return self.folder / "jobs.jsonl"

    # Writing

    def append(self, response: Response) -> bool:
        """Store a response. False if the same question has its answer already, or if this is the very answer that stands,
        collected once more; then nothing is written."""
        cell, sample_id = parse_key(response.key, self.setting)
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
        offset = self._write(self.checkpoint_path(cell), _without_nones(msgspec.to_builtins(response)))
        entry = Entry(response.status, response.digest, offset, imported=response.imported is not None)
        _fold(self._entries.setdefault(cell, {}), sample_id, entry)
        if response.usage:
            self._paid(cell, "batch" if response.job else "live").add(response.usage)
        return True

    def foresee(self, cell: Cell, sample_id: int) -> None:
        """Count an answer as imported in this object's mind only: for the plan of a run that will import it."""
        self._entries.setdefault(cell, {})[sample_id] = Entry("ok", "", -1, imported=True)

    def _stands(self, response: Response, cell: Cell, standing: Entry) -> bool:
        """Whether the response is the standing one, of the same job."""
        if response.job is None or response.status == "failed":
            return False
        with self.checkpoint_path(cell).open("rb") as file:
            file.seek(standing.offset)
            return bool(msgspec.json.decode(file.readline()).get("job") == response.job)

    def ask_again(self, cell: Cell, sample_id: int, why: str) -> None:
        """Make an answered request due; its old answer stays in the file, and stands until a new one comes."""
        standing = self._entries[cell][sample_id]
        key = f"{cell.language}-t{cell.task}-{self.setting.key}-{sample_id}"
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
        facts = {name: getattr(job, name) for name in ("file_id", "input_until", "weight", "trial")}
        self._record_event(event | {name: fact for name, fact in facts.items() if fact})

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None:
        """What has become of a job: file_id, input_until, batch_id, deadline, status, note. Answers stored so far are on
        the disk first."""
        if state == "collected":
            self.sync_all()
        self._record_event({"job": tag, "state": state, "time": now(), **facts})

    def see_job(self, tag: str, sighting: Sighting) -> None:
        """How a job's batch looks at the provider. On the disk within a second."""
        event = {"seen": tag, **_without_nones(asdict(sighting))}
        self._write(self.jobs_path, event)
        self._fold_event(event)

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was last remembered under the name; empty if nothing was."""
        return self._facts.get(name, {})

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """A fact that a later run is spared to find out again. On the disk within a second."""
        event = {"fact": name, "facts": dict(facts), "time": now()}
        self._write(self.jobs_path, event)
        self._fold_event(event)

    def write_json(self, name: str, content: Any) -> None:
        """Replace a small file of the checkpoint folder, whole or not at all."""
        write_whole(self.folder / name, json.dumps(content, ensure_ascii=False, indent=2) + "\n")
        self._has_new_names = True

    def read_json(self, name: str) -> dict[str, Any]:
        """A small file of the checkpoint folder; empty if it is not there."""
        path = self.folder / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise VluresError(f"{path} cannot be read ({error}); move it aside and run again.") from error
        return content if isinstance(content, dict) else {}

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
        self.sync()
        for descriptor in self._files.values():
            os.close(descriptor)
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
        offset = -1
        try:
            descriptor = self._descriptor(path)
            offset = os.lseek(descriptor, 0, os.SEEK_END)
            data = msgspec.json.encode(line) + b"\n"
            written = os.write(descriptor, data)
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError as error:
            if offset >= 0:
                os.ftruncate(descriptor, offset)
            raise VluresError(
                f"{path} cannot be written ({error.strerror}); what it held is safe. Make room or mend its rights, and run again."
            ) from error
        self._dirty.add(path)
        return offset

    def _descriptor(self, path: Path) -> int:
        if path not in self._files:
            self._has_new_names = self._has_new_names or not path.exists()
            self._files[path] = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._files[path]

    def _record_event(self, event: dict[str, Any]) -> None:
        self._write(self.jobs_path, _without_nones(event))
        self._bring_to_disk(self.jobs_path)
        self._fold_event(event)

    def _bring_to_disk(self, path: Path) -> None:
        self._dirty.discard(path)
        try:
            os.fsync(self._descriptor(path))
            self._bring_names_to_disk()
        except OSError as error:
            self._dirty.add(path)
            raise VluresError(f"{path} cannot be brought to the disk ({error.strerror}); look at the disk.") from error

    def _bring_names_to_disk(self) -> None:
        """The names of new files, and of the folders that were made for them, stand in the folders above. On some file
        systems a file that was synced is lost with its name: https://man7.org/linux/man-pages/man2/fsync.2.html#DESCRIPTION"""
        if not self._has_new_names:
            return
        self._has_new_names = False  # before, because another thread may make a file meanwhile
        for folder in (self.folder, *self.folder.parents[:2]):
            try:
                descriptor = os.open(folder, os.O_RDONLY)
            except OSError:
                return  # not every system lets a folder be opened
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno not in (errno.EBADF, errno.EINVAL):  # nor be synced
                    self._has_new_names = True
                    raise
            finally:
                os.close(descriptor)

    # Folding lines into what stands

    def _load(self) -> None:
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("checkpoint_task*_*.jsonl")):
            match = _CHECKPOINT_NAME.fullmatch(path.name)
            if match is None:
                continue
            self._found.add(path)
            self._load_cell(path, Cell(match[2], int(match[1])))
        if self.jobs_path.is_file():
            for number, _, line in self._lines(self.jobs_path):
                try:
                    self._fold_event(msgspec.json.decode(line))
                except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
                    raise _unreadable(self.jobs_path, number, error) from error

    def _load_cell(self, path: Path, cell: Cell) -> None:
        """Everything that costs a million times is looked up before the lines are gone through."""
        decode = msgspec.json.Decoder(_StoredLine).decode
        prefix = request_key(cell, self.setting, 0)[:-1]
        entries = self._entries.get(cell, {})
        batch, live = self._paid(cell, "batch"), self._paid(cell, "live")
        for number, offset, line in self._lines(path):
            try:
                stored = decode(line)
                sample_id = _sample_id(stored.key, prefix)
            except (msgspec.DecodeError, ValueError) as error:
                raise _unreadable(path, number, error) from error
            imported = stored.imported is not None
            _fold(entries, sample_id, Entry(stored.status, stored.digest, offset, imported=imported))
            if stored.usage is not None:
                (batch if stored.job else live).add(stored.usage)
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
            self._jobs[tag] = replace(self._jobs[tag], seen=Sighting(**event))
            return
        tag = event["job"]
        facts = {key: event[key] for key in JOB_FACTS if event.get(key)}
        facts["changed"] = event["time"]
        if tag in self._jobs:
            self._jobs[tag] = replace(self._jobs[tag], **facts)
        else:
            job = Job(tag, event["provider"], event["state"], event["requests"], event["time"])
            self._jobs[tag] = replace(job, **facts)

    def _lines(self, path: Path) -> Iterator[tuple[int, int, bytes]]:
        """(line number from 1, offset in bytes, line) of each whole line; a torn last line is mended first."""
        self._mend_tail(path)
        offset = 0
        with path.open("rb", buffering=READ_BYTES) as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield number, offset, line
                offset += len(line)

    def _mend_tail(self, path: Path) -> None:
        """A process that was killed may have left half a line at the end. Keep it aside; complete it if only
        its line break is missing."""
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            torn = _tail_after_last_break(file, size)
        if not torn:
            return
        if not self._writable:
            self._say(f"The last line of {path} is torn; the next run mends it.")
            return
        try:
            msgspec.json.decode(torn)
        except (msgspec.DecodeError, UnicodeDecodeError):
            aside = _free_name(path.with_name(f"{path.name}.torn-{size - len(torn)}"))
            aside.write_bytes(torn)
            os.truncate(path, size - len(torn))
            self._say(f"The last line of {path} was torn ({len(torn)} bytes); it was cut off and kept in {aside.name}.")
        else:
            with path.open("ab") as file:
                file.write(b"\n")
            self._say(f"The last line of {path} had lost its line break; it is whole again.")


def _fold(entries: dict[int, Entry], sample_id: int, entry: Entry) -> None:
    """The last answer stands; a failure does not displace an answer, a wish to ask again marks it."""
    standing = entries.get(sample_id)
    if entry.status == "due":
        if standing:
            entries[sample_id] = msgspec.structs.replace(standing, due=True)
    elif standing is None or entry.status in FINAL_STATUSES or standing.status not in FINAL_STATUSES:
        entries[sample_id] = entry


def _sample_id(key: str, prefix: str) -> int:
    """Of a key that begins with the prefix. Raises ValueError for any other, and for what is no number."""
    number = key.removeprefix(prefix)
    if not (len(number) < len(key) and number.isascii() and number.isdigit()):
        raise ValueError(f"the key {key!r} does not belong here")
    return int(number)


def parse_key(key: str, setting: Setting) -> tuple[Cell, int]:
    """The cell and the sample's ID of a request's key. Raises ValueError if it is no key of this setting."""
    match = re.fullmatch(rf"([A-Za-z]+)-t([0-9]+)-{setting.key}-([0-9]+)", key)
    if match is None:
        raise ValueError(f"{key!r} is not the key of a request in the setting {setting.label}")
    return Cell(match[1], int(match[2])), int(match[3])


def write_whole(path: Path, content: str) -> None:
    """Replace a file so that a reader, or a crash, sees the old one or the new one. Makes its folder."""
    scratch = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with scratch.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise VluresError(
            f"{path} cannot be written ({error.strerror}); the answers are safe in the checkpoints. Make room and run again."
        ) from error


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


def _tail_after_last_break(file: Any, size: int) -> bytes:
    tail = b""
    position = size
    while position > 0 and b"\n" not in tail:
        step = min(65_536, position)
        position -= step
        file.seek(position)
        tail = file.read(step) + tail
    return tail[tail.rfind(b"\n") + 1 :]


def _without_nones(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nones(inner) for key, inner in value.items() if inner is not None}
    return value


def _unreadable(path: Path, number: int, error: Exception) -> VluresError:
    return VluresError(
        f"{path}, line {number}, cannot be read ({error}); nothing was changed. Mend or remove that line, then run again."
    )

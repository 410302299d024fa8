"""CheckpointStore: the append-only record of responses and jobs; the only thing that a run must not lose.

One file per cell with a line per response, `jobs.jsonl` with a line per event of a job. A line is in the operating
system's hands before it is counted, and on the disk within a second. Nothing is ever deleted: a torn last line is
moved aside, any other unreadable line stops the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from vlures.errors import VluresError
from vlures.records import FINAL_STATUSES, BatchSnapshot, Cell, Job, JobState, Response, Usage, Variant
from vlures.store.cell_state import CellMoney, CellState, CellTotals, Entry, sort_ids
from vlures.store.clock import now
from vlures.store.folder import CheckpointFolder
from vlures.store.jobs import JobJournal
from vlures.store.keys import parse_key, request_key
from vlures.store.lines import UnreadableLine, encode_line, read_answer, read_line
from vlures.store.loading import load_cell, read_blocks
from vlures.store.small_files import read_small_file
from vlures.store.tails import TailRepair


class CheckpointStore:
    """The checkpoint folder of one output folder in one variant.

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
        """writable: False reads only and repairs nothing. say: called with a sentence about each repair.

        guard: raises where the folder is no longer this process's; called before each event of a job, and by whoever
        appends.
        """
        self.guard = guard
        self.folder = output_folder / f"checkpoints_{variant.label}"
        self.variant = variant
        self._files = CheckpointFolder(self.folder)
        self._journal = JobJournal(self._files, guard)
        self._cells: dict[Cell, CellState] = {}
        if writable:
            self._files.make()
        self._load(TailRepair(writable, say))

    def _load(self, tails: TailRepair) -> None:
        if not self.folder.is_dir():
            return
        for path in sorted(self.folder.glob("*.jsonl")):
            cell = self.variant.cell_of(path.name)
            if cell is None:
                continue
            self._files.add_found(path)
            self._cells[cell] = load_cell(path, cell, self.variant, tails)
        if self.jobs_path.is_file():
            self._journal.load(read_blocks(self.jobs_path, tails))

    # Reading

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Those with answers, sorted."""
        return tuple(sorted(cell for cell, state in self._cells.items() if state.entries))

    def entries(self, cell: Cell) -> Mapping[str, Entry]:
        state = self._cells.get(cell)
        return state.entries if state is not None else {}

    def entry(self, cell: Cell, sample_id: str) -> Entry | None:
        state = self._cells.get(cell)
        return state.entries.get(sample_id) if state is not None else None

    def totals(self, cell: Cell, mode: Literal["batch", "live"] | None = None) -> CellTotals:
        """Tokens of a cell's answers, in one mode or in both."""
        state = self._cells.get(cell) or CellState()
        if mode is not None:
            return state.batch if mode == "batch" else state.live
        both = CellTotals()
        both.add(state.batch)
        both.add(state.live)
        return both

    def money(self, cell: Cell) -> CellMoney:
        """What the lines of a cell say about their cost."""
        state = self._cells.get(cell)
        return state.money if state is not None else CellMoney()

    def responses(self, cell: Cell, only: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """The standing response of every sample of the cell, or of one, in the order of sort_ids, read from the
        disk."""
        entries = self.entries(cell)
        if only is not None:
            entries = {sample_id: entries[sample_id] for sample_id in entries.keys() & {only}}
        yield from self._read_entries(cell, entries)

    def unusable_responses(self, cell: Cell) -> Iterator[tuple[str, dict[str, Any]]]:
        """The same for the samples whose standing response is not `ok`."""
        unusable = {sample_id: entry for sample_id, entry in self.entries(cell).items() if entry.status != "ok"}
        yield from self._read_entries(cell, unusable)

    def _read_entries(self, cell: Cell, entries: Mapping[str, Entry]) -> Iterator[tuple[str, dict[str, Any]]]:
        if not entries:
            return
        with self.checkpoint_path(cell).open("rb") as file:
            for sample_id in sort_ids(entries):
                yield sample_id, self._read_at(file, entries[sample_id].offset)

    def usage(self, cell: Cell, entry: Entry) -> Usage | None:
        """What the answer used, read from the disk."""
        used = self._read_entry(cell, entry).get("usage")
        return msgspec.convert(used, Usage) if used else None

    def holds(self, response: Response) -> bool:
        """Whether the standing answer is this very one, collected once more."""
        cell, sample_id = parse_key(response.key, self.variant)
        standing = self.entry(cell, sample_id)
        return standing is not None and self._stands(response, cell, standing)

    def checkpoint_path(self, cell: Cell) -> Path:
        return self.folder / self.variant.checkpoint_file(cell)

    def read_json(self, name: str) -> dict[str, Any]:
        """A small file of the checkpoint folder; empty if it does not exist."""
        return read_small_file(self.folder / name)

    def _read_entry(self, cell: Cell, entry: Entry) -> dict[str, Any]:
        with self.checkpoint_path(cell).open("rb") as file:
            return self._read_at(file, entry.offset)

    def _read_at(self, file: BinaryIO, offset: int) -> dict[str, Any]:
        """Raises VluresError for a line that has changed since the store was opened."""
        file.seek(offset)
        try:
            return read_answer(file.readline().rstrip(b"\0"))
        except UnreadableLine as error:
            raise VluresError(
                f"{file.name}, at byte {offset:,}, can no longer be read ({error}). {error.advice}"
            ) from error

    def _stands(self, response: Response, cell: Cell, standing: Entry) -> bool:
        """Whether the response is the standing one, of the same job."""
        if response.job is None or response.status == "failed":
            return False
        return bool(self._read_entry(cell, standing).get("job") == response.job)

    def _is_answered(self, key: str) -> bool:
        entry = self.entry(*parse_key(key, self.variant))
        return entry is not None and entry.status in FINAL_STATUSES

    # Writing

    def open_checkpoints(self, cells: Iterable[Cell]) -> None:
        """Open the files that answers will go to, before any of them is paid for. Raises NotWritable."""
        for cell in cells:
            self._files.open(self.checkpoint_path(cell))
        self._files.open(self.jobs_path)

    def append(self, response: Response) -> bool:
        """Store a response. False, and nothing is written, if the same question has its answer already, or if this is
        the very answer that stands, collected once more."""
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
        offset = self._files.append(self.checkpoint_path(cell), encode_line(response))
        self._state(cell).add(sample_id, response, offset)
        return True

    def ask_again(self, cell: Cell, sample_id: str, why: str) -> None:
        """Make an answered request due; its old answer stays in the file, and stands until a new one comes."""
        entries = self._cells[cell].entries
        standing = entries[sample_id]
        key = request_key(cell, self.variant, sample_id)
        line = {"key": key, "status": "due", "why": why, "time": now()}
        self._files.append(self.checkpoint_path(cell), msgspec.json.encode(line) + b"\n")
        entries[sample_id] = msgspec.structs.replace(standing, due=True)

    def take_in(self, line: bytes) -> bool:
        """Take in a checkpoint's line that an earlier process had to write elsewhere, unless it is here too.

        Returns whether it brought an answer. Raises UnreadableLine or ValueError for a line that is not of this
        variant.
        """
        stored = read_line(line)
        cell, sample_id = parse_key(stored.key, self.variant)
        standing = self.entry(cell, sample_id)
        if standing is not None and self._has_line(cell, standing, line):
            return False
        if stored.status != "due":
            return self.append(msgspec.json.decode(line, type=Response))
        if standing is not None and not standing.due and self._is_older(cell, standing, stored.time):
            self._files.append(self.checkpoint_path(cell), line)
            self._cells[cell].entries[sample_id] = msgspec.structs.replace(standing, due=True)
        return False

    def assume_imported(self, cell: Cell, sample_id: str) -> None:
        """Count an answer as imported in memory only: for the plan of a run that will import it."""
        self._state(cell).entries[sample_id] = Entry("ok", "", -1, imported=True)

    def write_json(self, name: str, content: Any) -> None:
        """Replace a small file of the checkpoint folder, whole or not at all."""
        self._files.replace(name, json.dumps(content, ensure_ascii=False, indent=2) + "\n")

    def _state(self, cell: Cell) -> CellState:
        return self._cells.setdefault(cell, CellState())

    def _has_line(self, cell: Cell, standing: Entry, line: bytes) -> bool:
        with self.checkpoint_path(cell).open("rb") as file:
            file.seek(standing.offset)
            if file.readline() == line:
                return True
            file.seek(0)
            return line in file

    def _is_older(self, cell: Cell, standing: Entry, time: str | None) -> bool:
        """Whether the standing answer came before that time, so that it did not answer the question asked again."""
        came = self._read_entry(cell, standing).get("time")
        return time is not None and (came is None or came < time)

    # Bringing it to the disk

    def unsynced(self) -> list[bytes]:
        """Lines of checkpoints that may not be on the disk yet."""
        return [line for path, lines in self._files.unsynced() if path != self.jobs_path for line in lines]

    def sync(self) -> None:
        """Everything written so far is on the disk when this returns."""
        self._files.sync()

    def sync_all(self) -> None:
        """The same, including what earlier processes wrote."""
        self._files.sync_all()

    def is_short_of_room(self) -> bool:
        return self._files.is_short_of_room()

    def close(self) -> None:
        self._files.close()

    # Jobs

    @property
    def jobs_path(self) -> Path:
        return self._journal.path

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self._journal.jobs

    def open_jobs(self) -> tuple[Job, ...]:
        """Jobs whose answers may still come."""
        return self._journal.open_jobs()

    def left_by_batches(self) -> frozenset[str]:
        """Keys of requests without an answer whose batch has ended."""
        return frozenset(key for key in self._journal.keys_of_ended_batches() if not self._is_answered(key))

    def begin_job(self, job: Job) -> None:
        """Record the intent, on the disk before anything is done about it."""
        self._journal.begin(job)

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None:
        """Record what has become of a job; see JobJournal.update."""
        self._journal.update(tag, state, **facts)

    def see_job(self, tag: str, snapshot: BatchSnapshot) -> None:
        """Record how a job's batch looks at the provider. On the disk within a second."""
        self._journal.see(tag, snapshot)

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was last remembered under the name; empty if nothing was."""
        return self._journal.recall(name)

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """Note a fact that later runs need not find out again. On the disk within a second."""
        self._journal.remember(name, facts)

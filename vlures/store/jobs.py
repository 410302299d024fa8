"""jobs.jsonl: a line per event of a job, per look at its batch, and per fact that later runs can reuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from itertools import chain
from typing import Any

import msgspec

from vlures.files.writing import CANCELLED
from vlures.records import OPEN_JOB_STATES, BatchSnapshot, Job, JobState
from vlures.store.clock import now
from vlures.store.folder import CheckpointFolder
from vlures.store.job_events import read_event
from vlures.store.lines import UnreadableLine, without_nones

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


class JobJournal:
    """The jobs of a checkpoint folder and the facts that runs noted, as jobs.jsonl has them."""

    def __init__(self, folder: CheckpointFolder, guard: Callable[[], None]) -> None:
        """guard: raises where the folder is no longer this process's; asked before each event of a job."""
        self.path = folder.path / "jobs.jsonl"
        self._folder = folder
        self._guard = guard
        self._jobs: dict[str, Job] = {}
        self._facts: dict[str, dict[str, Any]] = {}

    def load(self, blocks: Iterable[list[bytes]]) -> None:
        """Read the file's lines. Raises VluresError, naming file and line, for one that cannot be read."""
        for number, line in enumerate(chain.from_iterable(blocks), start=1):
            try:
                self._fold(read_event(line, self._jobs))
            except UnreadableLine as error:
                if line.endswith(CANCELLED):
                    continue
                raise error.at(self.path, number) from error

    @property
    def jobs(self) -> tuple[Job, ...]:
        return tuple(self._jobs.values())

    def open_jobs(self) -> tuple[Job, ...]:
        """Jobs whose answers may still come."""
        return tuple(job for job in self._jobs.values() if job.state in OPEN_JOB_STATES)

    def keys_of_ended_batches(self) -> set[str]:
        """Keys of all requests that were in a batch which has ended."""
        ended = [job for job in self._jobs.values() if job.batch_id and job.state not in OPEN_JOB_STATES]
        return {key for job in ended for key in job.requests}

    def begin(self, job: Job) -> None:
        """Record the intent, on the disk before anything is done about it."""
        event = {
            "job": job.tag,
            "state": job.state,
            "provider": job.provider,
            "time": job.time,
            "requests": job.requests,
        }
        facts = {name: getattr(job, name) for name in JOB_FACTS if name not in event}
        self._record(event | {name: fact for name, fact in facts.items() if fact})

    def update(self, tag: str, state: JobState, **facts: str | None) -> None:
        """Record what has become of a job. facts: file_id, input_until, batch_id, deadline, status, note, doubted.

        Before a job is called collected, all answers stored so far are on the disk.
        """
        if state == "collected":
            self._folder.sync_all()
        self._record({"job": tag, "state": state, "time": now(), **facts})

    def see(self, tag: str, snapshot: BatchSnapshot) -> None:
        """Record how a job's batch looks at the provider. On the disk within a second."""
        event = {"seen": tag, **without_nones(asdict(snapshot))}
        self._write(event)
        self._fold(event)

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was last remembered under the name; empty if nothing was."""
        return self._facts.get(name, {})

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        """Note a fact that later runs need not find out again. On the disk within a second."""
        event = {"fact": name, "facts": dict(facts), "time": now()}
        self._fold(event)
        self._write(event)

    def _record(self, event: dict[str, Any]) -> None:
        self._guard()
        self._write(without_nones(event))
        self._folder.sync_file(self.path)
        self._fold(event)

    def _write(self, event: dict[str, Any]) -> None:
        self._folder.append(self.path, msgspec.json.encode(event) + b"\n")

    def _fold(self, event: dict[str, Any]) -> None:
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

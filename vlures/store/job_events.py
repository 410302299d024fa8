"""What a line of jobs.jsonl says, and what is wrong with one that cannot be believed."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime
from typing import Any

import msgspec

from vlures.records import JobState
from vlures.store.lines import LATER_VERSION, UPGRADE, Count, UnreadableLine, convert, read_closely


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
    weight: Count | None = None
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
    done: Count = 0
    total: Count = 0
    lost: bool = False
    results_until: str | None = None


class _FactEvent(msgspec.Struct):
    fact: str
    facts: dict[str, Any]


_EVENTS: Mapping[str, type[Any]] = {"fact": _FactEvent, "seen": _SeenEvent, "job": _JobEvent}
_MOMENTS = ("time", "since", "deadline", "input_until", "doubted", "results_until")


def read_event(line: bytes, known_jobs: Container[str] | None) -> dict[str, Any]:
    """A line of jobs.jsonl. known_jobs: the tags in the lines before; None: do not check them. Raises
    UnreadableLine."""
    try:
        event = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        event = read_closely(line)
    if not isinstance(event, dict):
        raise UnreadableLine("it is not a JSON object")
    kind = next((kind for kind in _EVENTS if kind in event), None)
    if kind is None:
        raise UnreadableLine(f"{LATER_VERSION}, or it is damaged: it names neither a job nor a fact", UPGRADE)
    if any(line.count(b'"%s"' % name) > 1 for name in (b"job", b"seen", b"fact", b"state")):
        read_closely(line)
    convert(event, _EVENTS[kind])
    if kind == "fact":
        return event
    for name in _MOMENTS:
        _check_moment(name, event.get(name))
    if known_jobs is None:
        return event
    if kind == "seen" and event["seen"] not in known_jobs:
        raise UnreadableLine(f"no line before it names the job {event['seen'][:200]!r}")
    if kind == "job" and event["job"] not in known_jobs:
        for name in ("provider", "requests"):
            if event.get(name) is None:
                raise UnreadableLine(f"the job {event['job'][:200]!r} begins without its {name}")
    return event


def _check_moment(name: str, moment: str | None) -> None:
    """A time that commands compute with must parse and carry its zone. Raises UnreadableLine."""
    if moment is None:
        return
    try:
        has_zone = datetime.fromisoformat(moment).tzinfo is not None
    except ValueError:
        has_zone = False
    if not has_zone:
        raise UnreadableLine(f"its `{name}` {moment[:100]!r} is not a time with a zone")

"""The account of one output folder: what is reserved for requests under way, and what was charged.

Amounts are whole billionths of a dollar (`nano`), so that sums are exact. A stored answer's own line in a checkpoint
says what it cost; the ledger has everything else that counts: lost replies, replies that were not answers, calls in
flight when a process was killed. No I/O: events come in, sums go out.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor
from typing import Literal

import msgspec

from vlures.store.keys import group_of

NANO = 1_000_000_000
LIVE = ""
"""Stands for a job's tag with the reservations of live calls."""

SettledBy = Literal["stored", "usage", "reservation", "killed", "free", "lost"]
"""How a cost was found.

stored: the answer's line in a checkpoint says what it cost. usage: by the usage of a reply that is not stored.
reservation, killed, lost: the most that it may have cost. free: it certainly cost nothing.
"""


def to_nano(usd: float) -> int:
    """Rounded up, against the run."""
    return ceil(round(usd * NANO, 3))


def cap_to_nano(usd: float) -> int:
    """A limit, rounded down."""
    return floor(round(usd * NANO, 3))


class Event(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A line of the ledger: one of total, reserve, settle, end, seen or untold, with the fields that go with it."""

    total: dict[str, int] | None = None
    """Charged so far, by group. Replaces all lines before this one, together with untold, standing and overs."""
    reserve: dict[str, int] | None = None
    """Requests about to be sent, live or with the batch of `job`, and the most that each may cost."""
    job: str = LIVE
    settle: str | None = None
    """The key of a request whose reservation ends; it cost `nano`, found `by`."""
    nano: int = 0
    by: SettledBy | None = None
    end: str | None = None
    """The tag of a job from which nothing more will come; what is still reserved for it costs nothing."""
    seen: float | None = None
    """The dearest answer of `model` so far, as a multiple of its reservation."""
    model: str | None = None
    untold: dict[str, int] | None = None
    """How many answers have an unknown cost, by group, in all."""
    charged: dict[str, int] | None = None
    """Charged for untold answers, by group."""
    standing: dict[str, dict[str, int]] | None = None
    """Reservations, by job and key."""
    overs: dict[str, float] | None = None
    """`seen`, by model."""
    time: str | None = None


class Ledger:
    """What the events so far add up to."""

    def __init__(self) -> None:
        self.reserved = 0
        self.charged: dict[str, int] = {}
        """By group (a cell in a variant), without what stored lines say."""
        self.untold: dict[str, int] = {}
        self.overs: dict[str, float] = {}
        self.standing: dict[str, dict[str, int]] = {}
        """By job and key."""

    def reservation(self, key: str, job: str = LIVE) -> int | None:
        """What is reserved for the request, live or with the job."""
        return self.standing.get(job, {}).get(key)

    def reserved_in(self, group: str) -> int:
        """What is reserved for requests of a cell in a variant."""
        held = (item for holdings in self.standing.values() for item in holdings.items())
        return sum(nano for key, nano in held if group_of(key) == group)

    def apply(self, event: Event) -> None:
        """Take an event in. One that does not match a reservation or job changes nothing."""
        if event.reserve is not None:
            self._reserve(event.reserve, event.job)
        elif event.settle is not None:
            self._settle(event.settle, event.job, event.nano)
        elif event.end is not None:
            self.reserved -= sum(self.standing.pop(event.end, {}).values())
        elif event.seen is not None and event.model is not None:
            self.overs[event.model] = max(event.seen, self.overs.get(event.model, 1.0))
        if event.total is not None:
            self._start_over(event)
        elif event.charged is not None:
            self._charge(event.charged)
            self.untold |= event.untold or {}

    def _reserve(self, amounts: Mapping[str, int], job: str) -> None:
        holdings = self.standing.setdefault(job, {})
        for key, nano in amounts.items():
            self.reserved += nano - holdings.get(key, 0)
            holdings[key] = nano

    def _settle(self, key: str, job: str, nano: int) -> None:
        """A charge without a reservation counts too: an answer that came twice."""
        holdings = self.standing.get(job)
        if holdings is not None:
            self.reserved -= holdings.pop(key, 0)
            if not holdings:
                del self.standing[job]
        if nano > 0:
            group = group_of(key)
            self.charged[group] = self.charged.get(group, 0) + nano

    def _charge(self, amounts: Mapping[str, int]) -> None:
        for group, nano in amounts.items():
            self.charged[group] = self.charged.get(group, 0) + max(0, nano)

    def _start_over(self, event: Event) -> None:
        self.charged = dict(event.total or {})
        self.untold = dict(event.untold or {})
        self.overs = dict(event.overs or {})
        self.standing = {job: dict(holdings) for job, holdings in (event.standing or {}).items()}
        self.reserved = sum(sum(holdings.values()) for holdings in self.standing.values())

    def sum_up(self) -> Event:
        """One event that replaces all so far."""
        return Event(
            total=self.charged, untold=self.untold or None, standing=self.standing or None, overs=self.overs or None
        )

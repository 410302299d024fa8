"""Providers that exist only on paper, and a live driver that asks them: their clock is a number, so an hour is nothing.

The limits are those in use: so many requests in any `window_s` (sliding), in each `window_s` by the clock (fixed), or a
bucket that fills at an even rate. `play` sends to one of them as the live driver does.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from vlures.backends.live.rate_control import RateControl


class Limit(Protocol):
    def admit(self, now: float) -> bool:
        """Whether a request that arrives now may pass."""
        ...

    def wait_s(self, now: float) -> float:
        """How long until the next one may, truly."""
        ...

    def scale(self, factor: float) -> None:
        """From now on so many times as much."""
        ...

    @property
    def a_second(self) -> float: ...


@dataclass
class Sliding:
    """So many in any `window_s`. strict: what is refused counts, too."""

    most: float
    window_s: float
    strict: bool = False
    seen: deque[float] = field(default_factory=deque)

    def _forget(self, now: float) -> None:
        while self.seen and self.seen[0] <= now - self.window_s:
            self.seen.popleft()

    def admit(self, now: float) -> bool:
        self._forget(now)
        admitted = len(self.seen) < self.most
        if admitted or self.strict:
            self.seen.append(now)
        return admitted

    def wait_s(self, now: float) -> float:
        self._forget(now)
        over = len(self.seen) - int(self.most)
        return self.seen[over] + self.window_s - now if over >= 0 else 0.0

    def scale(self, factor: float) -> None:
        self.most *= factor

    @property
    def a_second(self) -> float:
        return self.most / self.window_s


@dataclass
class Fixed:
    """So many in each `window_s` of a clock that began `phase_s` before the run."""

    most: float
    window_s: float
    phase_s: float = 0.0
    number: int = -1
    used: int = 0

    def _turn(self, now: float) -> None:
        number = math.floor((now + self.phase_s) / self.window_s)
        if number != self.number:
            self.number, self.used = number, 0

    def admit(self, now: float) -> bool:
        self._turn(now)
        admitted = self.used < self.most
        self.used += admitted
        return admitted

    def wait_s(self, now: float) -> float:
        self._turn(now)
        return (self.number + 1) * self.window_s - self.phase_s - now if self.used >= self.most else 0.0

    def scale(self, factor: float) -> None:
        self.most *= factor

    @property
    def a_second(self) -> float:
        return self.most / self.window_s


@dataclass
class Bucket:
    """Lets so many a second pass, and so many at once."""

    a_second: float
    at_once: float
    level: float = math.inf
    at: float = 0.0

    def _fill(self, now: float) -> None:
        self.level = min(self.at_once, self.level + (now - self.at) * self.a_second)
        self.at = now

    def admit(self, now: float) -> bool:
        self._fill(now)
        self.level -= (admitted := self.level >= 1)
        return admitted

    def wait_s(self, now: float) -> float:
        self._fill(now)
        return max(0.0, 1 - self.level) / self.a_second

    def scale(self, factor: float) -> None:
        self.a_second *= factor


Hint = Callable[[float], float | None]
"""What is told of the true time to wait."""


@dataclass
class World:
    """All that is not the limit. latency_s and refusal_s: until an answer, until a refusal. on_the_way_s: until a
    request arrives, at most. late_s: how late a start is on average. start_s: to build and send a request. changes:
    when → by which factor the limit changes. others: what else uses the limit, as moments. stops: when → for how long
    our process is stopped. mishaps: share that is refused whatever the limit says."""

    latency_s: Callable[[random.Random], float]
    refusal_s: float = 0.02
    on_the_way_s: float = 0.005
    late_s: float = 0.001
    start_s: float = 0.0013
    hint: Hint = lambda wait_s: None
    changes: tuple[tuple[float, float], ...] = ()
    others: Iterator[float] = iter(())
    stops: tuple[tuple[float, float], ...] = ()
    mishaps: float = 0.0


@dataclass
class Outcome:
    """When each request arrived that was admitted, or refused; and how many were in flight at most."""

    admitted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    took_s: float = 0.0
    most_in_flight: int = 0

    def admitted_a_second(self, since: float, until: float) -> float:
        return sum(since <= moment < until for moment in self.admitted) / (until - since)

    def refused_share(self, since: float, until: float) -> float:
        admitted = sum(since <= moment < until for moment in self.admitted)
        refused = sum(since <= moment < until for moment in self.refused)
        return refused / max(1, admitted + refused)


def play(
    limit: Limit,
    world: World,
    concurrency: int,
    *,
    lasts_s: float = math.inf,
    requests: float = math.inf,
    seed: int = 7,
    control: RateControl | None = None,
    spy: Callable[[float, RateControl], None] | None = None,
) -> Outcome:
    """Send requests as the live driver does, until all are answered or the time is over. What is refused is sent again
    before anything new: at once, the second time after 0.5 s, doubled each time up to 30 s."""
    control, chance, outcome = control or RateControl(concurrency), random.Random(seed), Outcome()
    replies: list[tuple[float, int, bool, float, float | None, int]] = []
    aside: list[tuple[float, int, int]] = []
    changes, stops = deque(world.changes), deque(world.stops)
    other = next(world.others, math.inf)
    now, order, begun, answered, in_flight = 0.0, 0, 0, 0, 0
    while now < lasts_s:
        if stops and stops[0][0] <= now:
            now += stops.popleft()[1]
        while replies and replies[0][0] <= now:
            _, _, passed, sent, after_s, attempts = heapq.heappop(replies)
            in_flight -= 1
            if passed:
                answered += 1
                control.answered(now, sent)
            else:
                control.refused(now, sent, after_s)
                wait = min(30.0, 0.5 * 2.0 ** (min(attempts, 9) - 2) + chance.random() * 0.5) if attempts > 1 else 0.0
                wait = max(after_s or 0.0, wait)
                heapq.heappush(aside, (now + wait, order, attempts))
                order += 1
        if answered >= requests:
            break
        ready = bool(aside) and aside[0][0] <= now
        anyone = ready or (begun < requests and len(aside) < max(1_000, concurrency))
        wait = control.wait_s(now, in_flight) if anyone else math.inf
        if wait <= 0:
            attempts = heapq.heappop(aside)[2] + 1 if ready else 1
            begun += not ready
            control.started(now)
            arrives = now + chance.random() * world.on_the_way_s
            while other <= arrives:
                limit.admit(other)
                other = next(world.others, math.inf)
            while changes and changes[0][0] <= arrives:
                limit.scale(changes.popleft()[1])
            passed = chance.random() >= world.mishaps and limit.admit(arrives)
            (outcome.admitted if passed else outcome.refused).append(arrives)
            after_s = None if passed else world.hint(limit.wait_s(arrives))
            reply_at = now + (world.latency_s(chance) if passed else world.refusal_s * (0.5 + chance.random()))
            heapq.heappush(replies, (reply_at, order, passed, now, after_s, attempts))
            order, in_flight = order + 1, in_flight + 1
            outcome.most_in_flight = max(outcome.most_in_flight, in_flight)
            now += world.start_s
        else:
            moment = now + wait + (chance.expovariate(1 / world.late_s) if world.late_s else 0.0)
            moment = min(
                moment, replies[0][0] if replies else math.inf, aside[0][0] if aside and not ready else math.inf
            )
            now = max(min(moment, now + 0.5), now + 1e-6)
        if spy is not None:
            spy(now, control)
    outcome.took_s = now
    return outcome

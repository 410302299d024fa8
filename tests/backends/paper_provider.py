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
        """The true time until the next one may pass."""
        ...

    def scale(self, factor: float) -> None:
        """Multiply the limit."""
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
"""The true time to wait → what a refusal says of it."""


@dataclass
class World:
    """Everything but the limit."""

    latency_s: Callable[[random.Random], float]
    """Until an answer."""
    refusal_s: float = 0.02
    """Until a refusal."""
    on_the_way_s: float = 0.005
    """Until a request arrives, at most."""
    late_s: float = 0.001
    """How late a start is on average."""
    start_s: float = 0.0013
    """To build and send a request."""
    hint: Hint = lambda wait_s: None
    changes: tuple[tuple[float, float], ...] = ()
    """When → by which factor the limit changes."""
    others: Iterator[float] = iter(())
    """Moments at which others use the limit."""
    stops: tuple[tuple[float, float], ...] = ()
    """When → for how long our process is stopped."""
    mishaps: float = 0.0
    """The share that is refused whatever the limit says."""


@dataclass
class Outcome:
    """What came of a play."""

    admitted: list[float] = field(default_factory=list)
    """When each admitted request arrived."""
    refused: list[float] = field(default_factory=list)
    """When each refused request arrived."""
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
    control = control or RateControl(concurrency)
    game = _Game(limit, world, concurrency, requests, control, random.Random(seed))
    while game.now < lasts_s:
        game.hear_replies()
        if game.answered >= requests:
            break
        game.send_or_wait()
        if spy is not None:
            spy(game.now, control)
    game.outcome.took_s = game.now
    return game.outcome


class _Game:
    """The moment that a play has reached, with all that is under way in it."""

    def __init__(
        self,
        limit: Limit,
        world: World,
        concurrency: int,
        requests: float,
        control: RateControl,
        chance: random.Random,
    ) -> None:
        self.now, self.answered, self.outcome = 0.0, 0, Outcome()
        self._limit, self._world, self._concurrency, self._requests = limit, world, concurrency, requests
        self._control, self._chance = control, chance
        self._replies: list[tuple[float, int, bool, float, float | None, int]] = []
        self._aside: list[tuple[float, int, int]] = []
        self._changes, self._stops = deque(world.changes), deque(world.stops)
        self._other = next(world.others, math.inf)
        self._order, self._begun, self._in_flight = 0, 0, 0

    def hear_replies(self) -> None:
        """Let our process stop if its time has come, then take every reply that has arrived."""
        if self._stops and self._stops[0][0] <= self.now:
            self.now += self._stops.popleft()[1]
        while self._replies and self._replies[0][0] <= self.now:
            _, _, passed, sent, after_s, attempts = heapq.heappop(self._replies)
            self._in_flight -= 1
            if passed:
                self.answered += 1
                self._control.answered(self.now, sent)
            else:
                self._control.refused(self.now, sent, after_s)
                wait = max(after_s or 0.0, self._backoff_s(attempts) if attempts > 1 else 0.0)
                heapq.heappush(self._aside, (self.now + wait, self._order, attempts))
                self._order += 1

    def _backoff_s(self, attempts: int) -> float:
        return min(30.0, 0.5 * 2.0 ** (min(attempts, 9) - 2) + self._chance.random() * 0.5)

    def send_or_wait(self) -> None:
        """Send a request if one may leave, else go on to the next moment at which something happens."""
        ready = bool(self._aside) and self._aside[0][0] <= self.now
        may_begin = self._begun < self._requests and len(self._aside) < max(1_000, self._concurrency)
        wait = self._control.wait_s(self.now, self._in_flight) if ready or may_begin else math.inf
        if wait <= 0:
            self._send(ready)
            return
        late_s = self._chance.expovariate(1 / self._world.late_s) if self._world.late_s else 0.0
        next_reply = self._replies[0][0] if self._replies else math.inf
        next_aside = self._aside[0][0] if self._aside and not ready else math.inf
        moment = min(self.now + wait + late_s, next_reply, next_aside)
        self.now = max(min(moment, self.now + 0.5), self.now + 1e-6)

    def _send(self, ready: bool) -> None:
        """Send the one that is ready to go again, else a new one."""
        chance, world = self._chance, self._world
        attempts = heapq.heappop(self._aside)[2] + 1 if ready else 1
        self._begun += not ready
        self._control.started(self.now)
        arrives = self.now + chance.random() * world.on_the_way_s
        while self._other <= arrives:
            self._limit.admit(self._other)
            self._other = next(world.others, math.inf)
        while self._changes and self._changes[0][0] <= arrives:
            self._limit.scale(self._changes.popleft()[1])
        passed = chance.random() >= world.mishaps and self._limit.admit(arrives)
        (self.outcome.admitted if passed else self.outcome.refused).append(arrives)
        after_s = None if passed else world.hint(self._limit.wait_s(arrives))
        reply_at = self.now + (world.latency_s(chance) if passed else world.refusal_s * (0.5 + chance.random()))
        heapq.heappush(self._replies, (reply_at, self._order, passed, self.now, after_s, attempts))
        self._order, self._in_flight = self._order + 1, self._in_flight + 1
        self.outcome.most_in_flight = max(self.outcome.most_in_flight, self._in_flight)
        self.now += world.start_s

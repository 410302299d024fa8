"""How many live requests may be in flight, and how fast they may leave: additive increase, multiplicative decrease.

Two limits, found out from what a provider answers, since none tells them reliably:

- the *window*, how many requests are in flight: it shrinks when the provider is overloaded, times out or refuses, and
  grows by one each time that a whole window was answered, up to the user's `--concurrency`.
- the *rate*, how many leave in a second: unlimited until a request is refused with a 429. A refusal lowers it, answers
  let it grow again: fast up to about where it was refused last, then slowly, and faster again when nothing is refused
  for long. It is never long below what the provider took on average in the last minute.

The window alone would not do: of a server that lets 100 a second pass and answers in 0.2 s, a window of 20 uses all,
one of 19 wastes a twentieth, one of 21 is refused once in four answers. No clock and no network in here: moments, in
seconds of one clock, come in as arguments.
"""

from __future__ import annotations

import math
from collections import deque

GROWTH_A_SECOND = 0.02
FAST_GROWTH_A_SECOND = 0.7
GROWTH_OF_A_MINUTES_LIMIT = 0.001
"""A limit that is counted over a minute or more tells only after that time that it was passed."""
NEAR = 0.9
"""From this share of the rate that was refused last on, growth is slow."""
LONG_S = 10.0
"""After so long without a refusal growth is twice as fast, after twice as long three times as fast, and so on."""
CUT_AFTER_ANSWERS = 0.9
"""When others were answered since the last cut, the limit is near."""
CUT_BEFORE_ANSWERS = 0.5
WINDOW_CUT_BY_REFUSAL = 0.8
WINDOW_CUT_BY_OVERLOAD = 0.5
SLOWEST = 0.2
"""Requests a second. A provider that refuses everything is asked every five seconds."""
LONG_HINT_S = 10.0
"""A provider that asks for a longer pause counts over a minute or more, and what it took before was all there was."""
LEAST_TAKEN = 5
AVERAGE_OVER_S = 60.0
BURST_S = 0.1
LATE_S = 0.005
"""A start that came so much too late does not put off the next: timers are not exact."""


class Flow:
    """The state of the two limits. concurrency: the window never exceeds it."""

    def __init__(self, concurrency: int) -> None:
        self.window = float(concurrency)
        self.rate: float | None = None
        self._concurrency = concurrency
        self._resume_at = -math.inf
        self._next_start = -math.inf
        self._starts: deque[float] = deque(maxlen=64)
        self._answers = _Average()
        self._latency_s = 0.1
        self._rate_cut_at = self._window_cut_at = -math.inf
        self._answered_since_cut = False
        self._ceiling = math.inf
        self._counts_long = False
        self._grown_at = 0.0
        self._period_began: float | None = None
        self._period_taken = 0

    def wait_s(self, now: float, in_flight: int) -> float:
        """Seconds until the next request may leave; infinite while one that is in flight must come back first."""
        if in_flight >= max(1, int(self.window)):
            return math.inf
        return max(0.0, self._resume_at - now, self._next_start - now)

    @property
    def resume_at(self) -> float:
        """Nobody leaves before, because the provider asked for a pause."""
        return self._resume_at

    def started(self, now: float) -> None:
        if self._period_began is None:
            self._period_began = now
        self._starts.append(now)
        self._period_taken += 1
        if self.rate:
            self._next_start = max(self._next_start, now - LATE_S) + 1 / self.rate

    def answered(self, now: float, sent: float) -> None:
        """A request that was sent at `sent` has its answer."""
        self._answers.add(now)
        self._latency_s += 0.1 * (now - sent - self._latency_s)
        self._answered_since_cut = self._answered_since_cut or sent >= self._rate_cut_at
        if self.rate:
            self.rate = max(self._grown(self.rate, now), CUT_AFTER_ANSWERS * self._answers.a_second(now))
            self._grown_at = now
        self.window = min(self._concurrency, self.window + 1 / self.window)

    def refused(self, now: float, sent: float, after_s: float | None) -> None:
        """A request that was sent at `sent` was one too many for a limit. after_s: what the provider asks to wait."""
        self.pause(now, after_s or 0.0)
        if sent < self._rate_cut_at:
            return  # it left before the last refusal was heard of
        self._period_taken -= 1
        counts_long = after_s is not None and after_s > LONG_HINT_S
        if counts_long and self._period_taken < LEAST_TAKEN:
            return  # the limit was used up by others, or before this run: nothing is known of it yet
        rate = self.rate or self._rate_of_starts()
        if counts_long and after_s is not None:
            self._counts_long = True
            since = self._period_began if self._period_began is not None else now
            rate = self._ceiling = min(rate, self._period_taken / max(now + after_s - since, 0.1))
            self._period_began, self._period_taken = now + after_s, 0
        else:
            if self.rate:  # before the first refusal they left as they could, which tells little
                self._ceiling = rate
            rate *= CUT_AFTER_ANSWERS if self._answered_since_cut else CUT_BEFORE_ANSWERS
        self.rate = max(SLOWEST, rate)
        self._rate_cut_at = self._grown_at = now
        self._answered_since_cut = False
        self._next_start = now + 1 / self.rate
        self._cut_window(now, WINDOW_CUT_BY_REFUSAL)

    def overloaded(self, now: float, pause_s: float) -> None:
        """The provider cannot bear so much; nobody leaves for so many seconds."""
        self.pause(now, pause_s)
        self._cut_window(now, WINDOW_CUT_BY_OVERLOAD)

    def pause(self, now: float, pause_s: float) -> None:
        self._resume_at = max(self._resume_at, now + pause_s)

    def _grown(self, rate: float, now: float) -> float:
        """The rate after the time since it grew last."""
        passed_s = now - self._grown_at
        if rate < NEAR * self._ceiling:
            return min(rate * math.exp(FAST_GROWTH_A_SECOND * passed_s), NEAR * self._ceiling)
        growth = GROWTH_A_SECOND * (1 + (now - self._rate_cut_at) / LONG_S)
        return rate * math.exp((GROWTH_OF_A_MINUTES_LIMIT if self._counts_long else growth) * passed_s)

    def _cut_window(self, now: float, factor: float) -> None:
        """Once for all that was in flight together."""
        if now - self._window_cut_at >= self._latency_s:
            self.window = max(1.0, self.window * factor)
            self._window_cut_at = now

    def _rate_of_starts(self) -> float:
        """How fast requests left lately: on average, or in a burst."""
        last = self._starts[-1] if self._starts else 0.0
        burst = sum(start > last - BURST_S for start in self._starts) / BURST_S
        average = (len(self._starts) - 1) / max(last - self._starts[0], BURST_S) if len(self._starts) > 1 else 0.0
        return max(1.0, burst, average)


class _Average:
    """Answers a second over the last minute, or since the first one."""

    def __init__(self) -> None:
        self._moments: deque[float] = deque()
        self._began: float | None = None

    def add(self, now: float) -> None:
        if self._began is None:
            self._began = now
        self._moments.append(now)

    def a_second(self, now: float) -> float:
        """0 if the first one came less than a second ago."""
        while self._moments and self._moments[0] < now - AVERAGE_OVER_S:
            self._moments.popleft()
        span_s = min(AVERAGE_OVER_S, now - (self._began if self._began is not None else now))
        return len(self._moments) / span_s if span_s > 1 else 0.0

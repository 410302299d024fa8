"""How many live requests may be in flight and how fast they may leave, learned from the provider's replies alone.

- The *window*, how many are in flight: halved when the provider is overloaded or times out, grown by one each time that
  a whole window was answered, up to the user's `--concurrency`.
- The *rate*, how many leave in a second, evenly: unlimited until a request is refused with a 429. Whatever a provider
  counts over (a second, any minute, each minute of the clock, a bucket that fills), requests that leave evenly at its
  limit are hardly ever refused. So only that rate must be found, and found again when it changes:

  1. *Refused*: requests leave at half the rate; from the second refusal on they leave one by one after growing gaps (a
     quarter of the time since the first), so that finding the end of a used-up minute costs a dozen refusals, not
     hundreds. A request that is not refused in the time that refusals take counts as admitted: answers may take half a
     minute. Where its refusal arrives after all, whatever followed from it is taken back.
  2. *Admitted again*: from there to the end of the last such block is a round. Where the block was a good part of its
     round, a window was used up too soon: what the round admitted, by its length, is the limit. Otherwise the rate was
     a little too high and is cut by a twentieth; by more each time if it was refused again at once, but not far below
     what the last window admitted.
  3. *Then* the rate grows, by 3 % of itself over the next period and four times as much over each later one without a
     refusal. A period is a window's requests (only after a whole window does a limit show that it was passed), or 50
     for each refusal of the last block, so that about 2 % of all requests are refused; or, where the provider asks for
     pauses, so many that the pauses take a twentieth of the time.

Growth counts requests that the rate held back, not seconds: neither a stopped process nor one that waits for answers
speeds up. No clock and no network in here: moments, in seconds of one clock, come in as arguments.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

CUT = 0.95
GROWTH = 0.03
FASTER_EACH_PERIOD = 4.0
FASTEST = 32.0
REQUESTS_FOR_A_REFUSAL = 50
PAUSES_FOR_A_PAUSE = 20
"""The time to the next refusal, as a multiple of the last pause."""

GAP = 0.25
RATE_IN_DOUBT = 0.5
"""Of the rate: the speed after one refusal, until it is known whether the next request was admitted."""
LONGER_THAN_REFUSALS = 1.5
FIRST_GAP_S = 0.05
START_S = 0.001
"""The shortest round."""
LONGEST_GAP_S = 5.0
SLOWEST = 0.2
"""Requests a second. A provider that refuses everything is asked every five seconds."""

LONG_BLOCK = 0.2
"""From this share of its round on, a block shows that a window was used up."""
LEAST_OF_PROBES, LEAST_OF_PAUSE = 0.25, 0.7
"""The least that a long block leaves of the rate: less where probes measured it than where the provider told it."""
MOST_OF_ROUND = 0.8
LEAST_OF_AVERAGE, MOST_OF_AVERAGE = 0.8, 1.25
"""The bounds of the rate after a short block, by what was admitted lately."""
AVERAGE_OF = 20
"""An average is taken over at least so many requests and seconds."""
AVERAGE_S = 1.0
SOON = 12
"""Requests. A rate that is refused again after so few, or so small a part of a window, is far too high."""
SOON_IN_WINDOW = 0.3

LONGEST_WINDOW_S = 120.0
KEPT_S = 2 * LONGEST_WINDOW_S
LATE_S = 0.02
"""A start that is late by no more than this does not delay the next: timers are not exact."""
WINDOW_CUT = 0.5

TAKEN_BACK = (
    "rate",
    "_round_began",
    "_span_s",
    "_mean_rate",
    "_cuts_in_a_row",
    "_period_requests",
    "_periods",
    "_block",
)
"""What the end of a block changes."""


class RateControl:
    """The state of the two limits. concurrency: the window never exceeds it."""

    def __init__(self, concurrency: int) -> None:
        self.window = float(concurrency)
        self.rate: float | None = None
        self._concurrency = concurrency
        self._latency_s = 0.1
        self._window_cut_at = -math.inf
        self._resume_at = -math.inf
        self._next_start = -math.inf
        self._admitted: list[float] = []
        """When each request left that was not refused, or not yet."""
        self._round_began: float | None = None
        self._span_s = 0.0
        """The longest round that ended in a long block, or longest short block: the limit's window, as far as known."""
        self._mean_rate = 0.0
        """Over the last quarter of a window: a rate that grows quickly was lower when the window filled."""
        self._cuts_in_a_row = 0
        self._period_requests = float(REQUESTS_FOR_A_REFUSAL)
        self._periods = 0.0
        """Since the last block."""
        self._block = _Block()
        self._refusal_s = 0.02
        """The longest that a refusal takes to arrive."""
        self._before_end: tuple[float, dict[str, object]] | None = None
        """The probe that counted as admitted because time had passed, and what was known before."""

    def wait_s(self, now: float, in_flight: int) -> float:
        """Seconds until the next request may leave; infinite while one in flight must come back first."""
        if in_flight >= max(1, int(self.window)):
            return math.inf
        self._look_at_probe(now)
        block, at = self._block, self._next_start
        if block.probe is not None and (block.probes or not self.rate):
            at = self._admitted_at(block.probe)
        return max(0.0, self._resume_at - now, at - now)

    @property
    def resume_at(self) -> float:
        """Nothing leaves before this moment: the provider asked for a pause."""
        return self._resume_at

    def started(self, now: float) -> None:
        """A request leaves."""
        self._look_at_probe(now)
        if self._round_began is None:
            self._round_began = now
        if self._admitted and self._admitted[0] < now - 2 * KEPT_S:
            del self._admitted[: bisect_left(self._admitted, now - KEPT_S)]
        self._admitted.append(now)
        block = self._block
        if block.began is not None:
            block.probe = now if block.probe is None else block.probe  # others follow a first probe
            if self.rate:
                self._next_start = max(self._next_start, now - LATE_S) + 1 / (RATE_IN_DOUBT * self.rate)
        elif self.rate:
            held_back = now <= self._next_start + LATE_S
            self._next_start = max(self._next_start, now - LATE_S) + 1 / self.rate
            if held_back:
                self._grow(self.rate)

    def answered(self, now: float, sent: float) -> None:
        """A request that was sent at `sent` has its answer."""
        self._latency_s += 0.1 * (now - sent - self._latency_s)
        if self._block.probe is not None and sent >= self._block.heard:
            self._end_block(self._block.probe)
        self.window = min(self._concurrency, self.window + 1 / self.window)

    def refused(self, now: float, sent: float, after_s: float | None) -> None:
        """A limit refused the request that was sent at `sent`. after_s: the wait that the provider asks for."""
        self.pause(now, after_s or 0.0)
        place = bisect_right(self._admitted, sent) - 1
        if place >= 0:
            del self._admitted[place]
        self._refusal_s = max(0.9 * self._refusal_s, min(now - sent, LONGEST_GAP_S))
        if self._before_end is not None and self._before_end[0] == sent:
            self._take_back_end(self._before_end[1])
        block = self._block
        block.refusals += 1
        block.asked_s = max(block.asked_s, after_s or 0.0)
        if sent < block.heard:
            return  # it left before the last refusal arrived
        if block.began is None:
            block.began = sent
        else:
            block.probes += 1
        block.last_refused, block.heard, block.probe = sent, now, None
        gap_s = max(2 / self.rate if self.rate else FIRST_GAP_S, GAP * (now - block.began))
        self._next_start = now + min(gap_s, LONGEST_GAP_S)

    def overloaded(self, now: float, pause_s: float) -> None:
        """The provider is overloaded; nothing leaves for so many seconds. The window is halved once for all requests
        that were in flight together."""
        self.pause(now, pause_s)
        if now - self._window_cut_at >= self._latency_s:
            self.window = max(1.0, self.window * WINDOW_CUT)
            self._window_cut_at = now

    def pause(self, now: float, pause_s: float) -> None:
        """Nothing leaves for so many seconds."""
        self._resume_at = max(self._resume_at, now + pause_s)

    # The end of a block

    def _admitted_at(self, probe: float) -> float:
        """When a request that was not refused counts as admitted."""
        return probe + LONGER_THAN_REFUSALS * self._refusal_s + 0.01

    def _look_at_probe(self, now: float) -> None:
        probe = self._block.probe
        if probe is not None and now >= self._admitted_at(probe):
            self._before_end = (probe, {name: getattr(self, name) for name in TAKEN_BACK})
            self._end_block(probe)

    def _take_back_end(self, before: dict[str, object]) -> None:
        """The block went on: the probe that seemed to end it was refused late."""
        later, self._before_end = self._block, None
        for name, value in before.items():
            setattr(self, name, value)
        self._block.refusals += later.refusals
        self._block.asked_s = max(self._block.asked_s, later.asked_s)

    def _end_block(self, probe: float) -> None:
        """The request that left at `probe` was admitted: set the new rate."""
        block = self._block
        assert self._round_began is not None
        assert block.began is not None
        round_s, block_s = min(KEPT_S, probe - self._round_began), probe - block.began
        taken = self._count(probe - round_s, probe)
        if self.rate is None and not taken:  # others had used up the window, or an earlier run: nothing is known yet
            self._round_began, self._next_start, self._block = probe, -math.inf, _Block(heard=block.heard)
            return
        is_long = block_s >= LONG_BLOCK * round_s and round_s >= self._span_s / 2
        if is_long and (self.rate is None or block.refusals > 2):
            rate = self._rate_of_round(taken, round_s, probe)
            self._span_s = min(LONGEST_WINDOW_S, max(self._span_s, round_s))
            self._cuts_in_a_row = 0
            # An average over a few requests is far from exact.
            self._period_requests = min(REQUESTS_FOR_A_REFUSAL, 5 * max(1, taken))
        else:
            soon = round_s < SOON_IN_WINDOW * self._span_s or taken < SOON
            self._cuts_in_a_row = self._cuts_in_a_row + 1 if soon else 0
            self._span_s = min(LONGEST_WINDOW_S, max(self._span_s, block_s))
            rate = CUT * self._average(block.began) if self.rate is None else self._cut(block.began)
            of_refusals = REQUESTS_FOR_A_REFUSAL * (block.refusals if self.rate else 1)
            self._period_requests = max(of_refusals, PAUSES_FOR_A_PAUSE * block.asked_s * rate)
        self.rate = self._mean_rate = max(SLOWEST, rate)
        self._periods = 0.0
        self._round_began = probe
        self._next_start = probe + 1 / self.rate
        self._block = _Block(heard=block.heard)

    def _rate_of_round(self, taken: int, round_s: float, probe: float) -> float:
        """The limit by one round. Where probes found its end, that came at some moment since the last refusal; the
        earliest is assumed, as a rate that is too high shows soon."""
        block = self._block
        least = self._mean_rate * (LEAST_OF_PROBES if block.probes else LEAST_OF_PAUSE)
        if block.probes:
            round_s = max(round_s - (probe - block.last_refused), MOST_OF_ROUND * round_s)
        return max(least, CUT * max(1, taken) / max(round_s, START_S))

    def _cut(self, refused: float) -> float:
        """The rate after a short block that began at `refused`."""
        rate: float = self._mean_rate * CUT ** (2 ** min(8, self._cuts_in_a_row))
        average = self._average(refused)
        rate = max(rate, LEAST_OF_AVERAGE * average)
        return rate if len(self._admitted) <= AVERAGE_OF else min(rate, MOST_OF_AVERAGE * average)

    def _average(self, now: float) -> float:
        """Requests admitted a second, over the last window."""
        until = bisect_left(self._admitted, now)
        since = bisect_left(self._admitted, now - max(AVERAGE_S, self._span_s))
        since = min(since, max(0, until - AVERAGE_OF))
        return (until - since) / max(FIRST_GAP_S, now - self._admitted[since]) if until else SLOWEST

    def _count(self, since: float, until: float) -> int:
        return bisect_left(self._admitted, until) - bisect_left(self._admitted, since)

    def _grow(self, rate: float) -> None:
        """One more request left as soon as the rate allowed it."""
        in_window = rate * self._span_s
        self._mean_rate += (rate - self._mean_rate) * min(1.0, 4 / max(in_window, 1.0))
        periods = 1 / max(self._period_requests, in_window)
        self.rate = rate * (1 + GROWTH * min(FASTEST, FASTER_EACH_PERIOD**self._periods) * periods)
        self._periods += periods


class _Block:
    """From the first refusal until a request is admitted again."""

    __slots__ = ("asked_s", "began", "heard", "last_refused", "probe", "probes", "refusals")

    def __init__(self, heard: float = -math.inf) -> None:
        self.began: float | None = None
        """When the first refused request left."""
        self.heard = heard
        """When the last refusal arrived, also of an earlier block."""
        self.last_refused = 0.0
        """When the last refused request left."""
        self.probe: float | None = None
        """When the request left that tries the limit now."""
        self.refusals = 0
        """Since the last block ended."""
        self.probes = 0
        """Those of them that refused a probe."""
        self.asked_s = 0.0
        """The longest pause that the provider asked for."""

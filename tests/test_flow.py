"""How fast requests leave, against providers that exist only on paper: their clock is a number, so an hour is nothing."""

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vlures.backends.flow import Flow

START_S = 0.0013
"""What it takes to build and send a request, in the best of cases."""


@dataclass
class Bucket:
    """Lets so many a second pass, and so many at once; says nothing about it."""

    a_second: float
    at_once: float
    level: float = math.inf
    at: float = 0.0

    def ask(self, now: float) -> tuple[bool, float | None]:
        self.level = min(self.at_once, self.level + (now - self.at) * self.a_second)
        self.at = now
        self.level -= (passed := self.level >= 1)
        return passed, None


@dataclass
class Minute:
    """Lets so many pass in any minute, and says when to come back, if it does. Some count what they refuse, too."""

    most: int
    tells: bool
    counts_refused: bool = False
    passed: deque[float] = field(default_factory=deque)

    def ask(self, now: float) -> tuple[bool, float | None]:
        while self.passed and self.passed[0] <= now - 60:
            self.passed.popleft()
        if len(self.passed) < self.most:
            self.passed.append(now)
            return True, None
        if self.counts_refused:
            self.passed.append(now)
        return False, self.passed[max(0, len(self.passed) - self.most)] + 60 - now if self.tells else None


@dataclass
class Outcome:
    took_s: float
    sent: int
    refusals: list[float]
    most_in_flight: int


def play(
    limiter: Bucket | Minute,
    requests: int,
    concurrency: int,
    latency_s: Callable[[], float],
    refusal_s: float = 0.003,
    start_s: float = START_S,
) -> Outcome:
    """Send requests as the live driver does, those that were refused again after 0.5 s, doubled each time."""
    flow, chance = Flow(concurrency), random.Random(7)
    now, sent, most_in_flight = 0.0, 0, 0
    replies: list[tuple[float, int, bool, int, float, float | None]] = []
    aside: list[tuple[float, int]] = []
    attempts = [0] * requests
    begun = answered = in_flight = 0
    refusals: list[float] = []
    while answered < requests:
        while replies and replies[0][0] <= now:
            moment, _, passed, number, left, after_s = heapq.heappop(replies)
            in_flight -= 1
            if passed:
                flow.answered(moment, left)
                answered += 1
            else:
                refusals.append(moment)
                flow.refused(moment, left, after_s)
                attempts[number] += 1
                wait = max(after_s or 0, min(30, 0.5 * 2 ** (attempts[number] - 1)) + chance.random() * 0.5)
                heapq.heappush(aside, (moment + wait, number))
        ready = bool(aside) and aside[0][0] <= now
        anyone = ready or (begun < requests and len(aside) < concurrency)
        wait = flow.wait_s(now, in_flight)
        if anyone and wait <= 0:
            number = heapq.heappop(aside)[1] if ready else begun
            begun += not ready
            flow.started(now)
            passed, after_s = limiter.ask(now)
            reply_at = now + (latency_s() if passed else refusal_s)
            heapq.heappush(replies, (reply_at, sent, passed, number, now, after_s))
            sent, in_flight = sent + 1, in_flight + 1
            most_in_flight = max(most_in_flight, in_flight)
            now += start_s
        else:
            moments = [replies[0][0]] if replies else []
            moments += [now + wait] if anyone and wait < math.inf else []
            moments += [aside[0][0]] if aside and not ready else []
            now = max(min(moments, default=now), now + 1e-6)
    return Outcome(now, sent, refusals, most_in_flight)


def steady() -> float:
    return 0.2


def test_without_a_limit_the_whole_concurrency_is_used_from_the_start() -> None:
    outcome = play(Bucket(1e9, 1e9), 1_000, 100, steady)
    assert outcome.most_in_flight == 100
    assert outcome.took_s < 1.1 * 2
    assert outcome.refusals == []


@pytest.mark.parametrize("start_s", [0.0013, 0.005, 0.01])
@pytest.mark.parametrize("refusal_s", [0.003, 0.05])
def test_a_limit_that_nobody_tells_of_is_found_and_used(refusal_s: float, start_s: float) -> None:
    outcome = play(Bucket(100, 10), 1_000, 64, steady, refusal_s, start_s)
    assert outcome.took_s <= 1.1 * 10
    assert len(outcome.refusals) <= 60


@pytest.mark.parametrize(
    "limiter",
    [
        Minute(600, tells=True),
        Minute(600, tells=True, counts_refused=True),
        Minute(600, tells=False),
        Bucket(10, 10),
    ],
    ids=["a minute, told", "a minute, told and strict", "a minute, untold", "a bucket"],
)
def test_a_limit_of_600_a_minute_is_used_and_seldom_run_into(limiter: Minute | Bucket) -> None:
    outcome = play(limiter, 1_500, 20, steady)
    late = [moment for moment in outcome.refusals if moment > 30]
    assert 1_500 / outcome.took_s * 60 >= 0.9 * 600
    assert len(late) <= 0.025 * 1_500


def test_a_start_within_a_minute_that_others_have_used_up_tells_nothing_of_the_limit() -> None:
    limiter = Minute(600, tells=True)
    limiter.passed.extend(-20.0 + number * 0.01 for number in range(600))
    outcome = play(limiter, 1_200, 20, steady)
    assert outcome.took_s < 40 + 2 * 60
    assert len(outcome.refusals) <= 40


def test_latencies_that_differ_widely_change_nothing_about_that() -> None:
    chance = random.Random(3)
    outcome = play(Bucket(100, 10), 1_000, 64, lambda: min(2.0, max(0.05, chance.lognormvariate(-1.2, 0.7))))
    assert outcome.took_s <= 10 + 2
    assert len(outcome.refusals) <= 60


def test_a_provider_that_gets_faster_again_is_found_to_be() -> None:
    limiter = Bucket(10, 10)

    def latency_s() -> float:
        limiter.a_second = 10 if limiter.at < 30 else 1_000
        return 0.2

    outcome = play(limiter, 3_000, 50, latency_s)
    assert outcome.took_s < 150  # at 10 a second it would be 300


def test_an_overload_halves_the_window_once_for_all_that_was_in_flight_and_answers_bring_it_back() -> None:
    flow = Flow(40)
    for _ in range(40):
        flow.started(0.0)
    flow.overloaded(0.05, pause_s=2.0)
    for _ in range(39):
        flow.overloaded(0.06, pause_s=1.0)
    assert flow.window == 20
    assert flow.wait_s(0.06, 0) == pytest.approx(1.99)
    for number in range(2_000):
        flow.answered(3 + number * 0.01, 2.9 + number * 0.01)
    assert flow.window == 40


def test_a_pause_holds_everybody_and_what_was_taken_before_it_tells_the_rate() -> None:
    flow = Flow(50)
    for number in range(120):
        flow.started(number * 0.01)
        flow.answered(number * 0.01 + 0.2, number * 0.01)
    flow.started(1.9)
    flow.refused(2.0, 1.9, after_s=58.0)
    assert flow.wait_s(2.0, 0) == 58.0
    assert flow.rate == pytest.approx(120 / 60)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["start", "answer", "refuse", "refuse with a hint", "overload"]),
        st.floats(0, 100, allow_nan=False),
    ),
    max_size=200,
)


@given(concurrency=st.integers(1, 500), events=EVENTS)
@settings(deadline=None)
def test_whatever_happens_somebody_may_leave_one_day_and_never_too_many(
    concurrency: int, events: list[tuple[str, float]]
) -> None:
    flow, now = Flow(concurrency), 0.0
    for what, passed_s in events:
        sent, now = now, now + passed_s
        match what:
            case "start":
                flow.started(now)
            case "answer":
                flow.answered(now, sent)
            case "refuse":
                flow.refused(now, sent, None)
            case "refuse with a hint":
                flow.refused(now, sent, 10.0)
            case "overload":
                flow.overloaded(now, 1.0)
        assert 1 <= flow.window <= concurrency
        assert flow.rate is None or flow.rate > 0
        assert flow.wait_s(now, 0) <= 20
        assert flow.wait_s(now, concurrency) == math.inf

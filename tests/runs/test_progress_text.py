"""What the screen says, in the width that it has, and when it says how long the rest will take."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from vlures.backends.trouble import FEW, OVER_AFTER, Trouble, TroubleWatch
from vlures.errors import Retry
from vlures.runs.progress_text import (
    Counts,
    JobProgress,
    announce_trouble,
    describe_counts,
    describe_state,
    describe_trouble,
    plain_line,
)
from vlures.runs.time_left import TimeLeft

NOON = datetime(2026, 11, 30, 12, 0)
LIVE = Counts(
    now_s=723.0,
    began_s=0.0,
    answered=1370,
    done=1370,
    total=8000,
    failed=12,
    in_flight=20,
    retries=3,
    new=1382,
    left_s=1211.0,
    money="$0.12 of about $0.70",
    jobs=(),
)
BATCH = replace(
    LIVE, answered=370, done=490, jobs=(JobProgress("in_progress", 120, 600, next_look_s=763.0),), in_flight=0
)
TROUBLE = Trouble("OpenAI", "503", "503 Overloaded", 125.0, 12, 4, 1500.0, reached=True)


@pytest.mark.parametrize(
    ("counts", "width", "line"),
    [
        (LIVE, 120, "1,370/8,000 answered · 12 failed · 12:03, about 20 min left · $0.12 of about $0.70"),
        (LIVE, 80, "1,370/8,000 · 12 failed · 12:03 (~20 min left) · $0.12 of ~$0.70"),
        (LIVE, 60, "1,370/8,000 · 12 failed · 12:03 (~20 min left)"),
        (LIVE, 40, "1,370/8,000 · 12 failed"),
        (BATCH, 120, "490/8,000 done · 370 stored · 12 failed · 12:03, about 20 min left · $0.12 of about $0.70"),
        (replace(LIVE, left_s=None, money=None, failed=0), 120, "1,370/8,000 answered · 12:03"),
    ],
)
def test_the_line_of_the_bar_fits_the_screen(counts: Counts, width: int, line: str) -> None:
    assert describe_counts(counts, width) == line
    assert len(line) < width


def test_the_line_below_says_what_is_under_way_and_that_it_may_be_left() -> None:
    assert describe_state(LIVE) == "20 in flight, 3 retries, 1.9/s; Ctrl-C is safe"
    stopping = describe_state(replace(LIVE, is_stopping=True))
    assert stopping == "stopping: 20 in flight are waited for, because they are paid"
    assert describe_state(BATCH) == "batches: 1 in_progress (120/600); next look in 40 s; Ctrl-C is safe"


def test_trouble_is_one_line_with_the_numbers_first() -> None:
    assert (
        describe_trouble(TROUBLE, NOON)
        == "trouble for 2 min, 12 failed calls, 4 answered, trying until 12:25: OpenAI: 503 Overloaded"
    )
    assert "trouble for 3 min" in describe_trouble(TROUBLE.later(60.0), NOON)
    assert plain_line(LIVE, TROUBLE, NOON).endswith(describe_trouble(TROUBLE, NOON))


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (TROUBLE, "does not answer as it should: 503 Overloaded. The run keeps trying until 12:25"),
        (replace(TROUBLE, reached=False, code="connection"), "cannot be reached"),
        (replace(TROUBLE, reached=False, code="connection"), "Check the network, the proxy and the base URL."),
        (replace(TROUBLE, code="429"), "--rpm and --tpm"),
        (replace(TROUBLE, code="timeout"), "--timeout-s"),
        (replace(TROUBLE, gives_up_in_s=15.0), "12:00:15"),
    ],
)
def test_the_sentence_about_trouble_says_what_can_be_done(trouble: Trouble, words: str) -> None:
    assert words in announce_trouble(trouble, NOON)


def test_trouble_ends_with_a_success_unless_a_good_part_of_the_calls_fails() -> None:
    watch = TroubleWatch("X")
    failure = Retry("503", code="503")
    assert watch.failed(failure, 10.0, 100.0, reached=True).failed == 1
    assert watch.succeeded()
    assert not watch.succeeded()  # there is none to end
    for number in range(FEW):
        trouble = watch.failed(failure, 20.0 + number, 100.0, reached=True)
    assert (trouble.failing_for_s, trouble.failed) == (FEW - 1, FEW)
    assert not watch.succeeded()
    later = watch.failed(failure, 40.0, 100.0, reached=True)
    assert (later.failing_for_s, later.failed, later.answered) == (20.0, FEW + 1, 1)
    ends = [watch.succeeded() for _ in range(30)]
    assert ends.index(True) == OVER_AFTER - 1
    assert ends.count(True) == 1


def test_a_pause_that_the_provider_asks_for_is_part_of_the_reason() -> None:
    trouble = TroubleWatch("X").failed(Retry("429 Slow down.", code="429", after_s=7.0), 0.0, 9.0, reached=True)
    assert trouble.reason == "429 Slow down; it asks for a pause of 7 s"


def time_left(done: dict[float, int], now_s: float, total: int = 1000) -> float | None:
    learned = TimeLeft()
    for moment, count in done.items():
        learned.note(moment, count)
    return learned.estimate_s(now_s, total)


def test_an_even_pace_goes_on() -> None:
    assert time_left({float(second): 10 * second for second in range(51)}, 50.0) == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("done", "now_s"),
    [
        pytest.param({}, 5.0, id="nothing is known"),
        pytest.param({0.0: 0, 1.0: 2}, 60.0, id="too little is done"),
        pytest.param({0.0: 0, 2.0: 500}, 3.0, id="too early"),
        pytest.param({0.0: 0, 10.0: 500}, 3600.0, id="a burst, and nothing for an hour"),
        pytest.param({0.0: 0, 100.0: 30, 101.0: 600}, 102.0, id="all of it in the last second"),
    ],
)
def test_no_time_is_better_than_a_wrong_one(done: dict[float, int], now_s: float) -> None:
    assert time_left(done, now_s) is None


def test_a_long_run_needs_no_more_memory() -> None:
    learned = TimeLeft()
    for second in range(20_000):
        learned.note(float(second), second)
    assert len(learned._marks) <= 600
    assert learned.estimate_s(20_000.0, 40_000) == pytest.approx(20_000, rel=0.01)

"""When a question that always fails is given up, and when it waits with all others."""

from __future__ import annotations

import random

import pytest

from vlures.backends.live.lone_failures import GIVE_UP_AFTER, IN_DOUBT, LoneFailures, Record
from vlures.errors import Retry

BROKEN = Retry("It broke.", code="500")


def fail_until_given_up(failures: LoneFailures, record: Record, failure: Retry, *, last: bool, most: int = 100) -> int:
    """How many failures in a row end the question; more than `most`: none."""
    for number in range(1, most + 1):
        failures.note_failure(record, failure)
        if failures.is_lone(record, failure, last=last):
            return number
    return most + 1


def test_a_question_that_fails_while_others_are_answered_is_given_up() -> None:
    failures, record = LoneFailures(), Record()
    for number in range(1, GIVE_UP_AFTER + 1):
        failures.note_answer(1)
        failures.note_failure(record, BROKEN)
        assert failures.is_lone(record, BROKEN, last=False) == (number == GIVE_UP_AFTER)


def test_in_an_outage_no_question_is_given_up() -> None:
    failures, record = LoneFailures(), Record()
    for _ in range(50):
        failures.note_answer(1)
    assert fail_until_given_up(failures, record, BROKEN, last=False) > 100


def test_the_last_questions_are_given_up_if_others_were_answered_since_their_first_failure() -> None:
    failures, record = LoneFailures(), Record()
    failures.note_failure(record, BROKEN)
    failures.note_answer(1)
    assert fail_until_given_up(failures, record, BROKEN, last=True) == GIVE_UP_AFTER - 1


def test_the_last_questions_are_given_up_later_if_the_server_may_have_broken_down() -> None:
    failures = LoneFailures()
    failures.note_answer(1)
    assert fail_until_given_up(failures, Record(), BROKEN, last=True) == GIVE_UP_AFTER + IN_DOUBT


@pytest.mark.parametrize("code", ["502", "503", "504", "529", "connection", "timeout"])
def test_a_server_that_is_out_of_service_is_waited_for(code: str) -> None:
    failures = LoneFailures()
    failures.note_answer(1)
    assert fail_until_given_up(failures, Record(), Retry("Down.", code=code), last=True) > 100


@pytest.mark.parametrize(
    "failure", [Retry("Slowly.", code="429", signal="rate"), Retry("No route.", code="connection", reached=False)]
)
def test_what_no_question_can_cause_does_not_count(failure: Retry) -> None:
    failures, record = LoneFailures(), Record()
    for _ in range(100):
        failures.note_answer(1)
        failures.note_failure(record, failure)
    assert not failures.is_lone(record, failure, last=True)


def test_a_server_that_never_answered_is_not_the_questions_fault() -> None:
    assert fail_until_given_up(LoneFailures(), Record(), BROKEN, last=True) > 100


def test_the_only_questions_of_a_later_run_are_given_up_too() -> None:
    failures = LoneFailures(answered_before=True)
    assert fail_until_given_up(failures, Record(), BROKEN, last=True) == GIVE_UP_AFTER + IN_DOUBT


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_where_calls_fail_by_chance_next_to_no_question_is_given_up(share: float) -> None:
    """2,000 questions, 20 at a time, each call failing with the given probability."""
    chance = random.Random(7)
    failures, waiting = LoneFailures(), [(Record(), 0) for _ in range(2_000)]
    given_up = 0
    under_way = [waiting.pop() for _ in range(20)]
    while under_way:
        record, calls = under_way.pop(0)
        if chance.random() >= share:
            failures.note_answer(calls + 1)
        else:
            failures.note_failure(record, BROKEN)
            if not failures.is_lone(record, BROKEN, last=not waiting):
                under_way.append((record, calls + 1))
                continue
            given_up += 1
        if waiting:
            under_way.append(waiting.pop())
    assert given_up <= 2

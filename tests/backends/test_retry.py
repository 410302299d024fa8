"""How long calls are retried, by what the server has shown of itself."""

from __future__ import annotations

import pytest

from vlures.backends.retry import NEVER_ANSWERED_S, Patience
from vlures.backends.trouble import Trouble
from vlures.errors import Retry

BROKEN, STARTING = Retry("It broke.", code="500"), Retry("Loading the model.", code="503", after_s=200)


def fail(patience: Patience, failure: Retry, at_s: float) -> bool:
    """Whether a call that fails so many seconds after the start is retried."""
    patience.note_failure(failure, at_s, 0.0)
    return patience.lasts(failure, at_s, None)


@pytest.fixture
def seen() -> list[Trouble | None]:
    return []


@pytest.fixture
def patience(seen: list[Trouble | None]) -> Patience:
    return Patience("A server", 1_800.0, 60.0, seen.append)


def test_a_server_that_only_fails_is_given_up_after_three_minutes(
    patience: Patience, seen: list[Trouble | None]
) -> None:
    assert fail(patience, BROKEN, 1.0)
    assert fail(patience, BROKEN, NEVER_ANSWERED_S)
    assert seen[-1] is not None
    assert seen[-1].gives_up_in_s == pytest.approx(1.0)
    assert not fail(patience, BROKEN, NEVER_ANSWERED_S + 2)


def test_one_failure_ends_no_run_however_slow_the_server(patience: Patience) -> None:
    assert fail(patience, BROKEN, 400.0), "the first answers may be under way"
    assert not fail(patience, BROKEN, 401.0 + NEVER_ANSWERED_S)


def test_a_server_that_was_starting_has_its_three_minutes_from_then_on(patience: Patience) -> None:
    assert fail(patience, BROKEN, 1.0)
    assert fail(patience, STARTING, 300.0)
    assert fail(patience, BROKEN, 500.0)
    assert not fail(patience, BROKEN, 501.0 + NEVER_ANSWERED_S)


def test_a_server_that_has_answered_has_the_whole_budget(patience: Patience) -> None:
    patience.note_success()
    assert fail(patience, BROKEN, 1_800.0)
    assert not fail(patience, BROKEN, 1_801.0)


def test_the_whole_budget_ends_every_trouble(patience: Patience) -> None:
    assert not fail(patience, STARTING, 1_801.0)
    assert not fail(patience, BROKEN, 1_801.0)

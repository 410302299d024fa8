"""What the lines of a batch's result files mean for the requests that were in it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends.batch.results import Reconciler
from vlures.records import FINAL_STATUSES, STATUSES, Failure, Response

EXPECTED = {f"key-{number}": f"digest-{number}" for number in range(4)}


def line(key: str, status: str = "ok", text: str = "x") -> Response:
    failure = Failure("500", text) if status == "failed" else None
    return Response(key, status, text=None if failure else text, error=failure)  # type: ignore[arg-type]


KEYS = st.sampled_from([*EXPECTED, "key-99", "", "KEY-1"])
LINES = st.lists(st.none() | st.builds(line, KEYS, st.sampled_from(STATUSES), st.text(max_size=2)), max_size=25)


def feed_all(lines: list[Response | None]) -> tuple[Reconciler, list[Response]]:
    reconciler = Reconciler(EXPECTED)
    passed = [reconciler.feed(response) for response in lines]
    return reconciler, [response for response in passed if response is not None]


def fate(reconciler: Reconciler, passed: list[Response], key: str) -> object:
    return [answer for answer in passed if answer.key == key], reconciler.failed.get(key), key in reconciler.missing


@given(LINES)
def test_no_line_changes_the_fate_of_another_request(lines: list[Response | None]) -> None:
    reconciler, passed = feed_all(lines)
    for key in EXPECTED:
        alone = feed_all([response for response in lines if response is not None and response.key == key])
        assert fate(reconciler, passed, key) == fate(*alone, key)


@given(LINES)
def test_every_request_is_answered_failed_or_missing_and_only_one_of_them(lines: list[Response | None]) -> None:
    reconciler, _ = feed_all(lines)
    counted = Counter([*reconciler.answered, *reconciler.failed, *reconciler.missing])
    assert counted == Counter(list(EXPECTED))


@given(LINES)
def test_the_first_answer_of_a_request_is_passed_on_once_with_its_digest(lines: list[Response | None]) -> None:
    _, passed = feed_all(lines)
    first: dict[str, Response] = {}
    for response in lines:
        if response and response.key in EXPECTED and response.status in FINAL_STATUSES:
            first.setdefault(response.key, response)
    assert {answer.key: (answer.status, answer.text, answer.digest) for answer in passed} == {
        key: (response.status, response.text, EXPECTED[key]) for key, response in first.items()
    }
    assert len(passed) == len(first)


@given(LINES)
def test_a_failure_counts_only_where_no_line_is_an_answer(lines: list[Response | None]) -> None:
    reconciler, _ = feed_all(lines)
    heard = [response for response in lines if response and response.key in EXPECTED]
    answered = {response.key for response in heard if response.status != "failed"}
    failed = {response.key for response in heard} - answered
    assert reconciler.answered == answered
    assert set(reconciler.failed) == failed
    assert all(response.digest == EXPECTED[key] for key, response in reconciler.failed.items())


@given(LINES)
def test_every_odd_line_is_counted(lines: list[Response | None]) -> None:
    reconciler, _ = feed_all(lines)
    assert reconciler.unreadable == sum(response is None for response in lines)
    assert reconciler.unknown == sum(response is not None and response.key not in EXPECTED for response in lines)
    kinds = {(response.key, response.status == "failed") for response in lines if response and response.key in EXPECTED}
    known = sum(response is not None and response.key in EXPECTED for response in lines)
    assert known - len(kinds) <= reconciler.doubled <= known - len({key for key, _ in kinds})


@pytest.mark.parametrize(
    ("statuses", "stands", "doubled"),
    [
        ([], "missing", 0),
        (["ok"], "ok", 0),
        (["refused"], "refused", 0),
        (["failed"], "failed", 0),
        (["ok", "ok"], "ok", 1),
        (["truncated", "ok"], "truncated", 1),
        (["failed", "failed"], "failed", 1),
        (["failed", "ok"], "ok", 0),
        (["ok", "failed"], "ok", 1),
        (["failed", "failed", "ok", "failed"], "ok", 2),
    ],
)
def test_the_lines_of_one_request(statuses: list[str], stands: str, doubled: int) -> None:
    reconciler, passed = feed_all([line("key-1", status) for status in statuses])
    if stands == "missing":
        assert "key-1" in reconciler.missing
    elif stands == "failed":
        assert reconciler.failed["key-1"].error == Failure("500", "x")
    else:
        assert [answer.status for answer in passed] == [stands]
    assert reconciler.doubled == doubled
    assert len(reconciler.missing) == 4 - bool(statuses)


def test_the_first_of_several_failures_is_remembered() -> None:
    reconciler, _ = feed_all([line("key-1", "failed", "first"), line("key-1", "failed", "second")])
    assert reconciler.failed["key-1"].error == Failure("500", "first")


def test_a_batch_whose_lines_are_all_there_has_no_oddities() -> None:
    reconciler, _ = feed_all([line(key) for key in reversed(EXPECTED)])
    assert reconciler.oddities() == []
    assert reconciler.missing == []


def test_oddities_are_told_in_words() -> None:
    reconciler, _ = feed_all([None, None, line("key-99"), line("key-0"), line("key-0"), line("key-1", "failed")])
    assert reconciler.oddities() == ["2 missing", "1 doubled", "1 of an unknown request", "2 unreadable"]

"""Whether the results of an ended batch are all there: counts × files × lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlures.backends.batch.client import BatchState
from vlures.backends.batch.results import Findings, why_incomplete

ASKED = 4
COUNTS = st.integers(0, ASKED + 1)
FOUND = st.builds(
    lambda lines, answers, absent, strange, unreadable, blank: Findings(
        lines, min(lines - min(lines, blank), answers), absent, strange, unreadable, min(lines, blank)
    ),
    *(st.integers(0, ASKED), st.integers(0, ASKED), st.integers(0, 2), st.integers(0, 2), st.integers(0, 3)),
    st.integers(0, ASKED),
)


def ended(answered: int = 0, failed: int = 0, *, exhaustive: bool = False) -> BatchState:
    return BatchState(
        "b", "ended", ended=True, done=answered + failed, answered=answered, total=ASKED, is_exhaustive=exhaustive
    )


@given(COUNTS, COUNTS, st.booleans(), FOUND)
def test_no_result_that_is_counted_is_given_up(answered: int, failed: int, exhaustive: bool, found: Findings) -> None:
    """What was answered is paid for: as long as fewer lines are there than are counted, nothing may be sent again."""
    if why_incomplete(ended(answered, failed, exhaustive=exhaustive), ASKED, found) is None and found.lines < ASKED:
        assert found.answer_lines >= answered
        assert found.lines >= answered + failed


@given(COUNTS, COUNTS, st.booleans(), FOUND)
def test_more_lines_never_make_results_less_complete(
    answered: int, failed: int, exhaustive: bool, found: Findings
) -> None:
    state = ended(answered, failed, exhaustive=exhaustive)
    if why_incomplete(state, ASKED, found) is None:
        more = replace(found, lines=min(ASKED, found.lines + 1), answer_lines=found.answer_lines + 1)
        assert why_incomplete(state, ASKED, more) is None


@given(COUNTS, COUNTS, st.booleans(), FOUND)
def test_a_line_for_each_request_is_all_whatever_is_counted(
    answered: int, failed: int, exhaustive: bool, found: Findings
) -> None:
    whole = replace(found, lines=ASKED, blank=0)
    assert why_incomplete(ended(answered, failed, exhaustive=exhaustive), ASKED, whole) is None


@pytest.mark.parametrize(
    ("state", "found", "complete"),
    [
        (ended(4, exhaustive=True), Findings(0, 0), False),
        (ended(4, exhaustive=True), Findings(3, 3), False),
        (ended(3, 1, exhaustive=True), Findings(1, 0), False),  # the file of failures alone
        (ended(3, exhaustive=True), Findings(3, 3), True),  # the fourth was not done, say the counts
        (ended(exhaustive=True), Findings(0, 0), False),  # a server that does not count
        (ended(exhaustive=True), Findings(3, 3), False),
        (ended(2), Findings(2, 0), False),  # expired: two failures came, the two answers did not
        (ended(2), Findings(2, 2), True),
        (ended(), Findings(0, 0), True),  # cancelled before it began
        (ended(), Findings(0, 0, absent=1), False),
        (ended(), Findings(0, 0, strange=1, unreadable=9), False),  # a page of HTML
        (ended(), Findings(2, 2), True),
        (ended(), Findings(2, 2, unreadable=1), False),  # cut in the middle of a line
        (ended(4, exhaustive=True), Findings(4, 0, blank=4), False),  # the file that was sent
        (ended(3, 1, exhaustive=True), Findings(4, 3, blank=1), True),  # a failure that says nothing
        (ended(exhaustive=True), Findings(4, 3, blank=1), False),
        (ended(), Findings(4, 0, strange=1, blank=4), False),
        (ended(9, exhaustive=True), Findings(4, 4), True),
        (ended(9, exhaustive=True), Findings(3, 3), False),
    ],
)
def test_what_is_there_and_what_is_not(state: BatchState, found: Findings, complete: bool) -> None:
    assert (why_incomplete(state, ASKED, found) is None) is complete

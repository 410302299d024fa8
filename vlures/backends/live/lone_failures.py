"""When a question that always fails is given up, so that one bad image does not hold the run. No clock, no I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from vlures.errors import Retry

GIVE_UP_AFTER = 6
"""Failures of one question: with the waits between them about 16 s for a server that fails at once."""
OFTEN = 3
"""A provider that fails now and then fails a question several times by chance. So it is given up only after this many
times as many calls as any of the last answers took."""
RECENT_ANSWERS = 100
IN_DOUBT = 4
"""More failures of a question where no other was answered since its first."""
OUTAGES = frozenset({"502", "503", "504", "529", "connection", "timeout"})
"""Codes of failures that are more likely the server's than a question's own."""


@dataclass(slots=True)
class Record:
    """How one question has failed so far."""

    failures: int = 0
    """Those that may be its own: no limit of requests refused it, and the server was reached."""
    beside_answers: int = 0
    """Of these, the ones since whose predecessor another question was answered."""
    answers_at_first: int = 0
    """Answers of the run at its first failure."""
    answers_at_last: int = 0


class LoneFailures:
    """Tells a question that fails alone from a provider that fails."""

    def __init__(self, *, answered_before: bool = False) -> None:
        """answered_before: whether others were answered in an earlier run, so that not all need to be wrong."""
        self._answered_before = answered_before
        self._calls: deque[int] = deque(maxlen=RECENT_ANSWERS)
        """That each of the last answers took."""
        self._answers = 0

    def note_answer(self, calls: int) -> None:
        """A question was answered, with the given number of calls."""
        self._answers += 1
        self._calls.append(calls)

    def note_failure(self, record: Record, failure: Retry) -> None:
        """A question's call has failed."""
        if failure.signal == "rate" or not failure.reached:
            return
        if not record.failures:
            record.answers_at_first = self._answers
        record.failures += 1
        record.beside_answers += self._answers > record.answers_at_last
        record.answers_at_last = self._answers

    def is_lone(self, record: Record, failure: Retry, *, last: bool) -> bool:
        """Whether the question is to be given up. last: only questions that have failed are left."""
        enough = max(GIVE_UP_AFTER, OFTEN * max(self._calls, default=0))
        if record.beside_answers >= enough:
            return True
        if not last or not (self._answers or self._answered_before) or failure.code in OUTAGES:
            return False
        others_since = self._answers > record.answers_at_first
        return record.failures >= enough + (0 if others_since else IN_DOUBT)

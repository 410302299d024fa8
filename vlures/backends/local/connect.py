"""Connects a run to a model on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vlures.backends import Backend, Setup
from vlures.backends.local.backend import LocalBackend
from vlures.backends.local.helper import Helper
from vlures.backends.local.models import require_packages
from vlures.backends.local.ranks import ALONE, Meeting, find_meeting

_meeting: Meeting = ALONE
"""Of this process, while it lasts."""


def connect(setup: Setup) -> Backend:
    """A backend that loads its model when the first question is asked."""
    return LocalBackend(
        setup.options,
        setup.everything,
        setup.keep_going,
        say=setup.observer.say,
        in_flight=setup.observer.in_flight,
        meeting=_meeting,
        shards=setup.shards,
    )


@contextmanager
def meet() -> Iterator[Helper | None]:
    """Meet the other processes of this run. Gives the work of one that only helps; None: this process does the run.

    Raises VluresError if the others do not come.
    """
    global _meeting  # noqa: PLW0603 (a process is in one meeting)
    meeting = find_meeting()
    if meeting.world > 1:
        require_packages()
    meeting.open()
    _meeting = meeting
    try:
        yield None if meeting.leads else Helper(meeting)
    finally:
        _meeting = ALONE
        meeting.close()

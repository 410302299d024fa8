"""A whole run in one call, from the configuration to the results."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from typing import Any

from vlures.errors import LockLost
from vlures.files.writing import NotWritable
from vlures.runs.config import RunConfig
from vlures.runs.interrupt import Interruption
from vlures.runs.progress import Progress
from vlures.runs.session import Outcome, open_session

Watch = Callable[[Coroutine[Any, Any, None], Callable[[str], None]], None]
"""Runs some work to its end. Its second argument says something beside the progress bar."""


def carry_out(
    config: RunConfig,
    interruption: Interruption,
    watch: Watch,
    say: Callable[[str], None],
    tell: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Ask for all that is due, wait for it and write the results.

    watch: runs the work to its end in a loop of its own, as the interruption does. tell: called with where the run
    stands, also when the work ended in an exception. The outcome is complete if nothing is left to do or to decide:
    exit code 0. Raises what open_session and Session.connected raise, and Incomplete or VluresError where the work
    cannot continue.
    """
    with open_session(config, say) as session:
        if session.has_work:
            with (
                closing(Progress(session.plan.selected, session.plan.total("answered"))) as progress,
                session.connected(progress, interruption) as work,
            ):
                try:
                    watch(work(), progress.say)
                except BaseException as reason:
                    progress.close()
                    try:
                        tell(session.end())
                    except (NotWritable, LockLost) as fault:  # the reason that ended the work matters more
                        if str(fault) != str(reason):
                            say(str(fault))
                    raise
        outcome = session.end()
        settled = outcome.complete and session.settle(interrupted=interruption.interrupted)
        tell(outcome)
        if unusable := session.describe_unusable():
            say(unusable)
        return replace(outcome, complete=settled and not unusable and not interruption.interrupted)

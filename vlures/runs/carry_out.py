"""A whole run in one call, from the configuration to the results."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

from vlures.errors import LockLost
from vlures.files.writing import NotWritable
from vlures.runs.config import RunConfig
from vlures.runs.describe_outcome import describe_outcome, describe_remainder
from vlures.runs.interrupt import Interruption
from vlures.runs.notice import giving_notice
from vlures.runs.progress import Progress
from vlures.runs.run_log import RunLog
from vlures.runs.session import Outcome, Session, open_session

Watch = Callable[[Callable[[], Coroutine[Any, Any, None]], Callable[[str], None]], None]
"""(begin, say) → runs the work that begin gives to its end. say: says something beside the progress bar."""


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
    with ExitStack() as stack:
        log = stack.enter_context(closing(RunLog.of_environment()))
        say = log.tee(say)
        tell = _tee(log, tell)
        end = stack.enter_context(giving_notice(config.notice.notify, config.output_folder, say))
        session = stack.enter_context(open_session(config, say))
        log.open(config.output_folder)
        if session.has_work:
            _work(session, interruption, watch, log, tell)
        outcome = session.end()
        settled = outcome.complete and session.settle(interrupted=interruption.interrupted)
        tell(outcome)
        if unusable := session.describe_unusable():
            say(unusable)
        complete = settled and not unusable and not interruption.interrupted
        if not interruption.interrupted:
            end.outcome = "complete" if complete else "incomplete"
        return replace(outcome, complete=complete)


def _tee(log: RunLog, tell: Callable[[Outcome], None]) -> Callable[[Outcome], None]:
    """Tells an outcome and writes it."""

    def tell_and_write(outcome: Outcome) -> None:
        for line in (describe_outcome(outcome), *describe_remainder(outcome)):
            log.write(line.strip())
        tell(outcome)

    return tell_and_write


def _work(
    session: Session, interruption: Interruption, watch: Watch, log: RunLog, tell: Callable[[Outcome], None]
) -> None:
    """Ask for all that is due. If that ends in an exception, the results are written and told before it is raised."""
    plan = session.plan
    with (
        closing(
            Progress(
                plan.selected,
                plan.total("answered"),
                session.describe_money,
                log.write,
                lambda: interruption.interrupted,
            )
        ) as progress,
        session.connected(progress, interruption) as begin,
    ):
        try:
            watch(begin, progress.say)
        except BaseException as reason:
            progress.close()
            log.write(f"The run ended: {reason or type(reason).__name__}")
            try:
                tell(session.end())
            except (NotWritable, LockLost) as fault:  # the reason that ended the work matters more
                if str(fault) != str(reason):
                    session.say(str(fault))
            raise

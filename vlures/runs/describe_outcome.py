"""What a run has left when its command ends, in words: what lacks an answer and what to do, and where the answers
are."""

from __future__ import annotations

from collections.abc import Iterator

from vlures.errors import counted
from vlures.results.unanswered import Group
from vlures.runs.answer_warnings import ADVICE
from vlures.runs.describe_money import describe_spent
from vlures.runs.session import Outcome

MOST_GROUPS = 5


def describe_outcome(outcome: Outcome) -> str:
    """Where the results are, how many there are, and what they have cost."""
    counts = ", ".join(f"{count:,} {status}" for status, count in outcome.counts.items()) or "no answers yet"
    spent = describe_spent(outcome.cost_usd, rehearsal=outcome.rehearsal)
    money = f" {spent} spent in all." if outcome.cost_usd else ""
    return f"Results in {outcome.results}: {counts}.{money}"


def describe_remainder(outcome: Outcome) -> Iterator[str]:
    """What is missing, by reason and each with its remedy, and what continues by itself."""
    for group in outcome.unanswered[:MOST_GROUPS]:
        yield f"  {describe_group(group)}"
    if more := outcome.unanswered[MOST_GROUPS:]:
        count = sum(group.count for group in more)
        yield f"  {count:,} more for {counted(len(more), 'other reason')}; `vlures export` gives each."
    if created := outcome.jobs["created"]:
        goes_on = counted(created, "batch", "continues", "continue")
        yield f"{goes_on} at the provider; run the same command again to collect the answers."
    if creating := outcome.jobs["creating"]:
        yield f"{counted(creating, 'batch')} may have been created; run the same command again to find out."
    if outcome.due:
        requests = counted(outcome.due, "request", "is", "are")
        yield f"{requests} still due; the same command continues from here, and nothing that was received is lost."


def describe_next_steps(outcome: Outcome) -> Iterator[str]:
    """How to look at the answers, where there are any."""
    if outcome.counts.get("ok"):
        folder = outcome.output.as_posix()
        yield f"See the answers: `vlures show {folder}`; all of them as a table: `vlures export {folder}`."


def describe_group(group: Group) -> str:
    named = ", ".join(group.samples) + (", …" if group.count > len(group.samples) else "")
    reason = f": {group.reason}" if group.reason else ""
    return f"{group.count:,} {group.status}{reason} ({named}). {_advise(group)}"


def _advise(group: Group) -> str:
    if group.status in ADVICE:
        return ADVICE[group.status]
    if group.transient:
        return "The next run asks again."
    return "Fix what the reason names; the next run asks again."

"""What the screen says during a run, as texts that fit its width."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from vlures.backends.trouble import Trouble
from vlures.errors import counted

WIDE = 100
"""Columns from which on nothing is abbreviated."""
NARROWEST_BAR = 10
"""Columns of the percentage and the bar; what does not fit beside them is left out, from the end."""


@dataclass(slots=True)
class JobProgress:
    """A batch at the provider."""

    state: str
    done: int
    """Lines that the provider is done with."""
    total: int
    stored: int = 0
    """Answers of it that are stored."""
    next_look_s: float | None = None
    """When it is looked at again."""

    @property
    def waiting(self) -> int:
        """Lines done at the provider whose answers are not stored yet."""
        return max(0, self.done - self.stored)


@dataclass(frozen=True, slots=True)
class Counts:
    """A run at one moment. Moments are seconds of one clock."""

    now_s: float
    began_s: float
    answered: int
    done: int
    """Answered ones, and lines that batches are done with."""
    total: int
    failed: int
    in_flight: int
    retries: int
    new: int
    """Answers of this process, failed ones included."""
    left_s: float | None
    money: str | None
    jobs: tuple[JobProgress, ...]
    is_stopping: bool = False
    """The user has interrupted the run, which waits for what is in flight."""

    @property
    def is_batch(self) -> bool:
        return bool(self.jobs)


def describe_counts(counts: Counts, width: int) -> str:
    """The line of the bar, behind the bar."""
    wide = width >= WIDE
    parts = [f"{counts.done:,}/{counts.total:,}" + (" done" if counts.is_batch else " answered") * wide]
    if counts.is_batch and counts.answered != counts.done:
        parts.append(f"{counts.answered:,} stored")
    if counts.failed:
        parts.append(f"{counts.failed:,} failed")
    clock = duration(counts.now_s - counts.began_s)
    if counts.left_s is not None:
        clock += (
            f", about {rough_duration(counts.left_s)} left" if wide else f" (~{rough_duration(counts.left_s)} left)"
        )
    parts.append(clock)
    if counts.money:
        parts.append(counts.money if wide else counts.money.replace("about ", "~"))
    while len(parts) > 2 and len(" · ".join(parts)) > width - NARROWEST_BAR:
        parts.pop()
    return " · ".join(parts)


def describe_state(counts: Counts) -> str:
    """The line below the bar: what is under way, and that it may be left."""
    if counts.is_batch:
        looks = [job.next_look_s - counts.now_s for job in counts.jobs if job.next_look_s is not None]
        soon = [wait for wait in looks if wait > 0]
        look = f"; next look in {min(soon):.0f} s" if soon and min(soon) >= 1 else ""
        live = f"; {counted(counts.in_flight, 'live request')} in flight" if counts.in_flight else ""
        return f"batches: {describe_jobs(counts.jobs)}{live}{look}; Ctrl-C is safe"
    if counts.is_stopping:
        return f"stopping: {counts.in_flight:,} in flight are waited for, because they are paid"
    rate = counts.new / max(counts.now_s - counts.began_s, 0.001)
    retries = f", {counted(counts.retries, 'retry')}" if counts.retries else ""
    return f"{counts.in_flight:,} in flight{retries}, {rate:.1f}/s; Ctrl-C is safe"


def describe_jobs(jobs: Iterable[JobProgress]) -> str:
    """Batches by state, with their lines that are done."""
    lines: Counter[str] = Counter()
    batches: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for job in jobs:
        batches[job.state] += 1
        lines[job.state] += job.total
        done[job.state] += job.done
    return ", ".join(f"{batches[state]:,} {state} ({done[state]:,}/{lines[state]:,})" for state in sorted(batches))


def plain_line(counts: Counts, trouble: Trouble | None, today: datetime) -> str:
    """Everything on one line, for a screen that only grows."""
    rate = counts.new / max(counts.now_s - counts.began_s, 0.001)
    in_flight = counts.in_flight + sum(job.total for job in counts.jobs if job.state != "collecting")
    parts = [
        f"{counts.answered:,}/{counts.total:,} answered",
        f"{counts.failed:,} failed",
        f"{in_flight:,} in flight",
        f"{rate:.1f}/s",
        duration(counts.now_s - counts.began_s),
    ]
    if counts.retries:
        parts.append(counted(counts.retries, "retry"))
    if counts.left_s is not None:
        parts.append(f"about {rough_duration(counts.left_s)} left")
    if counts.money:
        parts.append(counts.money)
    batches = f"; batches: {describe_jobs(counts.jobs)}" if counts.jobs else ""
    failing = f"; {describe_trouble(trouble, today)}" if trouble else ""
    return ", ".join(parts) + batches + failing


def describe_trouble(trouble: Trouble, today: datetime) -> str:
    """One line, with the numbers first, so that a narrow screen cuts the reason. today: the user's clock."""
    tries = f"{trouble.failed:,} failed {_calls(trouble.failed)}"
    if trouble.answered:
        tries += f", {trouble.answered:,} answered"
    return (
        f"trouble for {rough_duration(trouble.failing_for_s)}, {tries}, trying until "
        f"{_clock(trouble.gives_up_in_s, today)}: {trouble.provider}: {trouble.reason}"
    )


def announce_trouble(trouble: Trouble, today: datetime) -> str:
    """The sentence that is said once."""
    state = "cannot be reached" if not trouble.reached else "does not answer as it should"
    until = _clock(trouble.gives_up_in_s, today)
    return (
        f"{trouble.provider} {state}: {trouble.reason}. The run keeps trying until {until} and resumes by itself. "
        f"{_advise(trouble)} Ctrl-C is safe: the same command continues."
    )


def announce_end(trouble: Trouble) -> str:
    return (
        f"{trouble.provider} answers again after {rough_duration(trouble.failing_for_s)} and {trouble.failed:,} failed "
        f"{_calls(trouble.failed)}."
    )


def _advise(trouble: Trouble) -> str:
    if not trouble.reached:
        return "Check the network, the proxy and the base URL."
    if trouble.hint:
        return trouble.hint
    if trouble.code == "429":
        return "It slows down by itself; --rpm and --tpm keep it below a limit that you know."
    if trouble.code == "timeout":
        return "If the model is only slow, raise --timeout-s; if the server is small, lower --concurrency."
    return "Nothing needs to be done if the provider has a fault of its own; its status page says so."


def _calls(count: int) -> str:
    return "call" if count == 1 else "calls"


def _clock(in_s: float, today: datetime) -> str:
    """A moment as the user's clock shows it."""
    moment = today + timedelta(seconds=in_s)
    return f"{moment:%H:%M:%S}" if in_s < 120 else f"{moment:%H:%M}"


def duration(seconds: float) -> str:
    """12:03, 1:12:03"""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rough_duration(seconds: float) -> str:
    """40 s, 12 min, 3 h 10 min"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"

"""The progress of a run: what has happened so far, shown as it happens and once a second."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from datetime import datetime

from vlures.backends.trouble import Trouble
from vlures.records import Response
from vlures.runs.progress_text import Counts, JobProgress, announce_end, announce_trouble
from vlures.runs.screen import open_screen
from vlures.runs.time_left import TimeLeft
from vlures.safety.control_characters import as_line

TICK_S = 1.0
TROUBLE_AFTER_S = 2.0
"""A failure that is over sooner is told by the count of retries alone."""
SAID_AGAIN_AFTER_S = 600.0
"""The sentence about one kind of trouble; its line is there all the time."""


class Progress:
    """Shows the progress of a run of `total` requests, `answered` of which have an answer already.

    money: what was spent so far, in words. log: called with every sentence and every failed call.
    is_stopping: whether the user has interrupted the run. A thread of its own
    keeps the clock going, whatever the run does.
    """

    def __init__(
        self,
        total: int,
        answered: int,
        money: Callable[[], str | None] = lambda: None,
        log: Callable[[str], None] = lambda _: None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._total = total
        self._answered = answered
        self._money = money
        self._log = log
        self._is_stopping = is_stopping
        self._failed = self._in_flight = self._new = self._retries = 0
        self._jobs: dict[str, JobProgress] = {}
        self._trouble: tuple[Trouble, float] | None = None
        """As of which moment."""
        self._is_shown = self._is_told = False
        self._told: dict[str, float] = {}
        """Code of a trouble → when its sentence was said."""
        self._began_s = self._shown_s = time.monotonic()
        self._time_left = TimeLeft()
        self._screen = open_screen()
        self._lock = threading.RLock()
        self._closed = threading.Event()
        # In the caller's context, so that a notebook shows the output under the running cell.
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._tick,), name="vlures clock", daemon=True).start()

    # What happens

    def say(self, sentence: str) -> None:
        sentence = as_line(sentence)
        self._log(sentence)
        with self._lock:
            self._screen.say(sentence)

    def answered(self, response: Response) -> None:
        with self._lock:
            self._new += 1
            if response.status == "failed":
                self._failed += 1
            else:
                self._answered += 1
                self._total = max(self._total, self._answered)  # batches of an earlier selection add to it
            if response.job in self._jobs:
                self._jobs[response.job].stored += 1
            self._show_soon()

    def in_flight(self, count: int) -> None:
        with self._lock:
            self._in_flight = count
            self._show_soon()

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None:
        with self._lock:
            before = self._jobs.get(tag)
            stored = before.stored if before else 0
            self._jobs[tag] = JobProgress(as_line(state), done, total, stored)
            self._show_soon()

    def job_ended(self, tag: str) -> None:
        with self._lock:
            self._jobs.pop(tag, None)
            self._show_soon()

    def next_look(self, tag: str, in_s: float) -> None:
        with self._lock:
            if tag in self._jobs:
                self._jobs[tag].next_look_s = time.monotonic() + in_s

    def trouble(self, trouble: Trouble | None) -> None:
        with self._lock:
            if trouble is None:
                self._end_trouble()
                return
            self._trouble = trouble, time.monotonic()
            self._retries += 1
        self._log(as_line(f"{trouble.provider}: a call failed ({trouble.code}): {trouble.reason}"))

    def close(self) -> None:
        with self._lock:
            if not self._closed.is_set():
                self._closed.set()
                self._screen.close(self._count())

    # What is shown

    def _tick(self) -> None:
        while not self._closed.wait(TICK_S):
            with self._lock:
                if not self._closed.is_set():
                    self._show()

    def _show_soon(self) -> None:
        """Thousands of answers a second need not all be drawn."""
        if not self._closed.is_set() and time.monotonic() - self._shown_s >= TICK_S / 5:
            self._show()

    def _show(self) -> None:
        self._shown_s = time.monotonic()
        trouble = self._current_trouble()
        begins = trouble is not None and not self._is_shown
        if trouble is not None and begins:
            self._is_shown = True
            self._announce(trouble)
        self._screen.show(self._count(), trouble, changed=begins)

    def _current_trouble(self) -> Trouble | None:
        """None for what may be over in a moment."""
        if self._trouble is None:
            return None
        trouble, seen_s = self._trouble
        now = trouble.later(time.monotonic() - seen_s)
        return now if now.failing_for_s >= TROUBLE_AFTER_S else None

    def _announce(self, trouble: Trouble) -> None:
        now_s = time.monotonic()
        if now_s - self._told.get(trouble.code, float("-inf")) >= SAID_AGAIN_AFTER_S:
            self._told[trouble.code], self._is_told = now_s, True
            self.say(announce_trouble(trouble, datetime.now()))

    def _end_trouble(self) -> None:
        if self._is_told and (trouble := self._current_trouble()) is not None:
            self.say(announce_end(trouble))
        self._trouble, self._is_shown, self._is_told = None, False, False

    def _count(self) -> Counts:
        now_s = time.monotonic()
        jobs = tuple(self._jobs.values())
        done = min(self._total, self._answered + sum(job.waiting for job in jobs))
        self._time_left.note(now_s, done)
        left_s = self._time_left.estimate_s(now_s, self._total)
        return Counts(
            now_s=now_s,
            began_s=self._began_s,
            answered=self._answered,
            done=done,
            total=self._total,
            failed=self._failed,
            in_flight=self._in_flight,
            retries=self._retries,
            new=self._new,
            left_s=left_s,
            money=self._money(),
            jobs=jobs,
            is_stopping=self._is_stopping(),
        )

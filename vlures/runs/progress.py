"""The progress of a run: a bar and the batches' states on a terminal and in a notebook, plain lines elsewhere.

Everything goes to stderr, except in a notebook, which shows stderr as an error.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Literal, TextIO

from tqdm import tqdm

from vlures.records import Response
from vlures.safety.control_characters import as_line

PLAIN_LINE_EVERY_S = 5.0
SHAPE = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} answered{postfix} [{elapsed}<{remaining}, {rate_fmt}]"

Screen = Literal["terminal", "widgets", "notebook", "plain"]


@dataclass(slots=True)
class _JobProgress:
    state: str
    done: int
    total: int


def find_screen() -> Screen:
    """Where the progress is shown. widgets: a notebook with ipywidgets; notebook: one that shows text only."""
    # IPython is already loaded where its kernel runs; importing it elsewhere would only cost time.
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    if getattr(get_ipython(), "kernel", None) is not None:
        return "widgets" if find_spec("ipywidgets") else "notebook"
    return "terminal" if sys.stderr.isatty() else "plain"


def find_stream(screen: Screen) -> TextIO:
    """The stream for messages."""
    return sys.stdout if screen in ("widgets", "notebook") else sys.stderr


def _make_bar(screen: Screen, total: int, answered: int) -> tqdm[Any]:
    make: type[tqdm[Any]] = tqdm
    if screen == "widgets":
        from tqdm.notebook import tqdm_notebook

        make = tqdm_notebook
    # The average rate, not the current one: answers of batches come in bursts.
    return make(
        total=total,
        initial=answered,
        unit="answer",
        bar_format=SHAPE,
        dynamic_ncols=True,
        smoothing=0,
        file=find_stream(screen),
    )


class Progress:
    """Shows the progress of a run of `total` requests, `answered` of which have an answer already."""

    def __init__(self, total: int, answered: int) -> None:
        self._total = total
        self._answered = answered
        self._failed = 0
        self._in_flight = 0
        self._jobs: dict[str, _JobProgress] = {}
        self._began = time.monotonic()
        self._new = 0
        self._last_line = 0.0
        self._screen = find_screen()
        self._stream = find_stream(self._screen)
        self._bar = None if self._screen == "plain" else _make_bar(self._screen, total, answered)
        self._states: tqdm[Any] | None = None
        self._shown_states = ""
        if self._screen == "terminal":  # elsewhere a second line cannot be rewritten
            self._states = tqdm(
                total=0, position=1, bar_format="{desc}", dynamic_ncols=True, leave=False, file=self._stream
            )

    def say(self, sentence: str) -> None:
        sentence = as_line(sentence)
        if self._bar is None or self._screen == "widgets":
            print(sentence, file=self._stream, flush=True)
        else:
            self._bar.write(sentence, file=self._stream)

    def answered(self, response: Response) -> None:
        self._new += 1
        if response.status == "failed":
            self._failed += 1
        else:
            self._answered += 1
            self._total = max(self._total, self._answered)  # batches of an earlier selection add to it
            if self._bar is not None:
                self._bar.total = self._total
                self._bar.update(1)
        self._show()

    def in_flight(self, count: int) -> None:
        self._in_flight = count
        self._show()

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None:
        self._jobs[tag] = _JobProgress(as_line(state), done, total)
        self._show()

    def job_ended(self, tag: str) -> None:
        self._jobs.pop(tag, None)
        self._show()

    def close(self) -> None:
        if self._bar is not None:
            if self._states is not None:
                self._states.close()
            self._bar.close()
            self._bar = self._states = None
            self._new = 0
        elif self._new:
            self._print_line()
            self._new = 0

    def _count_in_flight(self) -> int:
        return self._in_flight + sum(job.total for job in self._jobs.values() if job.state != "collecting")

    def _job_states(self) -> str:
        lines: Counter[str] = Counter()
        batches: Counter[str] = Counter()
        done: Counter[str] = Counter()
        for job in self._jobs.values():
            batches[job.state] += 1
            lines[job.state] += job.total
            done[job.state] += job.done
        return ", ".join(f"{batches[state]} {state} ({done[state]}/{lines[state]})" for state in sorted(batches))

    def _show(self) -> None:
        if self._bar is None:
            if time.monotonic() - self._last_line >= PLAIN_LINE_EVERY_S:
                self._print_line()
            return
        states = self._job_states()
        batches = f"batches: {states}" if states else ""
        beside = f"; {batches}" if batches and self._states is None else ""
        self._bar.set_postfix_str(f"{self._failed} failed, {self._count_in_flight()} in flight{beside}", refresh=False)
        if states != self._shown_states:
            self._shown_states = states
            self._bar.refresh()
            if self._states is not None:
                self._states.set_description_str(batches, refresh=True)

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        rate = self._new / max(self._last_line - self._began, 0.001)
        states = self._job_states()
        batches = f"; batches: {states}" if states else ""
        print(
            f"{self._answered}/{self._total} answered, {self._failed} failed, {self._count_in_flight()} in flight, "
            f"{rate:.1f}/s{batches}",
            file=self._stream,
            flush=True,
        )

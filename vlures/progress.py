"""How a run looks while it goes on: a bar and the batches' states on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from tqdm import tqdm

from vlures.records import Response

PLAIN_LINE_EVERY_S = 5.0


@dataclass(slots=True)
class _JobLook:
    state: str
    done: int
    total: int


class Progress:
    """Shows a run of `total` requests, of which `answered` have their answer already."""

    def __init__(self, total: int, answered: int) -> None:
        self._total = total
        self._answered = answered
        self._failed = 0
        self._in_flight = 0
        self._jobs: dict[str, _JobLook] = {}
        self._began = time.monotonic()
        self._new = 0
        self._last_line = 0.0
        self._bar: tqdm[Any] | None = None
        self._states: tqdm[Any] | None = None
        self._shown_states = ""
        if sys.stderr.isatty():
            shape = (
                "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} answered{postfix} [{elapsed}<{remaining}, {rate_fmt}]"
            )
            # The average rate, not the latest: answers of batches come in bursts.
            self._bar = tqdm(
                total=total,
                initial=answered,
                unit="answer",
                bar_format=shape,
                dynamic_ncols=True,
                smoothing=0,
                file=sys.stderr,
            )
            self._states = tqdm(
                total=0, position=1, bar_format="{desc}", dynamic_ncols=True, leave=False, file=sys.stderr
            )

    def say(self, sentence: str) -> None:
        if self._bar is None:
            print(sentence, file=sys.stderr, flush=True)
        else:
            self._bar.write(sentence, file=sys.stderr)

    def answered(self, response: Response) -> None:
        self._new += 1
        if response.status == "failed":
            self._failed += 1
        else:
            self._answered += 1
            self._total = max(self._total, self._answered)  # batches of an earlier selection come on top
            if self._bar is not None:
                self._bar.total = self._total
                self._bar.update(1)
        self._show()

    def in_flight(self, count: int) -> None:
        self._in_flight = count
        self._show()

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None:
        self._jobs[tag] = _JobLook(state, done, total)
        self._show()

    def job_ended(self, tag: str) -> None:
        self._jobs.pop(tag, None)
        self._show()

    def close(self) -> None:
        if self._bar is not None and self._states is not None:
            self._states.close()
            self._bar.close()
            self._bar = self._states = None
            self._new = 0
        elif self._new:
            self._print_line()
            self._new = 0

    def _flying(self) -> int:
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
        self._bar.set_postfix_str(f"{self._failed} failed, {self._flying()} in flight", refresh=False)
        if self._states is not None and (states := self._job_states()) != self._shown_states:
            self._shown_states = states
            self._bar.refresh()
            self._states.set_description_str(f"batches: {states}" if states else "", refresh=True)

    def _print_line(self) -> None:
        self._last_line = time.monotonic()
        rate = self._new / max(self._last_line - self._began, 0.001)
        states = self._job_states()
        batches = f"; batches: {states}" if states else ""
        print(
            f"{self._answered}/{self._total} answered, {self._failed} failed, {self._flying()} in flight, {rate:.1f}/s{batches}",
            file=sys.stderr,
            flush=True,
        )

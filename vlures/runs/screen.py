"""Where the progress of a run is shown: a bar with two lines below it on a terminal, a bar in a notebook, plain lines
elsewhere.

Everything goes to stderr, except in a notebook, which shows stderr as an error.
"""

from __future__ import annotations

import shutil
import sys
import time
from datetime import datetime
from importlib.util import find_spec
from typing import Any, Literal, Protocol, TextIO

from tqdm import tqdm

from vlures.backends.trouble import Trouble
from vlures.runs.progress_text import (
    Counts,
    describe_counts,
    describe_jobs,
    describe_state,
    describe_trouble,
    plain_line,
)

PLAIN_LINE_EVERY_S = 5.0
PLAIN_LINE_AT_LEAST_EVERY_S = 60.0
SHAPE = "{percentage:3.0f}%|{bar}| {desc}"

ScreenKind = Literal["terminal", "widgets", "notebook", "plain"]


def find_screen() -> ScreenKind:
    """Where the progress is shown. widgets: a notebook with ipywidgets; notebook: one that shows text only."""
    # IPython is already loaded where its kernel runs; importing it elsewhere would only cost time.
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    if getattr(get_ipython(), "kernel", None) is not None:
        return "widgets" if find_spec("ipywidgets") else "notebook"
    return "terminal" if sys.stderr.isatty() else "plain"


def find_stream(screen: ScreenKind) -> TextIO:
    """The stream for messages."""
    return sys.stdout if screen in ("widgets", "notebook") else sys.stderr


class Screen(Protocol):
    """Shows a run at each moment, and sentences beside it."""

    def say(self, sentence: str) -> None: ...

    def show(self, counts: Counts, trouble: Trouble | None, *, changed: bool) -> None:
        """changed: since the last time something has happened that a user should see at once."""
        ...

    def close(self, counts: Counts) -> None: ...


def open_screen() -> Screen:
    kind = find_screen()
    return PlainScreen(find_stream(kind)) if kind == "plain" else BarScreen(kind)


class PlainScreen:
    """Lines that stay: one every few seconds while something happens, else one a minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last_s = time.monotonic()
        self._shown: tuple[object, ...] = ()

    def say(self, sentence: str) -> None:
        print(sentence, file=self._stream, flush=True)

    def show(self, counts: Counts, trouble: Trouble | None, *, changed: bool) -> None:
        waited_s = counts.now_s - self._last_s
        is_due = _news(counts) != self._shown and waited_s >= PLAIN_LINE_EVERY_S
        if changed or is_due or waited_s >= PLAIN_LINE_AT_LEAST_EVERY_S:
            self._print(counts, trouble)

    def close(self, counts: Counts) -> None:
        if counts.new:
            self._print(counts, None)

    def _print(self, counts: Counts, trouble: Trouble | None) -> None:
        self._last_s = counts.now_s
        self._shown = _news(counts)
        self.say(plain_line(counts, trouble, datetime.now()))


def _news(counts: Counts) -> tuple[object, ...]:
    return counts.answered, counts.failed, counts.in_flight, describe_jobs(counts.jobs)


class BarScreen:
    """A bar; on a terminal, a line with the state of things below it, and one for trouble."""

    def __init__(self, kind: ScreenKind) -> None:
        self._kind = kind
        self._stream = find_stream(kind)
        make: type[tqdm[Any]] = tqdm
        if kind == "widgets":
            from tqdm.notebook import tqdm_notebook

            make = tqdm_notebook
        self._bar = make(total=1, bar_format=SHAPE, dynamic_ncols=True, file=self._stream)
        # Elsewhere a second line cannot be rewritten.
        self._lines = [self._make_line(place) for place in (1, 2)] if kind == "terminal" else []

    def _make_line(self, place: int) -> tqdm[Any]:
        return tqdm(total=0, position=place, bar_format="{desc}", dynamic_ncols=True, leave=False, file=self._stream)

    def say(self, sentence: str) -> None:
        if self._kind == "widgets":
            print(sentence, file=self._stream, flush=True)
        else:
            self._bar.write(sentence, file=self._stream)

    def show(self, counts: Counts, trouble: Trouble | None, *, changed: bool) -> None:  # noqa: ARG002 (it always shows)
        width = shutil.get_terminal_size().columns if self._kind == "terminal" else 200
        texts = [describe_state(counts)]
        if trouble is not None:
            texts.append(describe_trouble(trouble, datetime.now()))
        self._bar.total, self._bar.n = max(counts.total, counts.done, 1), counts.done
        described = describe_counts(counts, width)
        if self._lines:
            for line, text in zip(self._lines, [*texts, ""], strict=False):
                line.set_description_str(_cut(text, width), refresh=True)
        else:
            described = "; ".join([described, *texts])
        self._bar.set_description_str(described, refresh=True)

    def close(self, counts: Counts) -> None:
        self.show(counts, None, changed=True)
        for line in self._lines:
            line.close()
        self._bar.close()


def _cut(text: str, width: int) -> str:
    """A line that is wider than the screen would break the rewriting of those below it."""
    return text if len(text) < width else text[: max(0, width - 2)] + "…"

"""The event loop of a run. Its clock counts only the time during which the process runs.

A process that was stopped (Ctrl-Z, a closed laptop) continues where it was: no timeout has expired meanwhile, in our
code or in an SDK's, and the replies that arrived are read first.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from selectors import SelectorKey

LONGEST_WAIT_S = 0.25
LONGEST_STEP_S = 0.75
"""The loop reads its clock several times a second. If more than this passes between two reads, the process was stopped
or busy; neither is the provider's fault."""


class _ShortWaits(selectors.DefaultSelector):
    """Never waits long, so a long wait means that the process was stopped."""

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        return super().select(LONGEST_WAIT_S if timeout is None else min(timeout, LONGEST_WAIT_S))


class RunningTimeLoop(asyncio.SelectorEventLoop):
    """time() hardly advances while the process is stopped."""

    def __init__(self) -> None:
        self._read_at = time.monotonic()
        self._ran_s = 0.0
        super().__init__(_ShortWaits())

    def time(self) -> float:
        now = time.monotonic()
        step_s = now - self._read_at
        self._read_at = now
        # A stop counts as one short wait, so that timeouts expire even where every step is long.
        self._ran_s += step_s if step_s <= LONGEST_STEP_S else LONGEST_WAIT_S
        return self._ran_s

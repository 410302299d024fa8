"""The event loop of a run, whose clock counts the time that the process ran.

A process that was stopped (Ctrl-Z, a laptop's lid) goes on where it was: no time-out has passed meanwhile, in our own code or in
an SDK's, and the replies that came are read first.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from selectors import SelectorKey

LONGEST_WAIT_S = 0.25
LONGEST_STEP_S = 0.75
"""The loop looks at its clock several times a second. Where more than this lies between two looks, the process was stopped, or
was busy with something of its own; neither is a provider's fault."""


class _ShortWaits(selectors.DefaultSelector):
    """Never waits for long, so that a long wait means a stop."""

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        return super().select(LONGEST_WAIT_S if timeout is None else min(timeout, LONGEST_WAIT_S))


class RunningTimeLoop(asyncio.SelectorEventLoop):
    """time() all but stands still while the process is stopped."""

    def __init__(self) -> None:
        self._looked_at = time.monotonic()
        self._ran_s = 0.0
        super().__init__(_ShortWaits())

    def time(self) -> float:
        now = time.monotonic()
        step_s = now - self._looked_at
        self._looked_at = now
        # A stop counts as one short wait, so that time-outs come even where every step is long.
        self._ran_s += step_s if step_s <= LONGEST_STEP_S else LONGEST_WAIT_S
        return self._ran_s

"""How a provider's calls fail just now: what fails, since when, how often. Shown while a run keeps trying."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from vlures.errors import Retry

LOOKED_AT = 20
"""Calls that the share of failures is taken over."""
FEW = 5
"""Failures among them that are no trouble: a provider at its limit refuses a call now and then."""
OVER_AFTER = 5
"""Successes in a row that end any trouble."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Calls that fail in a way which the provider calls transient, as of the last failure."""

    provider: str
    code: str
    """The last failure's, short and stable."""
    reason: str
    """The last failure, one line for people."""
    failing_for_s: float
    """Since the first of these calls failed."""
    failed: int
    """Calls that have failed since."""
    answered: int
    """Calls that have succeeded since."""
    gives_up_in_s: float
    """Until the run gives up if no call succeeds."""
    reached: bool
    """Whether the provider's server was ever reached."""
    hint: str = ""
    """What a server that has never answered says between the lines, as a sentence."""

    def later(self, by_s: float) -> Trouble:
        """The same trouble, if nothing happens for so long."""
        return replace(self, failing_for_s=self.failing_for_s + by_s, gives_up_in_s=max(0.0, self.gives_up_in_s - by_s))


class TroubleWatch:
    """Tells trouble from a failure now and then.

    Trouble begins with a failure. It ends with a success if fewer than FEW of the last LOOKED_AT calls have failed, or
    none of the last OVER_AFTER. No clock in here: moments come in as arguments.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._outcomes: deque[bool] = deque(maxlen=LOOKED_AT)
        self._since_s: float | None = None
        self._failed = self._answered = 0

    def failed(self, failure: Retry, now_s: float, gives_up_in_s: float, *, reached: bool) -> Trouble:
        self._outcomes.append(False)
        if self._since_s is None:
            self._since_s, self._failed, self._answered = now_s, 0, 0
        self._failed += 1
        asked = f"; it asks for a pause of {failure.after_s:.0f} s" if (failure.after_s or 0) >= 1 else ""
        reason = failure.reason.rstrip(".") + asked
        lasts_s = now_s - self._since_s
        return Trouble(
            self._provider, failure.code, reason, lasts_s, self._failed, self._answered, gives_up_in_s, reached
        )

    def succeeded(self) -> bool:
        """Whether this call ends a trouble."""
        self._outcomes.append(True)
        self._answered += 1
        is_over = self._outcomes.count(False) < FEW or all(list(self._outcomes)[-OVER_AFTER:])
        if self._since_s is None or not is_over:
            return False
        self._since_s = None
        return True

"""How long to retry a call that fails in a way its provider calls transient."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

import tenacity

from vlures.backends.trouble import Trouble, TroubleWatch
from vlures.config.sections import ContactOptions
from vlures.errors import Incomplete, Retry, VluresError

T = TypeVar("T")

NEVER_ANSWERED_S = 180.0
"""How long a server may fail that was reached and has answered no call yet: it may be set up wrong for good. A slow one
needs longer for its first answer, so this counts from its first failure."""
STARTING = frozenset({"429", "502", "503", "504", "529", "timeout", "connection"})
"""Codes of a server that is starting, or has too much to do: it keeps the whole budget."""

_WAIT = tenacity.wait_exponential_jitter(initial=0.5, max=30, jitter=0.5)


def wait_s(attempt: int, asked_s: float | None = None) -> float:
    """Seconds to wait after the given failed attempt (from 1): 0.5 s doubled up to 30 s with jitter, or what the
    provider asked for if that is longer."""
    state = tenacity.RetryCallState(tenacity.Retrying(), None, (), {})
    state.attempt_number = attempt
    return max(_WAIT(state), asked_s or 0.0)


def _asked(failure: Retry) -> str:
    return f" and asks to wait {failure.after_s:.0f} s" if failure.after_s else ""


class Patience:
    """Budgets of time for a run's calls: a short one for a provider that was never reached, one of minutes for a server
    that has never answered, a long one for others.

    provider: its name in sentences. observe: called with every failure as the trouble that it is part of, and with None
    when the trouble is over. hint: what a server's own words hint at, as a sentence; empty for nothing.
    answered: whether the provider has answered requests of the run before.
    """

    def __init__(
        self,
        provider: str,
        retry_budget_s: float,
        first_contact_s: float,
        observe: Callable[[Trouble | None], None] = lambda _: None,
        hint: Callable[[str], str] = lambda _: "",
        *,
        answered: bool = False,
    ) -> None:
        self._provider = provider
        self._retry_budget_s = retry_budget_s
        self._first_contact_s = first_contact_s
        self._observe = observe
        self._hint = hint
        self._trouble = TroubleWatch(provider)
        self.reached = False
        self.answered = answered
        self._broken_since_s: float | None = None
        """The first failure since the server last seemed to be starting."""
        self._broken_for_s = 0.0

    @classmethod
    def of(
        cls,
        provider: str,
        options: ContactOptions,
        observe: Callable[[Trouble | None], None],
        hint: Callable[[str], str] = lambda _: "",
        *,
        answered: bool = False,
    ) -> Patience:
        """The configuration's budgets."""
        return cls(provider, options.retry_budget_s, options.first_contact_s, observe, hint, answered=answered)

    def _left_s(self, failure: Retry, failing_for_s: float) -> float:
        """Until calls that fail like this are no longer retried."""
        if not self.reached:
            return self._first_contact_s - failing_for_s
        left_s = self._retry_budget_s - failing_for_s
        if not self.answered and failure.code not in STARTING:
            return min(left_s, NEVER_ANSWERED_S - self._broken_for_s)
        return left_s

    def note_failure(self, failure: Retry, now_s: float, since_s: float) -> None:
        """A call has failed. since_s: since when the budget of time is running, by the same clock."""
        self.reached = self.reached or failure.reached
        if failure.code in STARTING:
            self._broken_since_s = None
        elif self._broken_since_s is None:
            self._broken_since_s = now_s
        self._broken_for_s = 0.0 if self._broken_since_s is None else now_s - self._broken_since_s
        left_s = self._left_s(failure, now_s - since_s)
        trouble = self._trouble.failed(failure, now_s, left_s, reached=self.reached)
        self._observe(replace(trouble, hint="" if self.answered else self._hint(failure.reason)))

    def note_success(self) -> None:
        self.reached = self.answered = True
        if self._trouble.succeeded():
            self._observe(None)

    def lasts(self, failure: Retry, failing_for_s: float, asked_s: float | None) -> bool:
        """Whether a call that has been failing for so long may be retried, after the wait that the provider asked for.

        Raises VluresError if the provider was never reached within the time for a first contact.
        """
        self.reached = self.reached or failure.reached
        if not self.reached and failing_for_s > self._first_contact_s:
            raise VluresError(
                f"{self._provider} cannot be reached: {failure.reason}. Check the network and the base URL, then run "
                "again."
            )
        return (asked_s or 0.0) <= self._left_s(failure, failing_for_s)

    def describe_end(self, failure: Retry, failing_for_s: float) -> str:
        """Why the run ends: no call has succeeded for so long."""
        since, reason = f"{failing_for_s:.0f} s{_asked(failure)}", failure.reason.rstrip(".")
        if self.answered:
            return (
                f"{self._provider} has not answered as it should for {since} ({reason}), longer than this run's "
                "patience. Run the same command again later; it continues from here."
            )
        hint = self._hint(failure.reason)
        return (
            f"{self._provider} has answered no call of this run in {since} ({reason}). "
            f"{f'{hint} Then run' if hint else 'Run'} the same command again; it continues from here."
        )

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """The call's result, retried as long as the budget lasts.

        Raises Incomplete when the budget is used up, and at once everything else that the call raises.
        """
        loop = asyncio.get_running_loop()
        since = loop.time()
        attempt = 0
        while True:
            attempt += 1
            try:
                result = await call()
            except Retry as failure:
                self.note_failure(failure, loop.time(), since)
                if not self.lasts(failure, loop.time() - since, failure.after_s):
                    raise Incomplete(self.describe_end(failure, loop.time() - since)) from failure
                await asyncio.sleep(wait_s(attempt, failure.after_s))
            else:
                self.note_success()
                return result

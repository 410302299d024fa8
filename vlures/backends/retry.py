"""How long to retry a call that fails in a way its provider calls transient."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import tenacity

from vlures.backends.trouble import Trouble, TroubleWatch
from vlures.config.sections import ContactOptions
from vlures.errors import Incomplete, Retry, VluresError

T = TypeVar("T")

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
    """Budgets of time for a run's calls: a short one for a provider that was never reached, a long one for others.

    provider: its name in sentences. observe: called with every failure as the trouble that it is part of, and with None
    when the trouble is over.
    """

    def __init__(
        self,
        provider: str,
        retry_budget_s: float,
        first_contact_s: float,
        observe: Callable[[Trouble | None], None] = lambda _: None,
    ) -> None:
        self._provider = provider
        self._retry_budget_s = retry_budget_s
        self._first_contact_s = first_contact_s
        self._observe = observe
        self._trouble = TroubleWatch(provider)
        self.reached = False

    @classmethod
    def of(cls, provider: str, options: ContactOptions, observe: Callable[[Trouble | None], None]) -> Patience:
        """The configuration's budgets."""
        return cls(provider, options.retry_budget_s, options.first_contact_s, observe)

    def note_failure(self, failure: Retry, now_s: float, since_s: float) -> None:
        """A call has failed. since_s: since when the budget of time is running, by the same clock."""
        self.reached = self.reached or failure.reached
        budget_s = self._retry_budget_s if self.reached else self._first_contact_s
        self._observe(self._trouble.failed(failure, now_s, since_s + budget_s - now_s, reached=self.reached))

    def note_success(self) -> None:
        self.reached = True
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
        return failing_for_s + (asked_s or 0.0) <= self._retry_budget_s

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
                    raise Incomplete(
                        f"{self._provider} has not answered as it should for {loop.time() - since:.0f} s"
                        f"{_asked(failure)} ({failure.reason}). Run the same command again later; it continues from "
                        "here."
                    ) from failure
                await asyncio.sleep(wait_s(attempt, failure.after_s))
            else:
                self.note_success()
                return result

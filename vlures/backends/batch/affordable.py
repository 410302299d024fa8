"""Requests that go out as far as the run's money reaches, and the first one that has to wait for more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from vlures.backends import Budget
from vlures.records import Request


class Affordable:
    """Gives requests out until one does not fit, and goes on with that one when it is asked again."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._sources: deque[Iterator[Request]] = deque()
        self._waiting: Request | None = None

    @property
    def waits(self) -> bool:
        """Whether a request was held back for want of money."""
        return self._waiting is not None

    def take(self, requests: Iterator[Request]) -> Iterator[Request]:
        """What is left of earlier requests, then these, each with its money reserved."""
        self._sources.append(requests)
        return self._give()

    def forgo(self) -> None:
        """No money will come free: go on without the request that waits."""
        if self._waiting is not None:
            self._budget.forgo(self._waiting)
            self._waiting = None

    def _give(self) -> Iterator[Request]:
        while (request := self._next()) is not None:
            if not self._budget.reserve(request):
                self._waiting = request
                return
            yield request

    def _next(self) -> Request | None:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            return waiting
        while self._sources:
            if (request := next(self._sources[0], None)) is not None:
                return request
            self._sources.popleft()
        return None

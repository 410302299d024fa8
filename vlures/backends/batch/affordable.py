"""Requests as far as the run's money reaches, and the first one that must wait for more."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from vlures.backends import Budget
from vlures.records import Request


class Affordable:
    """Gives out requests until one does not fit, and continues with that one when asked again."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._sources: deque[Iterator[Request]] = deque()
        self._waiting: Request | None = None

    @property
    def waits(self) -> bool:
        """Whether a request is held back for lack of money."""
        return self._waiting is not None

    def take(self, requests: Iterator[Request]) -> Iterator[Request]:
        """The rest of earlier requests, then these, each with its money reserved."""
        self._sources.append(requests)
        return self._give()

    def forgo(self) -> None:
        """No money will be freed: continue without the request that waits."""
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

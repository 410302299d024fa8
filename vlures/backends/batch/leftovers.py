"""Requests that batches have left without an answer: whether they go into another batch or are asked live."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlures.records import Request, Response


@dataclass(slots=True)
class Leftovers:
    """The requests, by what may be done with them."""

    live_share: float | None
    """At most this share of all requests is finished live, once no batch is under way; None: none is."""
    unsent: list[Request] = field(default_factory=list)
    """No batch has worked on them; they go into one."""
    again: list[Request] = field(default_factory=list)
    """They may go into another batch."""
    spent: dict[str, Response] = field(default_factory=dict)
    """By key, the failures of requests without attempts left, or that may not go into another batch unasked."""

    @property
    def are_any(self) -> bool:
        return bool(self.unsent or self.again or self.spent)

    @property
    def may_go_live(self) -> bool:
        """Whether any may be finished live."""
        return self.live_share is not None

    def are_few(self, total: int) -> bool:
        """Whether all that a batch has worked on may be finished live, of so many requests in total."""
        return self.live_share is not None and len(self.again) + len(self.spent) <= self.live_share * total

    def for_batches(self, *, few: bool) -> int:
        """How many go into batches."""
        return len(self.unsent) + (0 if few else len(self.again))

    def take_for_batches(self, *, few: bool) -> list[Request]:
        requests, self.unsent = self.unsent, []
        if not few:
            requests, self.again = requests + self.again, []
        return requests

    def take_for_live(self) -> list[str]:
        """Keys of all that a batch has worked on."""
        keys = list(dict.fromkeys([*(request.key for request in self.again), *self.spent]))
        self.again, self.spent = [], {}
        return keys

    def take_spent(self) -> list[Response]:
        failures, self.spent = list(self.spent.values()), {}
        return failures

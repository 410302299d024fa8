"""What batches have left without an answer: whether it goes into another batch, or live."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlures.records import Request, Response


@dataclass(slots=True)
class Leftovers:
    """live_share: of all requests; at most so many are finished live, once no batch is under way. None: none is.

    unsent: requests that no batch has worked on; they go into one. again: those that may go into another batch. spent: failures
    of those that have used up their attempts, or that are not to go into another batch unasked.
    """

    live_share: float | None
    unsent: list[Request] = field(default_factory=list)
    again: list[Request] = field(default_factory=list)
    spent: dict[str, Response] = field(default_factory=dict)

    @property
    def are_any(self) -> bool:
        return bool(self.unsent or self.again or self.spent)

    @property
    def may_go_live(self) -> bool:
        """Whether some may be finished live at all."""
        return self.live_share is not None

    def are_few(self, of: int) -> bool:
        """Whether all that a batch has worked on may be finished live, of so many requests."""
        return self.live_share is not None and len(self.again) + len(self.spent) <= self.live_share * of

    def for_batches(self, *, few: bool) -> int:
        """How many are to go into batches."""
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

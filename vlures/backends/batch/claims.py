"""Which requests open batches may still answer, and which requests wait for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vlures.records import Request


class Claims:
    """A request in one or more open batches is not sent before all of them have ended without an answer to it. It is in
    two where it was sent again just before a kill, or where a creation in doubt has made two batches.

    ask_changed_again: a request is due although the question it was answered to has changed since.
    """

    def __init__(self, *, ask_changed_again: bool) -> None:
        self._ask_changed_again = ask_changed_again
        self._tags: dict[str, set[str]] = {}
        self._answers: dict[str, str] = {}
        self._waiting: dict[str, Request] = {}

    @property
    def keys(self) -> Iterable[str]:
        """Every request that was ever claimed."""
        return self._tags.keys()

    def claim(self, tag: str, keys: Iterable[str]) -> None:
        """The batch may answer these requests."""
        for key in keys:
            self._tags.setdefault(key, set()).add(tag)

    def holds(self, tag: str, key: str) -> bool:
        """Whether the batch may still answer the request."""
        return tag in self._tags.get(key, ())

    def holds_any(self, tag: str, keys: Iterable[str]) -> bool:
        """Whether the batch may still answer one of the requests."""
        return any(self.holds(tag, key) for key in keys)

    def wait(self, request: Request) -> None:
        """Hold the request back until no open batch may answer it."""
        self._waiting[request.key] = request

    def free(self, requests: Iterable[Request]) -> Iterator[Request]:
        """Those that may be sent now. The others wait until their batches have ended, unless these answer them."""
        for request in requests:
            if self._tags.get(request.key):
                self.wait(request)
            elif self._still_asks(request):
                yield request

    def settle(self, tag: str, key: str, answered: str | None = None) -> Request | None:
        """The batch can no longer answer the request, or has answered it: the question with the digest `answered`. Once
        no batch can, returns the request that waited for that, if it still needs an answer."""
        tags = self._tags.get(key)
        if tags is None or tag not in tags:
            return None
        if answered is not None:
            self._answers[key] = answered
        tags.discard(tag)
        waiting = None if tags else self._waiting.pop(key, None)
        return waiting if waiting is not None and self._still_asks(waiting) else None

    def _still_asks(self, request: Request) -> bool:
        """An answer to a question that has changed since is paid for; it is asked again only if the user wants that."""
        answered = self._answers.get(request.key)
        if answered is None:
            return True
        return self._ask_changed_again and answered != request.digest

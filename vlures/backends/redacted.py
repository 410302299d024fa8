"""A backend that keeps keys out of everything that is stored or said."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from vlures.errors import VluresError
from vlures.records import BatchSnapshot, Deferred, Failure, Job, JobState, Request, Response
from vlures.safety.redaction import Blot, blot_all

if TYPE_CHECKING:
    from vlures.backends import BatchBackend, Journal, Observer
    from vlures.backends.trouble import Trouble

OURS = frozenset({"key", "digest", "job", "time", "imported"})
"""Text fields of a response that do not come from the provider."""


class RedactedBackend:
    """The backend's responses without the keys. Exceptions keep their type."""

    def __init__(self, backend: BatchBackend, blot: Blot) -> None:
        self._backend = backend
        self._blot = blot

    async def generate(
        self, requests: Iterable[Request], journal: Journal
    ) -> AsyncGenerator[Response | Deferred, None]:
        with _blotted_errors(self._blot):
            async with aclosing(self._backend.generate(requests, RedactedJournal(journal, self._blot))) as outcomes:
                async for outcome in outcomes:
                    yield outcome if isinstance(outcome, Deferred) else blot_response(outcome, self._blot)

    async def cancel(self, journal: Journal) -> AsyncGenerator[Response, None]:
        with _blotted_errors(self._blot):
            async with aclosing(self._backend.cancel(RedactedJournal(journal, self._blot))) as responses:
                async for response in responses:
                    yield blot_response(response, self._blot)


@contextmanager
def _blotted_errors(blot: Blot) -> Iterator[None]:
    try:
        yield
    except VluresError as error:
        error.args = tuple(blot_all(list(error.args), blot))
        raise


def blot_response(response: Response, blot: Blot) -> Response:
    """A response without the keys, wherever its provider put them."""
    changes: dict[str, Any] = {}
    for field in fields(response):
        value = getattr(response, field.name)
        if isinstance(value, str) and field.name not in OURS and (blotted := blot(value)) != value:
            changes[field.name] = blotted
    if response.error is not None:
        error = response.error
        changes["error"] = Failure(blot(error.code), blot(error.message), error.transient)
    return replace(response, **changes) if changes else response


class RedactedJournal:
    """A journal that never gets a key."""

    def __init__(self, journal: Journal, blot: Blot) -> None:
        self._journal = journal
        self._blot = blot

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self._journal.jobs

    def open_jobs(self) -> tuple[Job, ...]:
        return self._journal.open_jobs()

    def left_by_batches(self) -> frozenset[str]:
        return self._journal.left_by_batches()

    def begin_job(self, job: Job) -> None:
        self._journal.begin_job(job)

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None:
        self._journal.update_job(tag, state, **blot_all(facts, self._blot))

    def see_job(self, tag: str, snapshot: BatchSnapshot) -> None:
        self._journal.see_job(tag, replace(snapshot, status=self._blot(snapshot.status)))

    def recall(self, name: str) -> Mapping[str, Any]:
        return self._journal.recall(name)

    def remember(self, name: str, facts: Mapping[str, Any]) -> None:
        self._journal.remember(name, blot_all(facts, self._blot))


class RedactedObserver:
    """An observer that never gets a key."""

    def __init__(self, observer: Observer, blot: Blot) -> None:
        self._observer = observer
        self._blot = blot

    def say(self, sentence: str) -> None:
        self._observer.say(self._blot(sentence))

    def in_flight(self, count: int) -> None:
        self._observer.in_flight(count)

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None:
        self._observer.job_changed(tag, self._blot(state), done, total)

    def job_ended(self, tag: str) -> None:
        self._observer.job_ended(tag)

    def next_look(self, tag: str, in_s: float) -> None:
        self._observer.next_look(tag, in_s)

    def trouble(self, trouble: Trouble | None) -> None:
        if trouble is not None:
            trouble = replace(trouble, code=self._blot(trouble.code), reason=self._blot(trouble.reason))
        self._observer.trouble(trouble)

"""What a backend is, and where each one lives. A provider's SDK is loaded when its backend is connected, not before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from vlures.backends.redacted import RedactedBackend, RedactedJournal, RedactedObserver
from vlures.config.run_config import RunConfig
from vlures.errors import UsageError, VluresError
from vlures.records import Deferred, Job, JobState, Request, Response, Sighting
from vlures.safety.redaction import find_secrets, make_blot

BACKENDS: dict[tuple[str, str], str] = {
    ("openai", "batch"): "vlures.backends.openai:connect_batch",
    ("openai", "live"): "vlures.backends.openai:connect_live",
    ("gemini", "batch"): "vlures.backends.gemini:connect_batch",
    ("gemini", "live"): "vlures.backends.gemini:connect_live",
}


MOST_CONNECTIONS = 1_000


class Journal(Protocol):
    """The store as a backend sees it: remember a job, recall open jobs; remember and recall facts by a name."""

    @property
    def jobs(self) -> tuple[Job, ...]: ...

    def open_jobs(self) -> tuple[Job, ...]: ...

    def left_by_batches(self) -> frozenset[str]:
        """Keys of requests without an answer that were in a batch which is over."""
        ...

    def begin_job(self, job: Job) -> None: ...

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None: ...

    def see_job(self, tag: str, sighting: Sighting) -> None: ...

    def recall(self, name: str) -> Mapping[str, Any]:
        """What was last remembered under the name; empty if nothing was."""
        ...

    def remember(self, name: str, facts: Mapping[str, Any]) -> None: ...


class Observer(Protocol):
    """Who wants to know how a run goes on."""

    def say(self, sentence: str) -> None: ...

    def in_flight(self, count: int) -> None: ...

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None: ...

    def job_ended(self, tag: str) -> None: ...


class Backend(Protocol):
    """Turns requests into responses, in whatever order they come."""

    def generate(self, requests: Iterable[Request], journal: Journal) -> AsyncGenerator[Response | Deferred, None]: ...


class BatchBackend(Backend, Protocol):
    """The backend of a batch mode."""

    def cancel(self, journal: Journal) -> AsyncGenerator[Response, None]:
        """End what is under way, yield what that has answered, send nothing."""
        ...


class Budget(Protocol):
    """The run's money, in one mode, as a driver sees it. A response that a driver hands on is settled by whoever stores it."""

    def reserve(self, request: Request) -> bool:
        """Whether the request may be sent once more. If so, its highest cost is reserved from now on."""
        ...

    @property
    def awaits_money(self) -> bool:
        """Whether a live answer that is on its way, or is being stored, may yet make room for another request."""
        ...

    def forgo(self, request: Request) -> None:
        """The request is not sent in this run: no money will come free for it."""
        ...

    def release(self, request: Request) -> None:
        """What was reserved for a live call is free again: it was never made."""
        ...

    def lose(self, request: Request, failure: Exception | None) -> None:
        """A live call brought nothing to hand on, and may have been charged all the same."""
        ...

    def fail(self, response: Response) -> None:
        """A batch's line failed, and is not handed on: its request is to be sent again."""
        ...


class Boundless:
    """A budget without a limit or an account."""

    awaits_money = False

    def reserve(self, request: Request) -> bool:  # noqa: ARG002
        return True

    def forgo(self, request: Request) -> None: ...

    def release(self, request: Request) -> None: ...

    def lose(self, request: Request, failure: Exception | None) -> None: ...

    def fail(self, response: Response) -> None: ...


BOUNDLESS: Budget = Boundless()


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a backend is connected with.

    sandbox_url: of a sandbox that answers in the provider's place, or None. keep_going: False once the run is to stop.
    may_send: False while nothing is to be sent, because an answer would find no place.
    connections: that a batch backend may have open at a time.
    """

    config: RunConfig
    environment: Mapping[str, str]
    sandbox_url: str | None
    journal: Journal
    observer: Observer
    keep_going: Callable[[], bool]
    budget: Budget = BOUNDLESS
    may_send: Callable[[], bool] = lambda: True
    connections: int = MOST_CONNECTIONS


def connect(setup: Setup) -> Backend:
    """The backend of a run. No key of the environment gets past it.

    Raises UsageError for a backend or a mode that is not there, a key that is missing, an option it does not have.
    """
    return connect_batch(setup)


def connect_batch(setup: Setup) -> BatchBackend:
    """As `connect`, for a configuration whose mode is batch."""
    module, _, function = find_backend(setup.config).partition(":")
    blot = make_blot(find_secrets(setup.environment))
    redacted = replace(
        setup, journal=RedactedJournal(setup.journal, blot), observer=RedactedObserver(setup.observer, blot)
    )
    return RedactedBackend(getattr(import_module(module), function)(redacted), blot)


def find_backend(config: RunConfig) -> str:
    """Where the configuration's backend lives.

    Raises UsageError if there is none for its mode, VluresError if it needs a package that is not installed.
    """
    place = BACKENDS.get((config.backend, config.run_mode))
    if place is None:
        known = ", ".join(f"--backend {backend} --mode {mode}" for backend, mode in BACKENDS)
        own = " A server of your own is asked with --backend openai --mode live --base-url http://HOST:PORT/v1."
        raise UsageError(
            f"There is no --backend {config.backend} --mode {config.run_mode} yet; choose from {known}."
            + (own if config.backend == "local" else "")
        )
    asks_gemini_live = (config.backend, config.run_mode) == ("gemini", "live")
    if asks_gemini_live and config.sdk == "google-generativeai" and find_spec("google.generativeai") is None:
        raise VluresError(
            "--sdk google-generativeai needs that package; get it with `pip install 'vlures[generativeai]'`, or leave --sdk out."
        )
    return place

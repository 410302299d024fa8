"""What a backend is, and where each one lives. A provider's SDK is loaded when its backend is connected, not before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from vlures.config import RunConfig
from vlures.errors import UsageError, VluresError
from vlures.records import Job, JobState, Request, Response, Sighting

BACKENDS: dict[tuple[str, str], str] = {
    ("openai", "batch"): "vlures.backends.openai:connect_batch",
    ("openai", "live"): "vlures.backends.openai:connect_live",
    ("gemini", "batch"): "vlures.backends.gemini:connect_batch",
    ("gemini", "live"): "vlures.backends.gemini:connect_live",
}


class Journal(Protocol):
    """The store as a backend sees it: remember a job, recall open jobs; remember and recall facts by a name."""

    def open_jobs(self) -> tuple[Job, ...]: ...

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

    def generate(self, requests: Iterable[Request], journal: Journal) -> AsyncGenerator[Response, None]: ...


class BatchBackend(Backend, Protocol):
    """The backend of a batch mode."""

    def cancel(self, journal: Journal) -> AsyncGenerator[Response, None]:
        """End what is under way, yield what that has answered, send nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a backend is connected with.

    sandbox_url: of a sandbox that answers in the provider's place, or None. keep_going: False once the run is to stop.
    """

    config: RunConfig
    environment: Mapping[str, str]
    sandbox_url: str | None
    journal: Journal
    observer: Observer
    keep_going: Callable[[], bool]


def connect(setup: Setup) -> Backend:
    """The backend of a run.

    Raises UsageError for a backend or a mode that is not there, a key that is missing, an option it does not have.
    """
    module, _, function = find_backend(setup.config).partition(":")
    backend: Backend = getattr(import_module(module), function)(setup)
    return backend


def connect_batch(setup: Setup) -> BatchBackend:
    """As `connect`, for a configuration whose mode is batch."""
    module, _, function = find_backend(setup.config).partition(":")
    backend: BatchBackend = getattr(import_module(module), function)(setup)
    return backend


def find_backend(config: RunConfig) -> str:
    """Where the configuration's backend lives.

    Raises UsageError if there is none for its mode, VluresError if it needs a package that is not installed.
    """
    place = BACKENDS.get((config.backend, config.run_mode))
    if place is None:
        known = ", ".join(f"--backend {backend} --mode {mode}" for backend, mode in BACKENDS)
        raise UsageError(f"There is no --backend {config.backend} --mode {config.run_mode} yet; choose from {known}.")
    asks_gemini_live = (config.backend, config.run_mode) == ("gemini", "live")
    if asks_gemini_live and config.sdk == "google-generativeai" and find_spec("google.generativeai") is None:
        raise VluresError(
            "--sdk google-generativeai needs that package; get it with `pip install 'vlures[generativeai]'`, or leave --sdk out."
        )
    return place

"""What a backend is, and the table of providers. A provider's SDK is loaded when its backend is connected."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urlsplit

from vlures.backends.redacted import RedactedBackend, RedactedJournal, RedactedObserver
from vlures.config.environment import find_address, find_key
from vlures.config.route import check_surroundings, find_route
from vlures.config.sections import BackendOptions, Mode, WhoOptions
from vlures.errors import UsageError
from vlures.records import BatchSnapshot, Deferred, Image, Job, JobState, Request, Response
from vlures.safety.redaction import find_secrets, make_blot

if TYPE_CHECKING:
    from vlures.backends.provider import Helper, Provider
    from vlures.backends.trouble import Trouble

PROVIDERS = {
    "openai": "vlures.backends.openai",
    "gemini": "vlures.backends.gemini",
    "local": "vlures.backends.local",
}
"""Name → package. Its `facts.py` defines FACTS (a Provider), `keys.py` SECRET_VARIABLES, `options.py` Options."""

BACKENDS = tuple(PROVIDERS)
"""The values of --backend."""

MOST_CONNECTIONS = 1_000


class Journal(Protocol):
    """The store as a backend sees it: jobs, and facts that are remembered by a name."""

    @property
    def jobs(self) -> tuple[Job, ...]: ...

    def open_jobs(self) -> tuple[Job, ...]: ...

    def left_by_batches(self) -> frozenset[str]:
        """Keys of requests without an answer that were in a batch that is over."""
        ...

    def begin_job(self, job: Job) -> None: ...

    def update_job(self, tag: str, state: JobState, **facts: str | None) -> None: ...

    def see_job(self, tag: str, snapshot: BatchSnapshot) -> None: ...

    def recall(self, name: str) -> Mapping[str, Any]:
        """The facts last remembered under the name; empty if there are none."""
        ...

    def remember(self, name: str, facts: Mapping[str, Any]) -> None: ...


class Observer(Protocol):
    """Is told of a run's progress."""

    def say(self, sentence: str) -> None: ...

    def in_flight(self, count: int) -> None: ...

    def job_changed(self, tag: str, state: str, done: int, total: int) -> None: ...

    def job_ended(self, tag: str) -> None: ...

    def next_look(self, tag: str, in_s: float) -> None:
        """When the job is looked at again."""
        ...

    def trouble(self, trouble: Trouble | None) -> None:
        """A call has failed and is tried again; None: the trouble is over."""
        ...


class Backend(Protocol):
    """Turns requests into responses, in whatever order they come."""

    def generate(self, requests: Iterable[Request], journal: Journal) -> AsyncGenerator[Response | Deferred, None]: ...


class BatchBackend(Backend, Protocol):
    """The backend of a batch mode."""

    def cancel(self, journal: Journal) -> AsyncGenerator[Response, None]:
        """End open batches, yield what they have answered, send nothing."""
        ...


class Budget(Protocol):
    """The run's money, in one mode, as a driver sees it. A response that it yields is settled once stored."""

    def reserve(self, request: Request) -> bool:
        """Whether the money allows the request to be sent once more. If so, its highest cost is now reserved."""
        ...

    @property
    def awaits_money(self) -> bool:
        """Whether a live answer that is under way, or is being stored, may still free money for another request."""
        ...

    def forgo(self, request: Request) -> None:
        """The request is not sent in this run: no money will be freed for it."""
        ...

    def release(self, request: Request) -> None:
        """Free what was reserved for a live call: it was never made."""
        ...

    def lose(self, request: Request, failure: Exception | None) -> None:
        """A live call brought no response to yield, and may have been charged all the same."""
        ...

    def fail(self, response: Response) -> None:
        """A batch's line failed and is not yielded: its request is sent again."""
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
    """Everything that a backend is connected with."""

    options: BackendOptions
    environment: Mapping[str, str]
    sandbox_url: str | None
    """Of a sandbox that answers in the provider's place."""
    journal: Journal
    observer: Observer
    keep_going: Callable[[], bool]
    """False once the run must stop."""
    budget: Budget = BOUNDLESS
    may_send: Callable[[], bool] = lambda: True
    """False while nothing may be sent, because an answer could not be stored."""
    connections: int = MOST_CONNECTIONS
    """That a batch backend may have open at a time."""
    has_answers: bool = False
    """The provider has answered requests of this run before."""
    everything: Callable[[], Iterable[Request]] = tuple
    """All requests of the run, answered or not, in their order."""
    shards: Path | None = None
    """A folder of the run for what its other processes answer."""


def connect(setup: Setup) -> Backend:
    """The backend of a run. It lets no key of the environment through.

    Raises UsageError for an unknown backend or mode, a missing key, or an option that the backend does not have.
    """
    return connect_batch(setup)


def connect_batch(setup: Setup) -> BatchBackend:
    """As `connect`, for a configuration whose mode is batch."""
    target = setup.options.target
    provider = find_provider(target.provider)
    assert provider is not None  # prepare has found its backend
    blot = make_blot(find_secrets(setup.environment, secret_variables()))
    _check_way(provider, setup)
    redacted = replace(
        setup, journal=RedactedJournal(setup.journal, blot), observer=RedactedObserver(setup.observer, blot)
    )
    return RedactedBackend(_load(provider.connectors[target.mode])(redacted), blot)


def _check_way(provider: Provider, setup: Setup) -> None:
    """Raises UsageError for a proxy or a file of certificates that cannot be used. A rehearsal asks no provider, and
    finds out what would stop a real run."""
    variables = provider.certificate_variables(setup.options.provider)
    if setup.sandbox_url:
        check_surroundings(variables)
        return
    if provider.usual_address is None:
        return
    address = find_address(setup.options.target.base_url, setup.environment, provider.address_variable)
    find_route(address or provider.usual_address, variables)


def is_paid(name: str) -> bool:
    """Whether a backend's answers may cost money: all but those of this machine."""
    provider = find_provider(name)
    return provider is None or provider.usual_address is not None


def meet(name: str) -> AbstractContextManager[Helper | None]:
    """The meeting of a backend's processes of one run; see Provider.meet."""
    provider = find_provider(name)
    if provider is None or provider.meet is None:
        return nullcontext()
    meeting: AbstractContextManager[Helper | None] = _load(provider.meet)()
    return meeting


def find_uploaded(
    provider: Provider, options: BackendOptions, environment: Mapping[str, str], journal: Journal
) -> Callable[[Image], bool]:
    """Says of an image whether the account that a run would use has it as a file already."""
    if provider.find_uploaded is None:
        return lambda _: False
    is_uploaded: Callable[[Image], bool] = _load(provider.find_uploaded)(options, environment, journal)
    return is_uploaded


def _load(place: str) -> Any:
    """place: `module:function`."""
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)


def find_backend(name: str, mode: Mode) -> Provider:
    """The provider behind a backend. Raises UsageError if there is none for the mode."""
    provider = find_provider(name)
    if provider is None or mode not in provider.connectors:
        known = ", ".join(
            f"--backend {known.name} --mode {mode}" for known in all_providers() for mode in known.connectors
        )
        raise UsageError(
            f"There is no --backend {name} --mode {mode} yet; choose from {known}."
            + ("" if provider else describe_own_servers())
        )
    return provider


def describe_own_servers() -> str:
    """How to ask a server that is no provider's."""
    return "".join(
        f" A server of your own is asked with --backend {provider.name} --mode live --base-url http://HOST:PORT/v1."
        for provider in all_providers()
        if provider.serves_own
    )


@cache
def find_provider(name: str) -> Provider | None:
    """The facts of the provider with this name; None for a backend without a provider."""
    return cast("Provider", import_module(f"{PROVIDERS[name]}.facts").FACTS) if name in PROVIDERS else None


@cache
def all_providers() -> tuple[Provider, ...]:
    """In the order of the table."""
    return tuple(provider for name in PROVIDERS if (provider := find_provider(name)) is not None)


def find_options(name: str) -> type:
    """The options that only this provider has: `Options` in its module `options`."""
    options: type = import_module(f"{PROVIDERS[name]}.options").Options
    return options


def secret_variables() -> tuple[str, ...]:
    """Environment variables whose values a provider's SDK may send."""
    keys = (import_module(f"{package}.keys").SECRET_VARIABLES for package in PROVIDERS.values())
    return tuple(name for names in keys for name in names)


def find_own_address(who: WhoOptions, environment: Mapping[str, str]) -> str | None:
    """The provider's address where the user has set one.

    Raises UsageError if it is not an address.
    """
    provider = find_provider(who.backend)
    return None if provider is None else find_address(who.base_url, environment, provider.address_variable)


def check_key(options: BackendOptions, environment: Mapping[str, str]) -> None:
    """Raises UsageError for a key that a run will need and that is not set, or is none."""
    provider = find_provider(options.target.provider)
    if provider is None or not provider.key_variables:
        return
    address = find_address(options.target.base_url, environment, provider.address_variable)
    if not (provider.serves_own and find_other_host(address)):  # a server of the user's own may want none
        find_key(environment, *provider.key_variables)


def find_other_host(address: str | None) -> str | None:
    """The address's host, if it is not a provider's own."""
    host = urlsplit(address or "").hostname
    own = tuple(end for provider in all_providers() for end in provider.hosts)
    return None if host is None or f".{host}".endswith(own) else host

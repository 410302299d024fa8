"""What a provider of live calls is to the live driver, and a run's limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vlures.config.sections import BackendOptions
from vlures.records import Request, Response


class LiveClient(Protocol):
    """What the driver needs of a provider."""

    provider: str

    async def answer(self, request: Request) -> Response:
        """One call. Raises Retry for what is transient, VluresError where the run cannot go on."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """The limits of a live run."""

    concurrency: int
    """Calls in flight at most."""
    timeout_s: float
    """The longest that one call may take."""
    rpm: float | None = None
    """Requests a minute that the user allows."""
    tpm: float | None = None
    """Tokens a minute that the user allows."""

    @classmethod
    def of(cls, options: BackendOptions) -> LivePolicy:
        return cls(options.live.concurrency, options.find_timeout_s(), options.live.rpm, options.live.tpm)

"""The same provider asked live: each call is charged when it acts, and nobody can have a reply again that was lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.protocol_model.folder import Asked
from tests.protocol_model.provider import (
    MODEL,
    NAME,
    NOT_ACTED,
    ON_THE_WAY_S,
    SLOW_S,
    CallName,
    Provider,
    Told,
    Trouble,
    tell_usage,
)
from vlures.errors import Retry, VluresError
from vlures.records import Failure, Request, Response, Usage

LIVE_TROUBLES: tuple[tuple[CallName, Trouble], ...] = (
    *(("live", "lost before"), ("live", "lost after"), ("live", "slow"), ("live", "retry"), ("live", "retry later")),
    *(("live", "truncated"), ("live", "lasting"), ("live", "refused"), ("live", "tells nothing")),
    ("live", "tells nonsense"),
)


@dataclass(eq=False, slots=True)
class LiveCall:
    """A live call that was charged."""

    asked: Asked
    process: int
    """The number of its process."""
    charged_s: float
    """By the machine's own clock."""
    excused: bool = False
    """Its reply was lost on the way, or its process was killed meanwhile."""


class LiveClient:
    """The provider's live calls as one process makes them."""

    provider = NAME

    def __init__(self, provider: Provider, process: int) -> None:
        self._provider = provider
        self._process = process

    async def answer(self, request: Request) -> Response:
        provider = self._provider
        provider.calls["live"] += 1
        trouble = provider.next_trouble("live")
        await asyncio.sleep(SLOW_S if trouble == "slow" else ON_THE_WAY_S)
        if trouble == "refused":
            raise VluresError("The key is refused. Fix it, then run again.")
        if trouble in NOT_ACTED:
            raise Retry("busy", code="503", after_s=20.0 if trouble == "retry later" else None, signal="overload")
        if trouble == "lasting" or request.key in provider.cursed:
            return Response(request.key, "failed", error=Failure("lasting", "No.", transient=False))
        call = LiveCall((request.key, request.digest), self._process, provider.clock.awake_s)
        provider.live.append(call)
        provider.calls["charged live"] += 1
        await asyncio.sleep(ON_THE_WAY_S)
        if trouble == "lost after":
            call.excused = True
            raise Retry("the reply was lost", code="connection")
        status = "truncated" if trouble == "truncated" else "ok"
        told: Told = {"tells nothing": "nothing", "tells nonsense": "negative"}.get(trouble or "", "true")  # type: ignore[assignment]
        usage = tell_usage(call.asked, told)
        text = f"answer to {request.digest}"
        return Response(request.key, status, text=text, model=MODEL, usage=Usage(*usage) if usage else None)

    async def close(self) -> None:
        await asyncio.sleep(0)

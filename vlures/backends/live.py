"""The live driver: one semaphore over all cells, retry within a budget of time, a shared pause. It knows no provider."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from vlures.backends import Journal, Observer
from vlures.backends.patience import Patience, wait_s
from vlures.errors import Incomplete, Retry, VluresError
from vlures.records import Failure, Request, Response

LONGEST_NAP_S = 0.5
LOOP_TURNS_BETWEEN_CALLS = 3
"""To build a body takes milliseconds, and it leaves only when the loop has turned a few times. Where many calls begin
in one turn, all their bodies leave together after the last is built, and from then on all calls run in lockstep. So
a call begins when the one before it is on its way. (1,000 pictures of 200 KB, 20 at a time, 200 ms each: 1.31 × the
ideal time without this, 1.08 × with it.)"""


class LiveClient(Protocol):
    """What the driver needs of a provider: one answer, or Retry, or VluresError where the run cannot go on."""

    provider: str

    async def answer(self, request: Request) -> Response: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """The limits of a live run. timeout_s is the longest that one call may take."""

    concurrency: int
    timeout_s: float


class _End:
    """Nothing more will come."""


class LiveDriver:
    """The backend of every provider's live mode."""

    def __init__(
        self,
        client: LiveClient,
        policy: LivePolicy,
        patience: Patience,
        observer: Observer,
        keep_going: Callable[[], bool],
    ) -> None:
        """keep_going: once it is False, what waits to be sent again is left alone; what is under way is waited for."""
        self._keep_going = keep_going
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._resume_at = 0.0
        self._last_answer = 0.0
        self._in_flight = 0
        self._stopped: VluresError | None = None
        self._turn = asyncio.Lock()

    async def generate(self, requests: Iterable[Request], journal: Journal) -> AsyncGenerator[Response, None]:  # noqa: ARG002
        """Ask for every request, at most `concurrency` at a time over all cells; yield each response as it comes."""
        queue: asyncio.Queue[Response | _End] = asyncio.Queue()
        self._last_answer = asyncio.get_running_loop().time()
        task = asyncio.create_task(self._drive(requests, queue))
        try:
            while not isinstance(item := await queue.get(), _End):
                yield item
            await task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, VluresError):
                await task
            await self._client.close()

    async def _drive(self, requests: Iterable[Request], queue: asyncio.Queue[Response | _End]) -> None:
        """Keep the semaphore's places taken. What stops the run lets the answers in flight come in first."""
        semaphore = asyncio.Semaphore(self._policy.concurrency)

        async def one(request: Request) -> None:
            self._count_in_flight(+1)
            try:
                response = await self._ask(request)
                if response is not None:
                    await queue.put(response)
            except VluresError as error:
                self._stopped = self._stopped or error
            finally:
                self._count_in_flight(-1)
                semaphore.release()

        source = iter(requests)
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await semaphore.acquire()
                    request = None if self._stopped else next(source, None)
                    if request is None:
                        break
                    group.create_task(one(request))
            if self._stopped:
                raise self._stopped
        finally:
            queue.put_nowait(_End())

    def _count_in_flight(self, change: int) -> None:
        self._in_flight += change
        self._observer.in_flight(self._in_flight)

    async def _ask(self, request: Request) -> Response | None:
        """One request's response, or None if the run is to stop before there is one. A failure that lasts too long,
        while others are answered, becomes a `failed` one.

        Raises Incomplete when nobody has been answered for the whole budget of time.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        reasons: Counter[str] = Counter()
        attempt = 0
        while True:
            attempt += 1
            await self._wait_until(lambda: self._resume_at)
            if attempt > 1 and self._is_stopping():
                return None
            sent = loop.time()
            try:
                response = await self._call(request)
            except Retry as failure:
                if self._is_stopping():
                    return None
                reasons[failure.code] += 1
                wait = wait_s(attempt, failure.after_s)
                self._check_silence(failure, loop.time() - self._last_answer)
                used_up = failure.limit is not None and reasons[failure.code] > failure.limit
                if used_up or not self._patience.lasts(failure, loop.time() - began):
                    error = Failure(failure.code, failure.reason, transient=True)
                    return Response(request.key, "failed", request.digest, error=error, attempts=attempt)
                if failure.everyone:
                    self._pause_everyone(wait, failure)
                resume_at = loop.time() + wait
                await self._wait_until(lambda: resume_at)  # noqa: B023
            else:
                self._patience.reached = True
                self._last_answer = loop.time()
                latency_s = round(loop.time() - sent, 3)
                return replace(response, digest=request.digest, attempts=attempt, latency_s=latency_s)

    def _check_silence(self, failure: Retry, silent_for_s: float) -> None:
        if not self._patience.lasts(failure, silent_for_s):
            raise Incomplete(
                f"{self._client.provider} has answered nobody for {silent_for_s:.0f} s ({failure.reason}), and the run's patience ends. "
                "Everything received is stored; run the same command again later."
            )

    def _pause_everyone(self, wait: float, failure: Retry) -> None:
        loop = asyncio.get_running_loop()
        if failure.after_s is not None and loop.time() >= self._resume_at:
            self._observer.say(f"{self._client.provider} asks for a pause of {wait:.0f} s: {failure.reason}")
        self._resume_at = max(self._resume_at, loop.time() + wait)

    async def _call(self, request: Request) -> Response:
        async with self._turn:
            for _ in range(LOOP_TURNS_BETWEEN_CALLS):
                await asyncio.sleep(0)
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                return await self._client.answer(request)
        except TimeoutError as error:
            reason = f"no answer within {self._policy.timeout_s:g} s"
            raise Retry(reason, code="timeout", reached=self._patience.reached) from error

    def _is_stopping(self) -> bool:
        return self._stopped is not None or not self._keep_going()

    async def _wait_until(self, moment: Callable[[], float]) -> None:
        """Wait for a moment that may yet be put off; in short steps, so as to notice that the run is to stop."""
        loop = asyncio.get_running_loop()
        while (left_s := moment() - loop.time()) > 0 and not self._is_stopping():  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, LONGEST_NAP_S))

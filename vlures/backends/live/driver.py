"""The live driver: many calls at a time, as fast as the provider lets them, each within a budget of time. It knows no
provider.

One dispatcher starts all calls, so that whatever limits them (the window and the rate of `flow.py`, the user's `--rpm`
and `--tpm`, a pause that the provider asked for) is looked at in one place. A request that is to be tried again gives up
its place and waits aside, so that it holds nobody up and no picture in memory.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Protocol

from aiolimiter import AsyncLimiter

from vlures.backends import BOUNDLESS, Budget, Journal, Observer
from vlures.backends.live.rate_control import Flow
from vlures.backends.open_files import is_shortage
from vlures.backends.replies import is_ours, name_mishap
from vlures.backends.retry import Patience, wait_s
from vlures.config.sections import BackendOptions
from vlures.errors import Incomplete, Retry, VluresError
from vlures.records import Failure, Request, Response

LONGEST_NAP_S = 0.5
SHORTAGE_PAUSE_S = 0.5
SHORTAGE_PATIENCE_S = 60.0
LAST_LOOK_S = 0.05
"""After a call's time is over: what waits in its socket is read before the call is given up."""
UNFORESEEN_RETRIES = 2
MONEY_NAP_S = 0.02
"""An answer's money comes free when it is stored, a moment after it has come."""
LOOP_TURNS_BETWEEN_CALLS = 3
"""To build a body takes milliseconds, and it leaves only when the loop has turned a few times. Where many calls begin
in one turn, all their bodies leave together after the last is built, and from then on all calls run in lockstep. So
a call begins when the one before it is on its way. (1,000 pictures of 200 KB, 20 at a time, 200 ms each: 1.31 × the
ideal time without this, 1.08 × with it.)"""

TOKENS_OF_A_PICTURE = 1_500
BYTES_OF_A_TOKEN = 3
"""For `--tpm`, until the first answers have told what a request really takes."""
SAID_PAUSE_S = 2.0
MOST_ASIDE = 1_000
"""Questions that wait to be asked again before no new one is begun: far more than all those about one picture that the
provider stumbles over."""
ALLOWANCE_USED = 0.99
"""Of `--rpm`: requests do not arrive as evenly as they leave, and one that is refused may count against the next."""


class LiveClient(Protocol):
    """What the driver needs of a provider: one answer, or Retry, or VluresError where the run cannot go on."""

    provider: str

    async def answer(self, request: Request) -> Response: ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LivePolicy:
    """The limits of a live run. timeout_s is the longest that one call may take; rpm and tpm are what the user allows
    in requests and tokens a minute."""

    concurrency: int
    timeout_s: float
    rpm: float | None = None
    tpm: float | None = None

    @classmethod
    def of(cls, options: BackendOptions) -> LivePolicy:
        """As the configuration has it."""
        return cls(options.live.concurrency, options.find_timeout_s(), options.live.rpm, options.live.tpm)


class _End:
    """Nothing more will come."""


@dataclass(slots=True)
class _Question:
    """A request on its way to an answer. began: when it was sent first, by the loop's clock."""

    request: Request
    attempt: int = 0
    began: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)


class LiveDriver:
    """The backend of every provider's live mode."""

    def __init__(
        self,
        client: LiveClient,
        policy: LivePolicy,
        patience: Patience,
        observer: Observer,
        keep_going: Callable[[], bool],
        budget: Budget = BOUNDLESS,
        may_send: Callable[[], bool] = lambda: True,
    ) -> None:
        """keep_going: once it is False, what waits to be sent again is left alone; what is under way is waited for.
        may_send: while it is False, nothing is sent."""
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._keep_going = keep_going
        self._budget = budget
        self._may_send = may_send
        self._flow = Flow(policy.concurrency)
        self._allowance = _Allowance(policy)
        self._aside: list[tuple[float, int, _Question]] = []
        self._order = count()
        self._in_flight = 0
        self._last_answer = 0.0
        self._stopped: Exception | None = None
        self._told_of_shortage = False
        self._bell = asyncio.Event()
        """Rings when a call has ended: there is room, or a question to ask again."""

    async def generate(self, requests: Iterable[Request], journal: Journal) -> AsyncGenerator[Response, None]:  # noqa: ARG002
        """Ask for every request, at most `concurrency` at a time over all cells; yield each response as it comes."""
        queue: asyncio.Queue[Response | _End] = asyncio.Queue()
        self._last_answer = self._now()
        task = asyncio.create_task(self._drive(iter(requests), queue))
        try:
            while not isinstance(item := await queue.get(), _End):
                yield item
            await task
        except asyncio.CancelledError:  # what has arrived is handed over all the same
            task.cancel()
            while not queue.empty():
                if not isinstance(item := queue.get_nowait(), _End):
                    yield item
            raise
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, VluresError):
                await task
            await self._client.close()

    # Who is asked when

    async def _drive(self, source: Iterator[Request], queue: asyncio.Queue[Response | _End]) -> None:
        """Start calls. What stops the run lets the answers in flight come in first."""
        try:
            async with asyncio.TaskGroup() as group:
                while (question := await self._next_question(source)) is not None:
                    if await self._may_leave(question):
                        self._flow.started(self._now())
                        self._count_in_flight(+1)
                        group.create_task(self._ask(question, queue))
                        for _ in range(LOOP_TURNS_BETWEEN_CALLS):
                            await asyncio.sleep(0)
            if self._stopped:
                raise self._stopped
        finally:
            queue.put_nowait(_End())

    async def _next_question(self, source: Iterator[Request]) -> _Question | None:
        """The next to be asked: one that has waited its time, else a new one. None when all is over, or the run is to
        stop. While many wait to be asked again no new one is begun."""
        new: Request | None
        while self._stopped is None:
            stopping = self._is_stopping()
            if self._aside and self._aside[0][0] <= self._now() and not stopping:
                return heapq.heappop(self._aside)[2]
            full = len(self._aside) >= max(MOST_ASIDE, self._policy.concurrency)
            if not full and (new := self._next_new(source)) is not None:
                return _Question(new)
            if self._stopped is not None:
                break
            if not self._in_flight and (stopping or not self._aside):
                return None
            await self._nap(self._aside[0][0] - self._now() if self._aside and not stopping else LONGEST_NAP_S)
        return None

    def _next_new(self, source: Iterator[Request]) -> Request | None:
        """The next request, if there is one. One that cannot be made must not cost those in flight their answers."""
        try:
            return next(source, None)
        except Exception as error:  # noqa: BLE001 (raised once the answers in flight are in)
            self._stopped = error
            return None

    async def _may_leave(self, question: _Question) -> bool:
        """Wait until the limits let another call begin. False if the run is to stop before that."""
        while not self._is_stopping():
            wait = self._flow.wait_s(self._now(), self._in_flight) if self._may_send() else LONGEST_NAP_S
            if wait <= 0:
                return await self._can_pay(question.request) and await self._is_allowed(question.request)
            await self._nap(wait)
        return False

    async def _can_pay(self, request: Request) -> bool:
        """Wait until the answers in flight have left enough money for another call. False if they cannot."""
        while not self._budget.reserve(request):
            if self._is_stopping():
                return False
            if not self._may_send():  # it is the disk that does not take the reservation
                await self._nap(LONGEST_NAP_S)
                continue
            if not self._budget.awaits_money:
                self._budget.forgo(request)
                return False
            await self._nap(MONEY_NAP_S)
        return True

    async def _is_allowed(self, request: Request) -> bool:
        """Wait for what the user allows in requests and tokens a minute."""
        allowed = await self._allowance.take(request, self._is_stopping)
        if not allowed:
            self._budget.release(request)
        return allowed

    async def _nap(self, longest_s: float) -> None:
        """Wait for the bell, or so long; in short steps, so as to notice that the run is to stop."""
        self._bell.clear()
        alarm = asyncio.get_running_loop().call_later(max(0.0, min(longest_s, LONGEST_NAP_S)), self._bell.set)
        await self._bell.wait()
        alarm.cancel()

    def _is_stopping(self) -> bool:
        return self._stopped is not None or not self._keep_going()

    def _count_in_flight(self, change: int) -> None:
        self._in_flight += change
        self._observer.in_flight(self._in_flight)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    # One call

    async def _ask(self, question: _Question, queue: asyncio.Queue[Response | _End]) -> None:
        """Make one call and see to what comes of it: a response, a place aside, the end of the run."""
        sent = self._now()
        question.attempt += 1
        question.began = question.began or sent
        response: Response | None = None
        lost: Exception | None = None
        try:
            response = await self._call(question.request)
        except Retry as failure:
            lost = failure
            try:
                response = self._take_failure(question, failure, sent)
            except VluresError as error:
                self._stopped = self._stopped or error
        except Exception as error:  # noqa: BLE001 (whatever it is, it must not cost the others their answers)
            lost = error
            if not is_shortage(error) or not self._wait_for_room(question, error):
                self._stopped = self._stopped or error
        else:
            response = self._take_answer(question, response, sent)
        finally:
            if response is None:
                self._budget.lose(question.request, lost)
            self._count_in_flight(-1)
            self._bell.set()
        if response is not None:
            await queue.put(response)

    async def _call(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(None) as limit:
                alarm = loop.call_later(self._policy.timeout_s, lambda: limit.reschedule(loop.time() + LAST_LOOK_S))
                try:
                    return await self._client.answer(request)
                finally:
                    alarm.cancel()
        except TimeoutError as error:
            reason = f"no answer within {self._policy.timeout_s:g} s"
            raise Retry(reason, code="timeout", signal="overload") from error
        except Exception as error:
            if is_ours(error):
                raise
            # Whatever it is, it is this one call's: it must not cost the others their answers.
            reason = f"the call failed in a way that is not foreseen ({type(error).__name__}: {name_mishap(error)})"
            raise Retry(reason, code="unforeseen", limit=UNFORESEEN_RETRIES) from error

    def _take_answer(self, question: _Question, response: Response, sent: float) -> Response:
        now = self._now()
        self._patience.reached = True
        self._last_answer = now
        self._flow.answered(now, sent)
        self._allowance.learn(response)
        latency_s = round(now - sent, 3)
        return replace(response, digest=question.request.digest, attempts=question.attempt, latency_s=latency_s)

    def _take_failure(self, question: _Question, failure: Retry, sent: float) -> Response | None:
        """Put the question aside; or give the response of one that has failed too long while others were answered.

        Raises Incomplete when nobody has been answered for the whole budget of time.
        """
        if is_shortage(failure):
            if self._wait_for_room(question, failure):
                return None
            raise Incomplete(
                f"This machine had no room for a connection for {SHORTAGE_PATIENCE_S:.0f} s ({failure.reason}). End what holds so many "
                "files open, or raise the limit of open files (`ulimit -n`), then run again."
            )
        stopping = self._is_stopping()
        if stopping and failure.heard is None:
            return None
        now = self._now()
        wait = _wait_s(question.attempt, failure)
        question.reasons[failure.code] += 1
        if not stopping:
            self._check_silence(failure, now - self._last_answer)
        used_up = stopping or (failure.limit is not None and question.reasons[failure.code] > failure.limit)
        if used_up or not self._patience.lasts(failure, now - question.began, failure.after_s):
            error = Failure(failure.code, failure.reason, transient=True)
            request = question.request
            heard = failure.heard or Response(request.key, "failed")
            return replace(heard, digest=request.digest, error=error, attempts=question.attempt)
        self._slow_down(failure, now, sent, wait)
        heapq.heappush(self._aside, (now + wait, next(self._order), question))
        return None

    def _wait_for_room(self, question: _Question, error: Exception) -> bool:
        """This machine has no room for one more connection: fewer at a time will do. The provider has not seen the call.
        False when there has been no room for so long that a first contact would have been given up."""
        now = self._now()
        if self._is_stopping():
            return True
        if not self._told_of_shortage:
            self._told_of_shortage = True
            self._observer.say(
                f"This machine has no room for more connections ({name_mishap(error)}); fewer are open at a time."
            )
        self._flow.overloaded(now, SHORTAGE_PAUSE_S)
        question.attempt -= 1
        heapq.heappush(self._aside, (now + SHORTAGE_PAUSE_S, next(self._order), question))
        return now - max(self._last_answer, question.began) < SHORTAGE_PATIENCE_S

    def _slow_down(self, failure: Retry, now: float, sent: float, wait: float) -> None:
        """What a failure says of the provider as a whole. Others wait too when it says for how long, or is overloaded."""
        if failure.signal is None:
            return
        if (failure.after_s or 0.0) >= SAID_PAUSE_S and now >= self._flow.resume_at:
            self._observer.say(f"{self._client.provider} asks for a pause of {failure.after_s:.0f} s: {failure.reason}")
        if failure.signal == "rate":
            self._flow.refused(now, sent, failure.after_s)
        else:
            self._flow.overloaded(now, 0.0 if failure.code == "timeout" else wait)

    def _check_silence(self, failure: Retry, silent_for_s: float) -> None:
        asked_s = failure.after_s if failure.signal == "rate" else None
        if self._patience.lasts(failure, silent_for_s, asked_s):
            return
        if asked_s:
            again = f"{datetime.now(UTC) + timedelta(seconds=asked_s):%Y-%m-%d %H:%M} UTC"
            raise Incomplete(
                f"{self._client.provider} asks for a pause of {asked_s / 60:.0f} min, longer than this run's patience: "
                f"{failure.reason} Run the same command again from {again} on; it goes on from here."
            )
        raise Incomplete(
            f"{self._client.provider} has answered nobody for {silent_for_s:.0f} s ({failure.reason}), and the run's patience ends. "
            "Run the same command again later; it goes on from here."
        )


def _wait_s(attempt: int, failure: Retry) -> float:
    """Seconds until a question is asked again. One that a limit refused goes first when the limit is tried again: the
    flow holds it back, and at the end of a run nothing else would be left to wait for."""
    if failure.signal != "rate":
        return wait_s(attempt, failure.after_s)
    return wait_s(attempt - 1, failure.after_s) if attempt > 1 else failure.after_s or 0.0


class _Allowance:
    """The requests and tokens a minute that the user allows, spread evenly: a provider that counts over a minute, or
    over a second, would refuse what comes in a burst."""

    def __init__(self, policy: LivePolicy) -> None:
        self._requests = self._tokens = None
        if policy.rpm is not None:
            rpm = policy.rpm * ALLOWANCE_USED
            period_s = max(0.2, 120 / rpm)
            self._requests = AsyncLimiter(rpm * period_s / 60, period_s)
        if policy.tpm is not None:
            self._tokens = AsyncLimiter(policy.tpm / 6, 10)
        self._answers = 0
        self._tokens_answered = 0

    async def take(self, request: Request, is_stopping: Callable[[], bool]) -> bool:
        """Wait until the request may leave. False if the run is to stop before that."""
        if self._requests is not None and not await _acquire(self._requests, 1, is_stopping):
            return False
        return self._tokens is None or await _acquire(self._tokens, self._expect(request), is_stopping)

    def learn(self, response: Response) -> None:
        """What a request takes is taken from those that were answered."""
        usage = response.usage
        if usage is not None and usage.input_tokens is not None:
            self._answers += 1
            self._tokens_answered += usage.input_tokens + (usage.output_tokens or 0)

    def _expect(self, request: Request) -> float:
        if self._answers:
            return self._tokens_answered / self._answers
        texts = (request.prompt.system, *request.prompt.pieces)
        return TOKENS_OF_A_PICTURE + sum(len(text.encode()) for text in texts) / BYTES_OF_A_TOKEN


async def _acquire(limiter: AsyncLimiter, amount: float, is_stopping: Callable[[], bool]) -> bool:
    """Take from a limiter, in portions that it can hold, and in short steps, so as to notice that the run is to stop."""
    while amount > 0:
        portion = min(amount, limiter.max_rate)
        if is_stopping():
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_NAP_S):
                await limiter.acquire(portion)
                amount -= portion
    return True

"""The live driver: many calls at a time, as fast as the provider lets them, each within a budget of time. It knows no
provider.

One dispatcher starts all calls, so that every limit (the window and the rate of `rate_control.py`, the user's `--rpm`
and `--tpm`, a pause that the provider asked for) is checked in one place. A request that must be tried again gives up
its place and waits aside, so that it neither delays another nor holds an image in memory.
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

from vlures.backends import BOUNDLESS, Budget, Journal, Observer
from vlures.backends.live.allowance import Allowance
from vlures.backends.live.client import LiveClient, LivePolicy
from vlures.backends.live.lone_failures import LoneFailures, Record
from vlures.backends.live.rate_control import RateControl
from vlures.backends.open_files import is_shortage
from vlures.backends.replies import is_ours, name_mishap
from vlures.backends.retry import Patience, wait_s
from vlures.errors import Incomplete, Retry, VluresError
from vlures.records import Failure, Request, Response

LONGEST_NAP_S = 0.5
LONGEST_UNREACHED_PAUSE_S = 5.0
"""Between two tries of a server that refuses every connection: each fails in a millisecond."""
SHORTAGE_PAUSE_S = 0.5
SHORTAGE_PATIENCE_S = 60.0
LAST_LOOK_S = 0.05
"""After a call's time-out: what waits in its socket is read before the call is given up."""
UNFORESEEN_RETRIES = 2
MONEY_NAP_S = 0.02
"""An answer's reserved money is freed when the answer is stored, a moment after it arrives."""
LOOP_TURNS_BETWEEN_CALLS = 3
"""A body takes milliseconds to build, and leaves only after a few turns of the loop. Where many calls begin in one
turn, all their bodies leave together after the last is built, and all calls run in lockstep from then on. So a call
begins when the one before it is on its way. (1,000 images of 200 KB, 20 at a time, 200 ms each: 1.31 × the ideal time
without this, 1.08 × with it.)"""
MOST_ASIDE = 1_000
"""No new question is asked while so many wait to be asked again: far more than one bad image can cause."""


class _End:
    """Nothing follows."""


@dataclass(slots=True)
class _Question:
    """A request on its way to an answer."""

    request: Request
    attempt: int = 0
    began: float = 0.0
    """When it was first sent, by the loop's clock."""
    reasons: Counter[str] = field(default_factory=Counter)
    """How often it failed, by the failure's code."""
    record: Record = field(default_factory=Record)


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
        """keep_going: once False, nothing is sent again, and only the calls in flight are waited for. may_send: while
        False, nothing is sent."""
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._keep_going = keep_going
        self._budget = budget
        self._may_send = may_send
        self._rate_control = RateControl(policy.concurrency)
        self._allowance = Allowance(policy)
        self._lone_failures = LoneFailures(answered_before=patience.answered)
        self._all_asked = False
        """No request is left that was never sent."""
        self._aside: list[tuple[float, int, _Question]] = []
        self._order = count()
        self._in_flight = 0
        self._last_answer = 0.0
        self._stopped: Exception | None = None
        self._told_of_shortage = False
        self._unreached = 0
        """Calls in a row that did not reach the provider."""
        self._bell = asyncio.Event()
        """Set when a call ends: there is room, or a question to ask again."""

    async def generate(self, requests: Iterable[Request], journal: Journal) -> AsyncGenerator[Response, None]:  # noqa: ARG002
        """Ask for every request, at most `concurrency` at a time over all cells; yield each response as it comes."""
        queue: asyncio.Queue[Response | _End] = asyncio.Queue()
        self._last_answer = self._now()
        task = asyncio.create_task(self._drive(iter(requests), queue))
        try:
            while not isinstance(item := await queue.get(), _End):
                yield item
            await task
        except asyncio.CancelledError:  # hand over what has arrived
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

    # What is sent when

    async def _drive(self, source: Iterator[Request], queue: asyncio.Queue[Response | _End]) -> None:
        """Start calls. If something stops the run, the answers in flight come in first."""
        try:
            async with asyncio.TaskGroup() as group:
                while (question := await self._next_question(source)) is not None:
                    if await self._may_leave(question):
                        self._rate_control.started(self._now())
                        self._count_in_flight(+1)
                        group.create_task(self._ask(question, queue))
                        for _ in range(LOOP_TURNS_BETWEEN_CALLS):
                            await asyncio.sleep(0)
            if self._stopped:
                raise self._stopped
        finally:
            queue.put_nowait(_End())

    async def _next_question(self, source: Iterator[Request]) -> _Question | None:
        """The next to ask: one that has waited its time, else a new one. None when all are answered or the run stops.
        While MOST_ASIDE wait to be asked again, no new one is taken."""
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
        """The next request, if there is one. A failure to make it must not cost those in flight their answers."""
        try:
            request = next(source, None)
        except Exception as error:  # noqa: BLE001 (raised once the answers in flight are in)
            self._stopped = error
            return None
        self._all_asked = request is None
        return request

    async def _may_leave(self, question: _Question) -> bool:
        """Wait until the limits let another call begin. False if the run stops before that."""
        while not self._is_stopping():
            wait = self._rate_control.wait_s(self._now(), self._in_flight) if self._may_send() else LONGEST_NAP_S
            if wait <= 0:
                return await self._can_pay(question.request) and await self._is_allowed(question.request)
            await self._nap(wait)
        return False

    async def _can_pay(self, request: Request) -> bool:
        """Wait until the answers in flight free enough money for another call. False if they cannot."""
        while not self._budget.reserve(request):
            if self._is_stopping():
                return False
            if not self._may_send():  # the disk does not take the reservation
                await self._nap(LONGEST_NAP_S)
                continue
            if not self._budget.awaits_money:
                self._budget.forgo(request)
                return False
            await self._nap(MONEY_NAP_S)
        return True

    async def _is_allowed(self, request: Request) -> bool:
        """Wait for the user's limits of requests and tokens a minute. False if the run stops before that."""
        allowed = await self._allowance.take(request, self._is_stopping)
        if not allowed:
            self._budget.release(request)
        return allowed

    async def _nap(self, longest_s: float) -> None:
        """Wait for the bell, at most so long and at most LONGEST_NAP_S, so that the end of the run is noticed."""
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
        """Make one call. It leads to a response, to a later attempt, or to the end of the run."""
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
        except Exception as error:  # noqa: BLE001 (it must not cost the others their answers)
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
            # It concerns this one call only, and must not cost the others their answers.
            reason = f"the call failed in an unforeseen way ({type(error).__name__}: {name_mishap(error)})"
            raise Retry(reason, code="unforeseen", limit=UNFORESEEN_RETRIES) from error

    def _take_answer(self, question: _Question, response: Response, sent: float) -> Response:
        now = self._now()
        self._patience.note_success()
        self._last_answer = now
        self._lone_failures.note_answer(question.attempt)
        self._rate_control.answered(now, sent)
        self._allowance.learn(response)
        latency_s = round(now - sent, 3)
        return replace(response, digest=question.request.digest, attempts=question.attempt, latency_s=latency_s)

    def _take_failure(self, question: _Question, failure: Retry, sent: float) -> Response | None:
        """Put the question aside; or return the failed response of one that has used up its attempts or its time.

        Raises Incomplete when no request was answered for the whole budget of time.
        """
        if is_shortage(failure):
            if self._wait_for_room(question, failure):
                return None
            raise Incomplete(
                f"This machine had no room for a connection for {SHORTAGE_PATIENCE_S:.0f} s ({failure.reason}). End "
                "what holds so many files open, or raise the limit of open files (`ulimit -n`), then run again."
            )
        stopping = self._is_stopping()
        if stopping and failure.heard is None:
            return None
        now = self._now()
        self._patience.note_failure(failure, now, self._last_answer)
        wait = _wait_s(question.attempt, failure)
        question.reasons[failure.code] += 1
        self._lone_failures.note_failure(question.record, failure)
        if not stopping:
            self._check_silence(failure, now - self._last_answer)
        used_up = stopping or self._is_used_up(question, failure)
        if used_up or not self._patience.lasts(failure, now - question.began, failure.after_s):
            error = Failure(failure.code, failure.reason, transient=True)
            request = question.request
            heard = failure.heard or Response(request.key, "failed")
            return replace(heard, digest=request.digest, error=error, attempts=question.attempt)
        self._unreached = 0 if failure.reached else self._unreached + 1
        self._slow_down(failure, now, sent, wait)
        heapq.heappush(self._aside, (now + wait, next(self._order), question))
        return None

    def _is_used_up(self, question: _Question, failure: Retry) -> bool:
        """Whether the question has no attempt left: its reason has a limit, or it fails alone."""
        if failure.limit is not None:
            return question.reasons[failure.code] > failure.limit
        return self._lone_failures.is_lone(question.record, failure, last=self._all_asked)

    def _wait_for_room(self, question: _Question, error: Exception) -> bool:
        """This machine has no room for one more connection: lower the number of calls in flight. The provider has not
        seen this one. False after SHORTAGE_PATIENCE_S without room."""
        now = self._now()
        if self._is_stopping():
            return True
        if not self._told_of_shortage:
            self._told_of_shortage = True
            self._observer.say(
                f"This machine has no room for more connections ({name_mishap(error)}); fewer are open at a time."
            )
        self._rate_control.overloaded(now, SHORTAGE_PAUSE_S)
        question.attempt -= 1
        heapq.heappush(self._aside, (now + SHORTAGE_PAUSE_S, next(self._order), question))
        return now - max(self._last_answer, question.began) < SHORTAGE_PATIENCE_S

    def _slow_down(self, failure: Retry, now: float, sent: float, wait: float) -> None:
        """Slow all requests down where a failure tells of a limit, an overload, or a server that cannot be reached."""
        if self._unreached:
            self._rate_control.pause(now, min(wait_s(self._unreached), LONGEST_UNREACHED_PAUSE_S))
        if failure.signal is None:
            return
        if failure.signal == "rate":
            self._rate_control.refused(now, sent, failure.after_s)
        else:
            self._rate_control.overloaded(now, 0.0 if failure.code == "timeout" else wait)

    def _check_silence(self, failure: Retry, silent_for_s: float) -> None:
        """Raises Incomplete when the provider has answered no request for too long."""
        asked_s = failure.after_s if failure.signal == "rate" else None
        if self._patience.lasts(failure, silent_for_s, asked_s):
            return
        if asked_s:
            again = f"{datetime.now(UTC) + timedelta(seconds=asked_s):%Y-%m-%d %H:%M} UTC"
            raise Incomplete(
                f"{self._client.provider} asks for a pause of {asked_s / 60:.0f} min, longer than this run's patience: "
                f"{failure.reason} Run the same command again from {again} on; it continues from here."
            )
        raise Incomplete(self._patience.describe_end(failure, silent_for_s))


def _wait_s(attempt: int, failure: Retry) -> float:
    """Seconds until a question is asked again. One that a rate limit refused waits a step less, so that it is first in
    line when the limit is tried again: the rate control holds it back, and at the end of a run no other is left."""
    if failure.signal != "rate":
        return wait_s(attempt, failure.after_s)
    return wait_s(attempt - 1, failure.after_s) if attempt > 1 else failure.after_s or 0.0

"""The requests and tokens a minute that the user allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiolimiter import AsyncLimiter

from vlures.backends.live.client import LivePolicy
from vlures.records import Request, Response

LONGEST_WAIT_S = 0.5
"""At a time, so that the end of the run is noticed."""
TOKENS_OF_AN_IMAGE = 1_500
BYTES_OF_A_TOKEN = 3
"""For `--tpm`, until the first answers show what a request really takes."""
ALLOWANCE_USED = 0.99
"""Of `--rpm`: requests arrive less evenly than they leave, and a refused one may count against the next."""


class Allowance:
    """Spreads requests and tokens evenly: a provider that counts over a minute, or over a second, would refuse what
    comes in a burst."""

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
        """Expect of the next requests what the answered ones took on average."""
        usage = response.usage
        if usage is not None and usage.input_tokens is not None:
            self._answers += 1
            self._tokens_answered += usage.input_tokens + (usage.output_tokens or 0)

    def _expect(self, request: Request) -> float:
        if self._answers:
            return self._tokens_answered / self._answers
        texts = (request.prompt.system, *request.prompt.pieces)
        return TOKENS_OF_AN_IMAGE + sum(len(text.encode()) for text in texts) / BYTES_OF_A_TOKEN


async def _acquire(limiter: AsyncLimiter, amount: float, is_stopping: Callable[[], bool]) -> bool:
    """Take from a limiter, in portions that it can hold. False if the run is to stop before all is taken."""
    while amount > 0:
        portion = min(amount, limiter.max_rate)
        if is_stopping():
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_WAIT_S):
                await limiter.acquire(portion)
                amount -= portion
    return True

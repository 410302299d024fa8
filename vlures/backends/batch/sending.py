"""Requests → batches: what the money and the provider's queue allow, and one line alone where its form is unproven."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from vlures.backends.batch.affordable import Affordable
from vlures.backends.batch.queue_limit import weigh
from vlures.backends.batch.shards import cut_shards
from vlures.backends.batch.state import DriverState
from vlures.backends.batch.submission import Submitter
from vlures.records import Request


class Sender:
    """Cuts requests into shards and starts a batch for each."""

    def __init__(self, state: DriverState, submitter: Submitter) -> None:
        self._state = state
        self._submitter = submitter
        self._trials = 0
        self.affordable = Affordable(state.budget)

    async def send(self, requests: Iterator[Request]) -> None:
        """Start batches for what is left of earlier requests and for these, as far as money and queue allow."""
        state = self._state
        requests = self.affordable.take(requests)
        if not state.trial_is_open:
            await self._try_form(requests)
        if state.trial_is_open:
            state.observer.say(
                "Nothing more is sent until the batch of the request that goes first has ended; run again then."
            )
            return
        shards = cut_shards(requests, state.client.write_line, state.limits)
        while True:
            await state.uploads.acquire()
            shard = None if state.queue_is_full else next(shards, None)
            if shard is None or not await self._has_room(weigh(shard)):
                state.uploads.release()
                return
            state.tasks.start(partial(self._submitter.submit, shard))
            # Making requests and reading images may take long without a pause: let the other tasks work too.
            await asyncio.sleep(0)

    async def _try_form(self, requests: Iterator[Request]) -> None:
        """Send lines one by one until it is known whether the provider takes their form. If it is still unknown after
        max_attempts, the others are sent all the same."""
        state = self._state
        while self._trials < state.policy.max_attempts:
            first = next(requests, None) if state.client.needs_trial else None
            if first is None:
                return
            self._trials += 1
            state.observer.say(
                f"One request goes first, alone, to see whether {state.client.provider} takes batches of this form."
            )
            shard = next(cut_shards([first], state.client.write_line, state.limits))
            await state.uploads.acquire()
            await self._submitter.submit(shard, trial=True)
            if state.trial_is_open or state.queue_is_full:
                return

    async def _has_room(self, weight: int) -> bool:
        """Wait until the provider's queue seems to have room for a shard. False where this run does not wait."""
        if self._state.policy.wait:
            await self._state.queue_limit.wait(weight)
        elif not self._state.queue_limit.fits(weight):
            self._state.mark_queue_full()
        return not self._state.queue_is_full

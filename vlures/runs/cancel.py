"""Cancel a run's batches at the provider and store the answers they had."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import Protocol

from vlures.backends import BatchBackend, Observer
from vlures.pricing.ledger_journal import LedgerJournal
from vlures.pricing.spending import Spending
from vlures.records import Response
from vlures.runs.response_keeper import ResponseKeeper
from vlures.store.checkpoints import CheckpointStore


class CancelObserver(Observer, Protocol):
    """An observer that also wants every response."""

    def answered(self, response: Response) -> None: ...


async def cancel(
    store: CheckpointStore, backend: BatchBackend, observer: CancelObserver, stored: Counter[str], spending: Spending
) -> None:
    """Cancel every open job, store its answers as they come, and count them by status."""
    keeper = ResponseKeeper(store, spending, observer.say, lambda: True)
    async with keeper.watching(), aclosing(backend.cancel(LedgerJournal(store, spending))) as responses:
        async for received in responses:
            response = spending.price(received)
            is_new = store.append(response)
            spending.settle(response, stored=is_new)
            if is_new:
                stored[response.status] += 1
                observer.answered(response)

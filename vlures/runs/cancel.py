"""cancel(): end a run's batches at the provider, store what they had answered."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import Protocol

from vlures.backends import BatchBackend, Observer
from vlures.pricing.ledger_journal import LedgerJournal
from vlures.pricing.spending import Spending
from vlures.records import Response
from vlures.runs.response_keeper import Keeper
from vlures.store.checkpoints import CheckpointStore


class CancelObserver(Observer, Protocol):
    """An observer that also wants every response."""

    def answered(self, response: Response) -> None: ...


async def cancel(
    store: CheckpointStore, backend: BatchBackend, observer: CancelObserver, stored: Counter[str], spending: Spending
) -> None:
    """End every open job, store its answers as they come, and count them by status."""
    keeper = Keeper(store, spending, observer.say, lambda: True)
    async with keeper.watching(), aclosing(backend.cancel(LedgerJournal(store, spending))) as responses:
        async for heard in responses:
            response = spending.price(heard)
            is_new = store.append(response)
            spending.settle(response, stored=is_new)
            if is_new:
                stored[response.status] += 1
                observer.answered(response)

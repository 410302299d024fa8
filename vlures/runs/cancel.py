"""Cancel a run's batches at the provider and store the answers they had."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import Protocol

from vlures.backends import BatchBackend, Observer
from vlures.benchmarks import FindFault
from vlures.pricing.ledger_journal import LedgerJournal
from vlures.pricing.spending import Spending
from vlures.records import Response
from vlures.runs.faulty_answers import refuse_fault
from vlures.runs.response_keeper import ResponseKeeper
from vlures.store.checkpoints import CheckpointStore


class CancelObserver(Observer, Protocol):
    """An observer that also wants every response."""

    def answered(self, response: Response) -> None: ...


async def cancel(
    store: CheckpointStore,
    backend: BatchBackend,
    observer: CancelObserver,
    stored: Counter[str],
    spending: Spending,
    find_fault: FindFault | None,
) -> None:
    """Cancel every open job, store its answers as they come, and count them by status. find_fault: as the benchmark
    has it; a text that is no answer is asked for again by the next run."""
    keeper = ResponseKeeper(store, spending, observer.say, lambda: True)
    async with keeper.watching(), aclosing(backend.cancel(LedgerJournal(store, spending))) as responses:
        async for received in responses:
            response = spending.price(received)
            is_new = store.append(response)
            spending.settle(response, stored=is_new)
            if is_new:
                counted = refuse_fault(store, find_fault, response)
                stored[counted.status] += 1
                observer.answered(counted)

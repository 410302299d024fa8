"""cancel(): end a run's batches at the provider, store what they had answered."""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import Protocol

import msgspec

from vlures.backends import BatchBackend, Observer
from vlures.errors import VluresError
from vlures.pricing.spending import LedgerJournal, Spending
from vlures.records import Response
from vlures.runs.config import RunConfig, stored_config
from vlures.runs.response_keeper import Keeper
from vlures.store.checkpoints import CheckpointStore

TODAYS = (
    "base_url",
    "poll_s",
    "retry_budget_s",
    "first_contact_s",
    "doubt_patience_s",
    "result_patience_s",
    "stall_after_s",
    "forget_lost",
    "delete_remote_files",
)
"""What may be another than when the batches were sent: how the provider is reached, and how patiently."""


class CancelObserver(Observer, Protocol):
    """An observer that also wants every response."""

    def answered(self, response: Response) -> None: ...


def config_of_run(store: CheckpointStore, today: RunConfig) -> RunConfig:
    """The configuration that a run's batches were sent with, with what was said today about reaching the provider.

    Raises VluresError if the run's own cannot be read.
    """
    own = store.read_json("run.json").get("config")
    if own is None:
        return today.replace(mode="batch")
    try:
        config = stored_config(own)
    except msgspec.ValidationError as error:
        raise VluresError(
            f"{store.folder / 'run.json'} cannot be used ({error}); cancel with the version of vlures that wrote it."
        ) from error
    plain = RunConfig()
    said = {name: getattr(today, name) for name in TODAYS if getattr(today, name) != getattr(plain, name)}
    return config.replace(mode="batch", **said)


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

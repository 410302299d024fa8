"""What earlier processes left in the account of an output folder, brought up to date before a run sends anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from vlures.errors import counted
from vlures.pricing import LIVE, NANO, Event, format_usd
from vlures.pricing.costs import Account
from vlures.pricing.highest_costs import HighestCosts
from vlures.pricing.spending_file import SpendingFile
from vlures.records import FINAL_STATUSES, Job, Request
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now
from vlures.store.keys import cell_group, parse_key


def write_off_live_calls(file: SpendingFile, stores: Sequence[CheckpointStore], say: Callable[[str], None]) -> None:
    """Count live calls that were in flight when a process was killed as spent: they may have been charged."""
    settled = []
    for key, nano in file.ledger.standing.get(LIVE, {}).items():
        stored = any(_is_answered(store, key) for store in stores)
        settled.append(Event(settle=key, by="stored" if stored else "killed", nano=0 if stored else nano, time=now()))
    file.note(*settled)
    lost = [event.nano for event in settled if event.nano]
    if lost:
        say(
            f"{counted(len(lost), 'live call', 'was', 'were')} in flight when an earlier run was killed; up to "
            f"{format_usd(sum(lost) / NANO)} counts as spent for that."
        )


def end_jobs(file: SpendingFile, tags: set[str], stores: Sequence[CheckpointStore]) -> set[str]:
    """Release the reservations of batches that were never created, or whose answers are stored.

    tags: of jobs with reservations. Returns those that are still open.
    """
    is_open = {job.tag for store in stores for job in store.open_jobs()}
    file.note(*(Event(end=tag, time=now()) for tag in tags - is_open))
    return tags & is_open


def record_unrecorded(
    file: SpendingFile,
    jobs: Sequence[Job],
    stores: Sequence[CheckpointStore],
    requests: Callable[[], Iterable[Request]],
    highest_costs: HighestCosts,
) -> None:
    """Write down what an earlier version, or a run without a price, left out: reservations of jobs, and charges for
    answers whose lines state neither cost nor usage.

    jobs: open ones without reservations. requests: all of the run.
    """
    untold = {group: count for store in stores for group, count in _count_untold(store) if count}
    new = {group: count for group, count in untold.items() if count > file.ledger.untold.get(group, 0)}
    if not jobs and not new:
        return
    highest = {request.key: highest_costs.of(request, "batch") for request in requests()}
    most = max(highest.values(), default=0)
    dearest = max((highest_costs.of(request, "live") for request in requests()), default=0) if new else 0
    for job in jobs:
        file.note(Event(reserve={key: highest.get(key, most) for key in job.requests}, job=job.tag, time=now()))
    charged = {group: (count - file.ledger.untold.get(group, 0)) * dearest for group, count in new.items()}
    if dearest:
        file.note(Event(untold=untold, charged=charged, time=now()))


def sum_stored(accounts: Iterable[Account], run_model: str) -> tuple[int, str | None]:
    """What the stored answers of all accounts cost, without charges of the ledger, in billionths of a dollar.

    The second item is the model of an answer whose price is not known; the sum lacks it then.
    """
    total = 0
    for account in accounts:
        for cell in account.store.cells:
            nano = account.nano_on(cell)
            if nano is None:
                models = [model for _, model in account.store.money(cell).unpriced]
                return total, next((model for model in models if model), run_model)
            total += nano - account.ledger.charged.get(account.group(cell), 0)
    return total, None


def _is_answered(store: CheckpointStore, key: str) -> bool:
    """Whether the request, which was sent because it was due, has its answer now."""
    try:
        cell, sample_id = parse_key(key, store.variant)
    except ValueError:
        return False
    entry = store.entry(cell, sample_id)
    return entry is not None and entry.status in FINAL_STATUSES and not entry.due


def _count_untold(store: CheckpointStore) -> Iterator[tuple[str, int]]:
    for cell in store.cells:
        yield cell_group(cell, store.variant), store.money(cell).untold

"""Where one run stands, from its output folder alone: counts per cell, jobs, what is still due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlures.backends import find_provider
from vlures.benchmarks import FindFault, require_stored_variants
from vlures.errors import counted
from vlures.legacy.checkpoints import find_pending_checkpoints
from vlures.pricing import format_usd
from vlures.pricing.costs import Account, add_up, prices_of, rerun_costs
from vlures.records import STATUSES, Job
from vlures.results.files import count_imported, count_statuses, describe_summary, results_folder
from vlures.results.rehearsal import is_rehearsal
from vlures.runs.table_text import align
from vlures.safety.control_characters import as_line
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import Left, count_left
from vlures.store.small_files import read_small_file


def report(output_folder: Path, say: Callable[[str], None]) -> Iterator[str]:
    """A text for each variant of a run.

    Raises VluresError if the folder holds no run.
    """
    for store, find_fault in open_run(output_folder, say):
        account = Account.read(store, prices_of(store.read_json("run.json"), find_provider))
        yield "\n".join(
            [
                _headline(output_folder, account),
                _cells(account, find_fault),
                *_imported(store),
                *_same_answers(store),
                *_jobs(store),
            ]
        )


def open_run(output_folder: Path, say: Callable[[str], None]) -> Iterator[tuple[CheckpointStore, FindFault | None]]:
    """The stores of a run's variants, to read, each with what finds texts that are no answers. Raises VluresError if
    the folder holds no run."""
    for package, variant in require_stored_variants(output_folder):
        yield CheckpointStore(output_folder, variant, writable=False, say=say), package.find_fault(variant)


def _headline(output_folder: Path, account: Account) -> str:
    store = account.store
    run = store.read_json("run.json")
    who = f"{run['provider']} {run['mode']}, {run['model']}, " if run else ""
    since = f", last run {run['time']}" if run else ""
    answers = ", sandbox answers only" if is_rehearsal(store) else ""
    unspent = "; $0.00 spent, the table says what it would have been for real" if is_rehearsal(store) else ""
    reserved = account.reserved()
    held = f", up to {format_usd(reserved)} reserved for requests under way" if reserved else ""
    doubt = account.uncertain()
    lost = f"; at most {format_usd(doubt)} of it for calls whose cost is not known" if doubt else ""
    return as_line(f"{output_folder}: {who}{store.variant.label}{since}{answers}{held}{unspent}{lost}")


def _cells(account: Account, find_fault: FindFault | None) -> str:
    store = account.store
    run = store.read_json("run.json")
    left = {cell: Left(0, 0) for cell in account.cells} | count_left(store)
    rerun = rerun_costs(account, {cell: count.due for cell, count in left.items()}, run.get("mode", "batch"))
    rows: list[list[Any]] = []
    for cell in sorted(left):
        counts, totals = count_statuses(store, cell, find_fault), store.totals(cell)
        rows.append(
            [
                store.variant.title(cell),
                *(counts[status] for status in STATUSES),
                left[cell].in_flight,
                left[cell].due,
                totals.input_tokens,
                totals.output_tokens,
                _money(account.spent_on(cell)),
                _money(rerun[cell]),
            ]
        )
    if rows:
        sums = [sum(column) for column in list(zip(*rows, strict=True))[1:-2]]
        rows.append(["total", *sums, _money(account.in_all()), _money(add_up(rerun.values()))])
    headers = ["cell", *STATUSES, "in flight", "due", "tokens in", "tokens out"]
    headers += ["for real", "rest for real"] if is_rehearsal(store) else ["spent", "rest, about"]
    return align(headers, rows, texts=1)


def _imported(store: CheckpointStore) -> Iterator[str]:
    """What was, or will be, imported from the original scripts."""
    if imported := sum(count_imported(store, cell) for cell in store.cells):
        yield (
            f"{imported:,} of the answers are imported from the original scripts. Their exact questions are unknown, "
            "so they never count as stale."
        )
    if pending := find_pending_checkpoints(store):
        more = " …" if len(pending) > 1 else ""
        checkpoints = counted(len(pending), "checkpoint")
        yield f"The next run imports {checkpoints} of the original scripts: {pending[0].name}{more}"


def _same_answers(store: CheckpointStore) -> Iterator[str]:
    """As the last run found them."""
    summary = read_small_file(results_folder(store.folder.parent, store.variant) / "summary.json")
    return describe_summary(summary, store.variant)


def _money(amount: float | None) -> str:
    return "unknown" if amount is None else format_usd(amount)


def _jobs(store: CheckpointStore) -> list[str]:
    jobs = store.open_jobs()
    if not jobs:
        return []
    today = datetime.now(UTC)
    rows = [
        [
            as_line(job.batch_id or "–"),
            f"{len(job.requests):,}",
            as_line(_state(job)),
            f"{job.seen.done:,}/{len(job.requests):,}" if job.seen else "–",
            _hours(today - datetime.fromisoformat(job.time)),
            _time_left(job, today),
            _moment(job.input_until),
            _moment(job.seen.results_until if job.seen else None),
        ]
        for job in jobs
    ]
    headers = [
        "batch",
        "lines",
        "state when last seen",
        "done",
        "age",
        "time left",
        "input kept until",
        "results kept until",
    ]
    texts = [tabulate(rows, headers, tablefmt="simple", disable_numparse=True)]
    if lost := [_name_lost(job) for job in jobs if job.seen and job.seen.lost]:
        texts.append(f"{counted(len(lost), 'batch')} unknown to the provider when last looked for: {', '.join(lost)}")
    return texts


def _name_lost(job: Job) -> str:
    account = job.account or "another key or project?"
    return f"{job.batch_id or job.tag} ({account})"


def _state(job: Job) -> str:
    if job.state != "created":
        return "in doubt" if job.state == "creating" else "not created"
    if job.seen is None:
        return "created"
    return "unknown to the provider" if job.seen.lost else job.seen.status


def _hours(time: timedelta) -> str:
    minutes = int(time.total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def _time_left(job: Job, today: datetime) -> str:
    """Until the provider abandons the batch."""
    if job.deadline is None or (job.seen and job.seen.results_until):
        return "–"
    left = datetime.fromisoformat(job.deadline) - today
    return _hours(left) if left > timedelta() else "over"


def _moment(time: str | None) -> str:
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M} UTC" if time else "–"

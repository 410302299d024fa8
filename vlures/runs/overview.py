"""Where the runs under an output folder stand, a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from vlures.backends import find_provider
from vlures.benchmarks import FindFault
from vlures.errors import VluresError
from vlures.pricing.costs import Account, prices_of
from vlures.records import STATUSES
from vlures.results.files import count_statuses
from vlures.results.rehearsal import is_rehearsal
from vlures.runs.config import RunConfig
from vlures.runs.describe_money import describe_spent
from vlures.runs.status import open_run
from vlures.runs.table_text import align
from vlures.store.checkpoints import CheckpointStore
from vlures.store.due import count_left


def names_run(config: RunConfig) -> bool:
    """Whether the configuration says which run is meant."""
    return bool(config.storage.name or config.who.model or config.rehearsal.sandbox)


def find_configured_runs(config: RunConfig) -> list[Path]:
    """The configuration's output folder if it names one; otherwise every run's folder under its output."""
    if names_run(config):
        return [config.output_folder]
    root = Path(config.storage.output)
    try:
        return sorted(folder for folder in root.iterdir() if any(folder.glob("checkpoints_*/*.json*")))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VluresError(
            f"The folder {root} cannot be read ({error.strerror}); name another with --output."
        ) from error


def tabulate_runs(folders: Iterable[Path], say: Callable[[str], None]) -> str:
    """A line for each variant of each run. Raises VluresError if a folder holds no run."""
    headers = ["run", "variant", "who", "last run (UTC)", *STATUSES, "in flight", "due", "spent"]
    return align(headers, (_row(folder, *opened) for folder in folders for opened in open_run(folder, say)), texts=4)


def _row(folder: Path, store: CheckpointStore, find_fault: FindFault | None) -> list[Any]:
    run = store.read_json("run.json")
    spent = Account.read(store, prices_of(run, find_provider)).in_all()
    counts: Counter[str] = Counter()
    for cell in store.cells:
        counts += count_statuses(store, cell, find_fault)
    left = count_left(store).values()
    return [
        folder,
        store.variant.label,
        f"{run['provider']} {run['mode']}, {run['model']}" if run else "–",
        f"{datetime.fromisoformat(run['time']):%Y-%m-%d %H:%M}" if run else "–",
        *(counts[status] for status in STATUSES),
        sum(cell.in_flight for cell in left),
        sum(cell.due for cell in left),
        describe_spent(spent, rehearsal=is_rehearsal(store)),
    ]

"""How many connections a run may open, given how many files the system lets a process open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vlures.backends import MOST_CONNECTIONS
from vlures.backends.open_files import RESERVE, count_open, fit, raise_limit
from vlures.config.sections import Mode
from vlures.errors import counted
from vlures.runs.plan import Plan
from vlures.store.checkpoints import CheckpointStore

BATCH_CONNECTIONS = 64
"""Enough for a batch run: polls, downloads and two uploads at a time."""


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections may be open at a time."""

    live: int
    batch: int


def fit_connections(
    mode: Mode, concurrency: int, plan: Plan, store: CheckpointStore, say: Callable[[str], None]
) -> Connections:
    """Open the checkpoints of all that will be asked, so that no answer is paid for without a file to go to, then count
    the connections that may be open besides.

    Raises NotWritable where the checkpoints cannot be opened.
    """
    is_live = mode == "live"
    cells = [cell_plan.cell for cell_plan in plan.cells if cell_plan.due or cell_plan.in_flight]
    wanted = concurrency if is_live else max(concurrency, BATCH_CONNECTIONS)
    files = 1 if is_live else 2  # a download is also written to a file
    limit = raise_limit(count_open() + len(cells) + (wanted if is_live else 2 * MOST_CONNECTIONS) + 2 * RESERVE)
    store.open_checkpoints(cells)
    room = fit(files * wanted, limit, count_open()) // files or 1
    if room < wanted:
        say(
            f"At most {counted(room, 'connection', 'is', 'are')} open at a time, not {wanted}: this process may open "
            f"{counted(limit, 'file')} (`ulimit -n`), and {len(cells)} of them for checkpoints."
        )
    return Connections(live=min(concurrency, room), batch=fit(2 * MOST_CONNECTIONS, limit, count_open()) // 2 or 1)

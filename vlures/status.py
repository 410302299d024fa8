"""Where a run stands, from its output folder alone: counts per cell, jobs, what is still due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulate import tabulate

from vlures.config import RunConfig
from vlures.errors import VluresError
from vlures.records import LANGUAGES, SETTINGS, STATUSES, TASKS, Cell, Job
from vlures.results import count_statuses
from vlures.run import is_due
from vlures.store import CheckpointStore, parse_key


def find_runs(config: RunConfig) -> list[Path]:
    """The configuration's output folder if it says which; otherwise every run's folder under its output."""
    if config.name or config.model or config.sandbox:
        return [config.output_folder]
    root = Path(config.output)
    try:
        return sorted(folder for folder in root.iterdir() if any(folder.glob("checkpoints_*/run.json")))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VluresError(
            f"The folder {root} cannot be read ({error.strerror}); name another with --output."
        ) from error


def report(output_folder: Path, say: Callable[[str], None]) -> Iterator[str]:
    """The texts that describe each setting of a run.

    Raises VluresError if the folder holds no run.
    """
    found = [setting for setting in SETTINGS if (output_folder / f"checkpoints_{setting.label}").is_dir()]
    if not found:
        raise VluresError(f"{output_folder} holds no run; see the runs with `vlures status`.")
    for setting in found:
        store = CheckpointStore(output_folder, setting, writable=False, say=say)
        yield "\n".join([_headline(output_folder, store), _cells(store), *_jobs(store)])


def _headline(output_folder: Path, store: CheckpointStore) -> str:
    run = store.read_json("run.json")
    who = f"{run['provider']} {run['mode']}, {run['model']}, " if run else ""
    since = f", last run {run['time']}" if run else ""
    return f"{output_folder}: {who}{store.setting.label}{since}"


def _cells(store: CheckpointStore) -> str:
    planned: dict[str, Any] = store.read_json("run.json").get("planned", {})
    in_flight: dict[Cell, set[int]] = {}
    for job in store.open_jobs():
        for key in job.requests:
            cell, sample_id = parse_key(key, store.setting)
            in_flight.setdefault(cell, set()).add(sample_id)
    rows: list[list[Any]] = []
    every = set(store.cells) | {_parse_cell(name) for name in planned} | set(in_flight)
    for cell in sorted(every, key=lambda cell: (list(LANGUAGES).index(cell.language), cell.task)):
        counts = count_statuses(store, cell)
        entries = store.entries(cell)
        flying = in_flight.get(cell, set())
        settled = {sample_id for sample_id, entry in entries.items() if not is_due(entry)}
        asked = entries.keys() | flying
        wanted = planned.get(f"{cell.language}-t{cell.task}", {}).get("requests", 0)
        due = len(asked - settled - flying) + max(0, wanted - len(asked))
        totals = store.totals(cell)
        task = f"{cell} {TASKS[cell.task].code}" if cell.task in TASKS else str(cell)
        rows.append(
            [
                task,
                *(counts[status] for status in STATUSES),
                len(flying),
                due,
                totals.input_tokens,
                totals.output_tokens,
            ]
        )
    sums = ["all", *(sum(column) for column in list(zip(*rows, strict=True))[1:])] if rows else []
    headers = ["cell", *STATUSES, "in flight", "due", "tokens in", "tokens out"]
    return tabulate([*rows, sums] if rows else [], headers, tablefmt="simple")


def _parse_cell(name: str) -> Cell:
    language, _, task = name.partition("-t")
    return Cell(language, int(task))


def _jobs(store: CheckpointStore) -> list[str]:
    jobs = store.open_jobs()
    if not jobs:
        return []
    rows = [[job.batch_id or "–", len(job.requests), job.status or job.state, _age(job)] for job in jobs]
    return [tabulate(rows, ["batch", "lines", "state when last seen", "age"], tablefmt="simple")]


def _age(job: Job) -> str:
    minutes = int((datetime.now(UTC) - datetime.fromisoformat(job.time)).total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02} min"

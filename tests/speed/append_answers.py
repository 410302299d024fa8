"""Store answers as a run does and time some of them: `python append_answers.py OUTPUT_FOLDER WINDOW START…`.

Prints as JSON what each answer of the windows took, and what it takes to open the store again at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from statistics import mean, median
from typing import Any

from fill_store import CELLS, make_response

from vlures.benchmarks.vlures.settings import Setting
from vlures.store.checkpoints import CheckpointStore

SETTING = Setting()


async def append_answers(store: CheckpointStore, window: int, starts: list[int]) -> list[dict[str, Any]]:
    syncing = asyncio.create_task(_keep_syncing(store))
    windows = []
    for number in range(starts[-1]):
        if number in starts:
            windows.append(await _time_window(store, number, window))
        elif not any(start <= number < start + window for start in starts):
            await _append(store, number)
    windows.append(await _time_window(store, starts[-1], window))
    syncing.cancel()
    return windows


async def _time_window(store: CheckpointStore, start: int, window: int) -> dict[str, Any]:
    await asyncio.to_thread(store.sync)
    began = time.perf_counter()
    took = [await _append(store, number) for number in range(start, start + window)]
    between_s = time.perf_counter() - began - sum(took)
    await asyncio.to_thread(store.sync)
    whole_s = time.perf_counter() - began - between_s
    return {
        "start": start,
        "median_us": median(took) * 1e6,
        "mean_us": mean(took) * 1e6,
        "slowest_us": max(took) * 1e6,
        "synced_us": whole_s / window * 1e6,
    }


async def _append(store: CheckpointStore, number: int) -> float:
    """Seconds that the append alone took."""
    cell = CELLS[number % len(CELLS)]
    response = make_response(cell, SETTING, number // len(CELLS) + 1)
    began = time.perf_counter()
    stored = store.append(response)
    took = time.perf_counter() - began
    assert stored
    await asyncio.sleep(0)
    return took


async def _keep_syncing(store: CheckpointStore) -> None:
    """As vlures.runs.execute does it."""
    while True:
        await asyncio.sleep(1)
        await asyncio.to_thread(store.sync)


def main(output_folder: Path, window: int, starts: list[int]) -> None:
    store = CheckpointStore(output_folder, SETTING)
    windows = asyncio.run(append_answers(store, window, starts))
    store.close()
    began = time.perf_counter()
    CheckpointStore(output_folder, SETTING, writable=False)
    print(json.dumps({"windows": windows, "open_s": time.perf_counter() - began}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), [int(word) for word in sys.argv[3:]])

"""Fill a store through its own door: `python fill_store.py OUTPUT_FOLDER ANSWERS_PER_CELL`. 32 cells, and the batches
that brought them."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.settings import Setting, make_cell, parse_cell
from vlures.benchmarks.vlures.tasks import TASKS
from vlures.records import BatchSnapshot, Cell, Job, Response, Usage, Variant
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now
from vlures.store.keys import request_key

CELLS = tuple(make_cell(language, task) for language in LANGUAGES for task in TASKS)
WORDS = {
    "En": "Two people stand beside a red bus in the rain, and behind them is a shop with a sign. ",
    "Jp": "雨の中、赤いバスのそばに二人が立っていて、その後ろに看板のある店が見えます。",
    "Sw": "Watu wawili wamesimama kando ya basi jekundu kwenye mvua, na nyuma yao kuna duka. ",
    "Ur": "بارش میں سرخ بس کے پاس دو لوگ کھڑے ہیں اور ان کے پیچھے ایک دکان ہے۔ ",
}
TEXT_BYTES = 1_500
SHORTEST_BYTES, SPREAD_BYTES = 150, 900
"""Of a text in a filled store, whose lines are of 600 to 1,500 bytes then."""
SHARD = 500


def make_response(cell: Cell, setting: Variant, sample_id: int, text_bytes: int = TEXT_BYTES) -> Response:
    """An answer as a batch brings it, with a text of about so many bytes."""
    words = WORDS[parse_cell(cell)[0]]
    key = request_key(cell, setting, str(sample_id))
    return Response(
        key=key,
        status="ok",
        digest=digest(key),
        text=words * (text_bytes // len(words.encode()) + 1),
        finish_reason="stop",
        model="gpt-6-luna-2026-09-01",
        usage=Usage(2_431, 512, 1_024, 128),
        response_id=f"chatcmpl-{key}",
        job="0123456789abcdef0123456789abcdef",
        nano_usd=1_234_500,
    )


def digest(words: str) -> str:
    return hashlib.md5(words.encode()).hexdigest()


def fill_shard(store: CheckpointStore, cell: Cell, sample_ids: range) -> None:
    """Answers that one batch brought, and what the journal says of it."""
    keys = [request_key(cell, store.variant, str(sample_id)) for sample_id in sample_ids]
    tag = digest(keys[0])
    store.begin_job(Job(tag, "OpenAI", "intended", {key: digest(key) for key in keys}, now(), weight=len(keys) * 1_000))
    store.update_job(tag, "uploaded", file_id=f"file-{tag}")
    store.update_job(tag, "creating")
    store.update_job(tag, "created", batch_id=f"batch_{tag}", deadline=now())
    for done in (0, len(keys) // 2, len(keys)):
        store.see_job(tag, BatchSnapshot("in_progress", now(), now(), done, len(keys)))
    for sample_id in sample_ids:
        text_bytes = SHORTEST_BYTES + sample_id * 7_919 % SPREAD_BYTES
        store.append(replace(make_response(cell, store.variant, sample_id, text_bytes), job=tag))
    store.update_job(tag, "collected", status="completed")


def main(output_folder: Path, answers: int) -> None:
    store = CheckpointStore(output_folder, Setting())
    for first in range(1, answers + 1, SHARD):
        for cell in CELLS:
            fill_shard(store, cell, range(first, min(first + SHARD, answers + 1)))
    planned = {cell: {"requests": answers, "left_out": 0} for cell in CELLS}
    about = {"time": now(), "provider": "openai", "mode": "batch", "model": "gpt-6-luna", "planned": planned}
    store.write_json("run.json", about)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

"""Fill a store through its own door: `python fill_store.py OUTPUT_FOLDER ANSWERS_PER_CELL`. 32 cells."""

from __future__ import annotations

import sys
from pathlib import Path

from vlures.records import LANGUAGES, TASKS, Cell, Response, Setting, Usage, request_key
from vlures.store import CheckpointStore, now

CELLS = tuple(Cell(language, task) for language in LANGUAGES for task in TASKS)
WORDS = {
    "En": "Two people stand beside a red bus in the rain, and behind them is a shop with a sign. ",
    "Jp": "雨の中、赤いバスのそばに二人が立っていて、その後ろに看板のある店が見えます。",
    "Sw": "Watu wawili wamesimama kando ya basi jekundu kwenye mvua, na nyuma yao kuna duka. ",
    "Ur": "بارش میں سرخ بس کے پاس دو لوگ کھڑے ہیں اور ان کے پیچھے ایک دکان ہے۔ ",
}
TEXT_BYTES = 1_500


def make_response(cell: Cell, setting: Setting, sample_id: int) -> Response:
    """An answer as a batch brings it, with a text of about 1.5 KB."""
    words = WORDS[cell.language]
    key = request_key(cell, setting, sample_id)
    return Response(
        key=key,
        status="ok",
        digest=f"{sample_id:032x}",
        text=words * (TEXT_BYTES // len(words.encode()) + 1),
        finish_reason="stop",
        model="gpt-6-luna-2026-09-01",
        usage=Usage(2_431, 512, 1_024, 128),
        response_id=f"chatcmpl-{key}",
        job="0123456789abcdef0123456789abcdef",
    )


def main(output_folder: Path, answers: int) -> None:
    setting = Setting()
    store = CheckpointStore(output_folder, setting)
    for sample_id in range(1, answers + 1):
        for cell in CELLS:
            store.append(make_response(cell, setting, sample_id))
    planned = {f"{cell.language}-t{cell.task}": {"requests": answers, "left_out": 0} for cell in CELLS}
    about = {"time": now(), "provider": "openai", "mode": "batch", "model": "gpt-6-luna", "planned": planned}
    store.write_json("run.json", about)
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))

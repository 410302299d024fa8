"""Open a filled store as a rerun does: `python open_store.py OUTPUT_FOLDER`. Prints the seconds and the answers in
it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from vlures.benchmarks.vlures.settings import Setting
from vlures.store.checkpoints import CheckpointStore


def main(output_folder: Path) -> None:
    began = time.perf_counter()
    store = CheckpointStore(output_folder, Setting())
    took = time.perf_counter() - began
    print(json.dumps({"open_s": took, "answers": sum(len(store.entries(cell)) for cell in store.cells)}))
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

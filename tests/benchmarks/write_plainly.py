"""The reference of the upload: read, base64 and write the same bytes to a file, in one process and without a framework.

`python write_plainly.py DATASET FILE once|every-time` prints what the reading, encoding and writing took, as JSON.
"""

from __future__ import annotations

import base64
import json
import resource
import sys
import time
from pathlib import Path

from vlures.backends.openai import OpenAIBatch
from vlures.backends.shards import Line
from vlures.config import load_config
from vlures.run import load_benchmark


def main(dataset: Path, target: Path, how: str) -> None:
    lines = _build_lines(dataset)
    began_s, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    with target.open("wb") as file:
        for path, of_image in lines.items():
            encoded = base64.b64encode(path.read_bytes())
            for line in of_image:
                if how == "every-time":
                    encoded = base64.b64encode(path.read_bytes())
                file.write(line.head)
                file.write(encoded)
                file.write(line.tail)
    wall_s, used_now = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_SELF)
    target.unlink()
    user_s, system_s = used_now.ru_utime - used.ru_utime, used_now.ru_stime - used.ru_stime
    print(json.dumps({"wall_s": wall_s, "user_s": user_s, "system_s": system_s}))


def _build_lines(dataset: Path) -> dict[Path, list[Line]]:
    """Heads and tails of all lines, by image, exactly as a run writes them."""
    client = OpenAIBatch(None)  # type: ignore[arg-type]
    lines: dict[Path, list[Line]] = {}
    for request in load_benchmark(load_config(None, {"dataset": str(dataset), "languages": ("En",)})).requests():
        lines.setdefault(request.image.path, []).append(client.write_line(request))
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])

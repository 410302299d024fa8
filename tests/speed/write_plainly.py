"""The reference of the upload: read, base64 and write the same bytes in one process, without a framework.

`python write_plainly.py DATASET FILE once|every-time` writes them to a file, reading and encoding an image once or for
each of its lines; `… http://HOST:PORT once` sends them to a bare server instead. Prints what that took, as JSON.
"""

from __future__ import annotations

import base64
import http.client
import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from vlures.backends.batch.shards import Line
from vlures.backends.openai.batch import write_line
from vlures.backends.openai.bodies import make_bodies
from vlures.benchmarks.vlures.benchmark import load_benchmark
from vlures.runs.config import load_config

Lines = dict[Path, list[Line]]
"""Image → the lines that hold it."""


def main(dataset: Path, target: str, how: str) -> None:
    lines = _build_lines(dataset)
    began_s, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    if target.startswith("http://"):
        _send(_pieces(lines, how), _length(lines), target)
    else:
        with Path(target).open("wb") as file:
            file.writelines(_pieces(lines, how))
    wall_s, used_now = time.perf_counter() - began_s, resource.getrusage(resource.RUSAGE_SELF)
    user_s, system_s = used_now.ru_utime - used.ru_utime, used_now.ru_stime - used.ru_stime
    print(json.dumps({"wall_s": wall_s, "user_s": user_s, "system_s": system_s}))


def _pieces(lines: Lines, how: str) -> Iterator[bytes]:
    for path, of_image in lines.items():
        encoded = base64.b64encode(path.read_bytes())
        for line in of_image:
            if how == "every-time":
                encoded = base64.b64encode(path.read_bytes())
            yield from (line.head, encoded, line.tail)


def _length(lines: Lines) -> int:
    return sum(
        len(line.head) + 4 * ((path.stat().st_size + 2) // 3) + len(line.tail)
        for path, of_image in lines.items()
        for line in of_image
    )


def _send(pieces: Iterator[bytes], size_bytes: int, url: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"))
    connection.request("POST", "/v1/files", body=pieces, headers={"Content-Length": str(size_bytes)})
    connection.getresponse().read()


def _build_lines(dataset: Path) -> Lines:
    """Heads and tails of all lines, by image, exactly as a run writes them."""
    lines: Lines = {}
    config = load_config(None, {"dataset": str(dataset), "languages": ("En",)})
    for request in load_benchmark(config.benchmark_options, config.target.asked).requests():
        lines.setdefault(request.image.path, []).append(write_line(request, make_bodies(config.backend_options)))
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])

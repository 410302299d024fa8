"""What a plain script does with many batches: `python one_by_one.py BASE_URL POLL_S FILE...`. Sends a file, waits for
its batch, fetches the results, takes the next file. Prints the seconds that each took, as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from openai import OpenAI

ENDED = ("completed", "failed", "expired", "cancelled")


def main(base_url: str, poll_s: float, paths: list[Path]) -> None:
    client = OpenAI(api_key="dummy", base_url=base_url)
    took_s = []
    for path in paths:
        began = time.perf_counter()
        uploaded = client.files.create(file=path, purpose="batch")
        batch = client.batches.create(
            input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while batch.status not in ENDED:
            time.sleep(poll_s)
            batch = client.batches.retrieve(batch.id)
        answers = client.files.content(str(batch.output_file_id)).text.splitlines()
        assert len(answers) == batch.request_counts.completed  # type: ignore[union-attr]
        took_s.append(time.perf_counter() - began)
    print(json.dumps(took_s))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), list(map(Path, sys.argv[3:])))

"""The least that tables of verdicts take: every line read with the standard library, a mean and a standard error per
judge and cell, nothing else: `python bare_means.py FOLDER...`."""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path


def main(folders: list[Path]) -> None:
    scores: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.glob("judged/*/verdicts.jsonl")):
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    verdict = json.loads(line)
                    if verdict["overall"] is not None:
                        scores[folder.name, verdict["rater"], verdict["cell"]].append(verdict["overall"])
    for key, found in scores.items():
        print(*key, len(found), statistics.fmean(found), statistics.stdev(found) / len(found) ** 0.5)


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])

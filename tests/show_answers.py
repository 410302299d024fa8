"""Show one answer per language of each run folder named on the command line. `make demo` ends with it."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path


def main(folders: list[str]) -> None:
    for folder in map(Path, folders):
        print(f"\n{folder}")
        for language in ("English", "Japanese", "Swahili", "Urdu"):
            path = next((folder / "results_1shot_rationales" / language).glob("*_task7_*.json"))
            sample_id, text = next(iter(json.loads(path.read_text(encoding="utf-8")).items()))
            print(f"\n  {language}, task 7, sample {sample_id}  ({path})")
            print(textwrap.indent(text, "    "))


if __name__ == "__main__":
    main(sys.argv[1:])

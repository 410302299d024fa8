"""Show one answer per language of each run folder named on the command line, and what to do next. `make demo` ends with
it."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path

NEXT_STEPS = """\
All of it on one page: open outputs/demo-report.html in a browser; the numbers are in outputs/demo.md
See all about a sample: .venv/bin/vlures show {folder} 3 (with --out page.html beside its picture)
Your own data: .venv/bin/vlures check --dataset FOLDER, then run --sandbox --dataset FOLDER --languages En
With a key (OPENAI_API_KEY=... or GOOGLE_API_KEY=... in .env): .venv/bin/vlures plan --limit 2, then run --limit 2"""


def main(folders: list[str]) -> None:
    for folder in map(Path, folders):
        print(f"\n{folder}")
        for language in ("English", "Japanese", "Swahili", "Urdu"):
            path = next((folder / "results_1shot_rationales" / language).glob("*_task7_*.json"))
            sample_id, text = next(iter(json.loads(path.read_text(encoding="utf-8")).items()))
            print(f"\n  {language}, task 7, sample {sample_id}  ({path})")
            print(textwrap.indent(text, "    "))
    print("\n" + NEXT_STEPS.format(folder=folders[-1]))


if __name__ == "__main__":
    main(sys.argv[1:])

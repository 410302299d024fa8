"""What a report is compared to: `python plain_page.py OUTPUT_FOLDER FILE`. All answers of a run in one HTML table, as
most tools write it: no images, no filter, every row there from the beginning."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from vlures.results.load import read_answers


def main(output_folder: Path, to: Path) -> None:
    with to.open("w", encoding="utf-8") as file:
        file.write('<!doctype html><meta charset="utf-8"><title>Answers</title><table>')
        for answer in read_answers([output_folder], lambda _: None):
            row, language = answer.row, answer.standing.heading.language
            direction = "rtl" if language == "ur" else "ltr"
            said = f'<td lang="{language}" dir="{direction}">{escape(row["answer"] or "")}'
            file.write(f"<tr><td>{escape(row['key'])}<td>{escape(row['status'])}{said}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

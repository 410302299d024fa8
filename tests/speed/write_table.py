"""Write a dataset with a Parquet table: `python write_table.py FOLDER ROWS IMAGES [ROW_GROUP]`.

So many rows, of which a thousandth each in Japanese, Swahili and Urdu and the others in English, with articles of 1,000
to 2,000 letters; images for the first of each language only.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
from PIL import Image
from pyarrow.parquet import ParquetWriter

ROWS_AT_ONCE = 20_000
SCHEMA = pa.schema([("file_name", pa.string()), ("text", pa.string()), ("language", pa.string())])
LANGUAGES = {1: "Japanese", 2: "Swahili", 3: "Urdu"}


def main(folder: Path, rows: int, images: int, row_group: int) -> None:
    noise = random.Random(1)
    prose = "".join(noise.choices("abcdefghijklmnopqrstuvwxyz ", k=1_000_000))
    (folder / "train/images").mkdir(parents=True)
    made: Counter[str] = Counter()
    with ParquetWriter(folder / "train/metadata.parquet", SCHEMA, compression="snappy") as writer:
        pieces = []
        for start in range(1, rows + 1, ROWS_AT_ONCE):
            numbers = range(start, min(start + ROWS_AT_ONCE, rows + 1))
            languages = [LANGUAGES.get(number % 1_000, "English") for number in numbers]
            names = [f"images/{number:07d}.png" for number in numbers]
            pieces.append(pa.table([names, [_article(prose, noise) for _ in numbers], languages], schema=SCHEMA))
            for name, language in zip(names, languages, strict=True):
                if made[language] < images:
                    made[language] += 1
                    Image.new("RGB", (8, 8), (made[language] % 256, 0, 0)).save(folder / "train" / name)
            if sum(piece.num_rows for piece in pieces) >= row_group or numbers[-1] == rows:
                writer.write_table(pa.concat_tables(pieces), row_group)
                pieces = []


def _article(prose: str, noise: random.Random) -> str:
    begin = noise.randrange(len(prose) - 2_000)
    return prose[begin : begin + noise.randrange(1_000, 2_000)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

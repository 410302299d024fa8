"""A run whose report is measured: `python report_store.py OUTPUT DATASET`. Every question has an answer of about 800
characters, of the words of the sample articles in random order."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fill_store import make_response
from measure import ROOT

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.settings import parse_cell
from vlures.runs.config import load_config
from vlures.runs.prepare import prepare
from vlures.runs.run_record import describe_run
from vlures.store.checkpoints import CheckpointStore

CHARACTERS = 800
PIECE = 3
"""Characters of a Japanese word, near enough."""


def main(output_folder: Path, dataset: str) -> None:
    config = load_config(None, {"dataset": (dataset,), "sandbox": True})
    benchmark = prepare(config, lambda _: None).benchmark
    store = CheckpointStore(output_folder, benchmark.variant)
    noise, words = random.Random(1), {code: _read_words(code) for code in LANGUAGES}
    for question in benchmark.questions():
        text = _make_text(parse_cell(question.cell)[0], words, noise)
        response = make_response(question.cell, benchmark.variant, int(question.sample_id))
        store.append(replace(response, text=text, digest=benchmark.request(question).digest))
    store.write_json("run.json", describe_run(config, benchmark, store))
    store.close()


def _read_words(code: str) -> Sequence[str]:
    articles = [path.read_text(encoding="utf-8") for path in sorted((ROOT / f"data/Sample{code}").glob("*.txt"))]
    whole = "\n".join(articles)
    if code == "Jp":
        return [whole[start : start + PIECE] for start in range(0, len(whole), PIECE)]
    return [f"{word} " for word in whole.split()]


def _make_text(code: str, words: Mapping[str, Sequence[str]], noise: random.Random) -> str:
    text = ""
    while len(text) < CHARACTERS:
        text += noise.choice(words[code])
    return text


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

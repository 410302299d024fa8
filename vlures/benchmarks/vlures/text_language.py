"""Texts in one language, prompts and answers in another: what a run does, and what an output folder holds already.

A sample's ID says nothing of its dataset, so answers about texts in two languages could lie in one cell unnoticed.
"""

from __future__ import annotations

from vlures.benchmarks.vlures.benchmark import Benchmark, find_text_languages
from vlures.errors import VluresError
from vlures.records import FINAL_STATUSES, LANGUAGES, Cell
from vlures.store.checkpoints import CheckpointStore

FACT = "text_languages"


def describe_crossing(benchmark: Benchmark) -> str | None:
    """Which prompts are about texts in another language; None if none are."""
    texts = find_text_languages(benchmark.config, benchmark.datasets)
    crossing = [
        f"{code} over texts in {LANGUAGES[texts[code]].name} ({benchmark.datasets[code].folder})"
        for code in benchmark.config.languages
        if texts.get(code, code) != code
    ]
    return f"Prompts and answers in another language than the texts: {', '.join(crossing)}." if crossing else None


def check_text_languages(benchmark: Benchmark, store: CheckpointStore) -> None:
    """Raises VluresError where the folder has answers of a language, or batches, about texts in another than today's.

    What failed is asked again anyway, and of an imported answer nobody knows what it is about: neither counts.
    """
    config, before = benchmark.config, store.recall(FACT)
    under_way = {key.partition("-")[0] for job in store.open_jobs() for key in job.requests}
    there = {cell.language for cell in store.cells if _has_own_answer(store, cell)} | under_way
    for code, texts in find_text_languages(config, benchmark.datasets).items():
        if code in there and before.get(code, texts) != texts:
            folder = benchmark.datasets[code].folder
            raise VluresError(
                f"{config.output_folder} holds answers in {LANGUAGES[code].name} about texts in {LANGUAGES[before[code]].name}, and "
                f"{folder} has texts in {LANGUAGES[texts].name}: give this run another --name, such as {config.run_name.removeprefix('sandbox-')}-texts-{texts}, "
                f"or say with --text-language {code}={before[code]} that they are in {LANGUAGES[before[code]].name} all the same."
            )


def _has_own_answer(store: CheckpointStore, cell: Cell) -> bool:
    return any(entry.status in FINAL_STATUSES and not entry.imported for entry in store.entries(cell).values())


def remember_text_languages(benchmark: Benchmark, store: CheckpointStore) -> None:
    """Have the output folder know what its answers are about, from the first request on."""
    before = store.recall(FACT)
    known = {**before, **find_text_languages(benchmark.config, benchmark.datasets)}
    if known != before:
        store.remember(FACT, known)

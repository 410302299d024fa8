"""Texts in one language, prompts and answers in another: what a run asks, and what an output folder already holds.

A sample's ID does not tell its dataset, so answers about texts in two languages could end up in one cell unnoticed.
Everywhere here `texts` is language code → code of its texts' language, and `folders` language code → its dataset's
folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vlures.benchmarks.vlures.languages import LANGUAGES
from vlures.benchmarks.vlures.settings import parse_cell
from vlures.errors import VluresError
from vlures.records import Cell
from vlures.store.checkpoints import CheckpointStore
from vlures.store.keys import parse_key

FACT = "text_languages"


def describe_crossing(texts: Mapping[str, str], folders: Mapping[str, Path]) -> str | None:
    """A sentence naming the prompts about texts in another language; None if there are none."""
    crossing = [
        f"{code} over texts in {LANGUAGES[texts[code]].name} ({folder})"
        for code, folder in folders.items()
        if texts.get(code, code) != code
    ]
    return f"Prompts and answers in another language than the texts: {', '.join(crossing)}." if crossing else None


def check_text_languages(store: CheckpointStore, texts: Mapping[str, str], folders: Mapping[str, Path]) -> None:
    """Raises VluresError where the folder has answers of a language, or batches, about texts in another than today's.

    Failures do not count, because they are asked again anyway; nor do imported answers, of which it is not known what
    they are about.
    """
    before = store.recall(FACT)
    cells = {parse_key(key, store.variant)[0] for job in store.open_jobs() for key in job.requests}
    cells |= {cell for cell in store.cells if _has_own_answer(store, cell)}
    answered = {parse_cell(cell)[0] for cell in cells}
    output = store.folder.parent
    for code, language in texts.items():
        if code in answered and before.get(code, language) != language:
            raise VluresError(
                f"{output} holds answers in {LANGUAGES[code].name} about texts in {LANGUAGES[before[code]].name}, and "
                f"{folders[code]} has texts in {LANGUAGES[language].name}: give this run another --name, such as "
                f"{output.name.removeprefix('sandbox-')}-texts-{language}, or say with --text-language "
                f"{code}={before[code]} that they are in {LANGUAGES[before[code]].name}."
            )


def _has_own_answer(store: CheckpointStore, cell: Cell) -> bool:
    return any(entry.is_own_answer for entry in store.entries(cell).values())


def remember_text_languages(store: CheckpointStore, texts: Mapping[str, str]) -> None:
    """Record in the output folder what its answers are about, before the first request."""
    before = store.recall(FACT)
    known = {**before, **texts}
    if known != before:
        store.remember(FACT, known)

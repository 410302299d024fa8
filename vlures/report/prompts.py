"""The prompts of a run, whole: as its benchmark builds them today, where that is what was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from vlures.benchmarks import Benchmark, find_options
from vlures.config.resolve import stored_section, stored_target
from vlures.errors import VluresError
from vlures.records import Cell
from vlures.report.entries import ShownRun
from vlures.store.checkpoints import CheckpointStore

OWN_TEXT = "⟨the sample’s own text⟩"
"""Stands where each sample has another text."""


@dataclass(frozen=True, slots=True)
class AskedPrompt:
    """What was asked in a cell."""

    cell: Cell
    system: str
    user: str
    sample_id: str
    """Whose prompt this is."""
    is_same: bool
    """It is word for word what the stored answer was given to; otherwise prompt, image or text have changed since."""


def read_prompts(run: ShownRun, texts: Mapping[tuple[Cell, str], str]) -> tuple[list[AskedPrompt], str]:
    """The first prompt of each cell that has answers; or a sentence that says why there is none.

    texts: the samples' own, by cell and ID.
    """
    try:
        benchmark = _load(run)
    except (VluresError, msgspec.ValidationError) as error:
        return [], f"The prompts cannot be shown: {error}"
    if benchmark is None:
        return [], "The prompts cannot be shown: the run does not say what was asked."
    store = CheckpointStore(run.folder, run.variant, writable=False)
    found: dict[Cell, AskedPrompt] = {}
    for question in benchmark.questions():
        entry = store.entry(question.cell, question.sample_id)
        known = found.get(question.cell)
        if entry is None or (known is not None and known.is_same):
            continue
        request = benchmark.request(question)
        if known is not None and entry.digest != request.digest:
            continue
        own = texts.get((question.cell, question.sample_id))
        user = request.prompt.user.replace(own, OWN_TEXT) if own else request.prompt.user
        found[question.cell] = AskedPrompt(
            question.cell, request.prompt.system, user, question.sample_id, entry.digest == request.digest
        )
    return [found[cell] for cell in sorted(found)], ""


def _load(run: ShownRun) -> Benchmark | None:
    """The benchmark with the run's own options and today's data. Raises VluresError or msgspec.ValidationError."""
    target = stored_target(run.run)
    if target is None:
        return None
    options = stored_section(find_options(run.benchmark), run.run.get("config") or {})
    # A file that is wrong is left out, as it is in the run; it does not keep the others from being shown.
    return run.package.load_benchmark(options, target.asked, lambda _: False)

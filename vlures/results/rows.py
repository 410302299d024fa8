"""The stored responses of a run as rows of a table: one row per standing response.

Rows come by variant, then sample, then cell, and are read one by one: a million answers need the memory of the store's
index. Image and article of a row are those that were asked about, or empty.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from vlures.benchmarks import BenchmarkPackage, Heading, Question, Subject, Subjects, require_stored_variants
from vlures.benchmarks.columns import WHAT, WHO, merge
from vlures.benchmarks.faults import count_as
from vlures.errors import VluresError, counted
from vlures.files.names import path_as_text
from vlures.images import IMAGES_HELD, read_bytes
from vlures.records import Cell, Failure, Response, Usage, Variant, is_same_model
from vlures.store.checkpoints import CheckpointStore
from vlures.store.small_files import read_small_file

Row = dict[str, Any]
ImagesAs = Literal["bytes", "base64"]
"""The form of embedded images: raw bytes for Parquet, base64 for JSON."""


@dataclass(frozen=True, slots=True)
class StandingResponse:
    """A standing response as a row of the table, and what the row is made of."""

    row: Row
    response: Response
    subject: Subject | None
    """None where it is missing or has changed since."""
    run: Mapping[str, Any]
    """The run.json of its variant."""
    package: BenchmarkPackage
    cell: Cell
    variant: Variant
    heading: Heading


def find_columns(output_folder: Path) -> tuple[dict[str, type], dict[str, type]]:
    """The columns of a run's exported table, and those that only this machine knows, with their types."""
    question: dict[str, type] = {}
    subject: dict[str, type] = {}
    local: dict[str, type] = {}
    for package, variant in require_stored_variants(output_folder):
        columns = package.columns(read_small_file(output_folder / f"checkpoints_{variant.label}" / "run.json"))
        question = merge(question, columns.question)
        subject = merge(subject, columns.subject)
        local = merge(local, columns.local)
    return merge(WHO, question, WHAT, subject), local


def read_standing_responses(
    output_folder: Path,
    say: Callable[[str], None],
    *,
    sample_id: str | None = None,
    images_as: ImagesAs | None = None,
    opened: Callable[[CheckpointStore], None] = lambda _: None,
) -> Iterator[StandingResponse]:
    """All standing responses of a run, in all its variants, or only those about one sample.

    images_as: how the images themselves go into the rows, if at all. opened: called with each variant's store. Raises
    VluresError if the folder holds no run, if a stored line cannot be read, or if an image is wanted and cannot be
    given.
    """
    for package, variant in require_stored_variants(output_folder):
        store = CheckpointStore(output_folder, variant, writable=False, say=say)
        run = store.read_json("run.json")
        opened(store)
        subjects = package.find_subjects(run, store)
        for sentence in subjects.missing:
            if images_as is not None:
                raise VluresError(
                    f"{sentence}, and --with-images needs it; export from the folder where the run began."
                )
            empty = " and ".join(["image", *package.columns(run).subject])
            say(f"{sentence}; the columns {empty} stay empty.")
        yield from _read_variant(output_folder.resolve().name, store, run, package, subjects, images_as, sample_id)
        if subjects.withheld:
            say(
                f"In {variant.label}, {counted(subjects.withheld, 'answer', 'stays', 'stay')} without image and "
                "article: what was asked about was removed or has changed since, or its prompt has."
            )


def _read_variant(
    name: str,
    store: CheckpointStore,
    run: Mapping[str, Any],
    package: BenchmarkPackage,
    subjects: Subjects,
    images_as: ImagesAs | None,
    sample_id: str | None,
) -> Iterator[StandingResponse]:
    read = lru_cache(IMAGES_HELD)(read_bytes)
    providers = {job.tag: job.provider.lower() for job in store.jobs}
    columns = package.columns(run)
    find_fault = package.find_fault(store.variant)
    for found_id, cell, stored in _merge_cells(store, sample_id):
        response = count_as(stored, find_fault)
        question = Question(cell, found_id)
        subject = subjects.find(question, response, wanted=images_as is not None)
        image = subject.image if subject else None
        is_latest = _is_of_run(run, subjects, question, response)
        row: Row = {
            "name": name,
            "provider": run.get("provider") if is_latest else providers.get(response.job or ""),
            "mode": None if response.imported else "batch" if response.job else "live",
            "model": run.get("model") if is_latest else response.model,
            "model_answered": response.model,
            **package.describe_question(store.variant, question),
            **_describe_response(response),
            "image": path_as_text(image.path) if image else None,
            **{name: subject.columns.get(name) if subject else None for name in columns.subject},
        }
        if images_as == "bytes":
            row["image"] = {"bytes": read(image), "path": row["image"]} if image else None
        elif images_as == "base64":
            row["image_base64"] = base64.b64encode(read(image)).decode("ascii") if image else None
        yield StandingResponse(
            row, response, subject, run, package, cell, store.variant, package.heading(store.variant, cell)
        )


def _describe_response(response: Response) -> Row:
    usage, error = response.usage or Usage(), response.error or Failure("", "")
    return {
        "key": response.key,
        "status": response.status,
        "answer": response.text,
        "reasoning": response.reasoning,
        "finish_reason": response.finish_reason,
        "error_code": error.code or None,
        "error_message": error.message or None,
        "response_id": response.response_id,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "thinking_tokens": usage.thinking_tokens,
        "latency_s": response.latency_s,
        "attempts": response.attempts,
        "job": response.job,
        "imported": response.imported,
        "time": response.time,
        "digest": response.digest,
    }


def _is_of_run(run: Mapping[str, Any], subjects: Subjects, question: Question, response: Response) -> bool:
    """Whether the run that run.json describes is the one that asked. One folder may hold answers of several models,
    kept with --stale keep. Decided by the name of the model that answered, else by the digest of the question."""
    if response.imported:  # neither the model nor the question is known
        return False
    if response.model is not None and is_same_model(str(run.get("model")), response.model):
        return True
    return bool(response.digest) and subjects.is_asked_today(question, response.digest)


def _merge_cells(store: CheckpointStore, only: str | None) -> Iterator[tuple[str, Cell, Response]]:
    """Every standing response, by sample and then by cell, so that all about one image stand together. only: this
    sample's."""
    for sample_id, cell, line in heapq.merge(*(_of_cell(store, cell, only) for cell in store.cells), key=_sort_key):
        try:
            yield sample_id, cell, msgspec.convert(line, Response)
        except msgspec.ValidationError as error:
            raise VluresError(
                f"{store.checkpoint_path(cell)}: the answer {line['key']} cannot be read ({error}); correct or remove "
                "its line."
            ) from error


def _sort_key(standing: tuple[str, Cell, dict[str, Any]]) -> tuple[int, str]:
    """As sort_ids orders them."""
    return len(standing[0]), standing[0]


def _of_cell(store: CheckpointStore, cell: Cell, only: str | None) -> Iterator[tuple[str, Cell, dict[str, Any]]]:
    return ((sample_id, cell, line) for sample_id, line in store.responses(cell, only))

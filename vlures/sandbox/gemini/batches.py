"""Gemini's batches: create, look up, list, cancel, delete."""

import time
from dataclasses import replace
from typing import Any

from vlures.sandbox.batch_runner import BatchRunner
from vlures.sandbox.batches.batch import FINAL, Batch
from vlures.sandbox.batches.results import read_line
from vlures.sandbox.exchange import Call, Reply, json_reply
from vlures.sandbox.file_store import StoredFile
from vlures.sandbox.gemini.batch_validation import check_lines
from vlures.sandbox.gemini.body import read_body
from vlures.sandbox.gemini.errors import (
    GeminiError,
    bad_request,
    enqueued_quota,
    file_gone,
    unknown_batch,
    unknown_model,
)
from vlures.sandbox.gemini.fields import pick, unknown_fields
from vlures.sandbox.gemini.files import GENERATED, page
from vlures.sandbox.gemini.operation import operation
from vlures.sandbox.gemini.uploads import short_id
from vlures.sandbox.state import State

MAX_UNFINISHED = 100
"""Unfinished batches that a project may have: https://ai.google.dev/gemini-api/docs/rate-limits"""
MAX_LISTED, DEFAULT_LISTED = 1000, 50
ID_LENGTH = 36


async def create_batch(runner: BatchRunner, state: State, call: Call) -> Reply:
    """Create a batch and start its clock; the same request twice creates two batches.

    The faults of whole batches strike here, once. Under the fault `token_limit`, and beyond the sandbox's own limit,
    the reply is a 429 and no batch is created.
    """
    model = call.path_values["model"]
    asked = _read_creation(state, call)
    file = _input_file(state, asked)
    struck = state.faults.strikes("batch", "gemini_create")
    if any(fault.kind == "token_limit" for fault in struck):
        raise enqueued_quota(model)
    try:
        checked = await runner.in_thread(check_lines, state, file, model)
    finally:
        file = _input_file(state, asked)  # raises for one that was deleted or dropped while it was read
    _check_quota(state, model, checked.tokens)
    batch = Batch(
        id=short_id(ID_LENGTH),
        created_at=time.time(),
        input_file_id=file.id,
        endpoint="generateContent",
        provider="gemini",
        display_name=str(pick(asked, "displayName") or ""),
        priority=int(asked.get("priority") or 0),
        faults=tuple(fault.text for fault in struck),
        model=model,
        total=checked.total,
        queued_tokens=checked.tokens,
    )
    state.batches.save(batch)
    runner.start(batch)
    return json_reply(operation(batch, state.settings.batch_s))


def _read_creation(state: State, call: Call) -> dict[str, Any]:
    """The `batch` of a creation's body; raises GeminiError as the provider does."""
    body = read_body(state, call, "batchGenerateContent")
    if not isinstance(body, dict) or not isinstance(body.get("batch"), dict):
        raise bad_request("* BatchGenerateContentRequest.batch: the batch is not specified\n")
    unknown = unknown_fields(body, "creation")
    if unknown:
        raise bad_request("\n".join(sentence for _, sentence in unknown), unknown)
    models = state.settings.models
    if models and call.path_values["model"] not in models:
        raise unknown_model(call.path_values["model"], call.path_values["version"])
    asked: dict[str, Any] = body["batch"]
    if not str(asked.get("priority") or 0).lstrip("-").isdecimal():
        raise bad_request(f"Invalid value at 'batch.priority' (TYPE_INT64), \"{asked['priority']}\"")
    return asked


def _input_file(state: State, asked: dict[str, Any]) -> StoredFile:
    source = pick(asked, "inputConfig") or {}
    name = pick(source, "fileName")
    if not isinstance(name, str):
        if "requests" in source:
            raise bad_request("The sandbox runs batches of an input file only; upload the requests and name the file.")
        raise bad_request("* BatchGenerateContentRequest.batch.input_config: the input is not specified\n")
    file = state.gemini_files.find(name.removeprefix("files/"))
    if file is None or file.purpose == GENERATED:
        raise file_gone(name.removeprefix("files/"))
    if file.is_dropped:
        raise GeminiError(400, file.describe_dropped(), name="FAILED_PRECONDITION")
    return file


def _check_quota(state: State, model: str, tokens: int) -> None:
    """Raise Google's 429 for too many unfinished batches, or too many tokens in them."""
    running = [batch for batch in state.batches.unfinished() if batch.provider == "gemini"]
    enqueued = sum(batch.queued_tokens for batch in running if batch.model == model)
    limit = state.settings.queue_tokens
    if len(running) >= MAX_UNFINISHED or (limit is not None and enqueued + tokens > limit):
        raise enqueued_quota(model)


def show_batch(state: State, call: Call) -> Reply:
    """One batch as it is now."""
    batch = _find(state, call)
    state.spent_uploads.note_end_seen(batch)
    return json_reply(
        operation(
            batch, state.settings.batch_s, **state.batches.visibility(batch), inline=_inline_results(state, batch)
        )
    )


def _inline_results(state: State, batch: Batch) -> list[dict[str, Any]] | None:
    """The results of a batch that has ended under the fault `inline`, as the batch itself contains them."""
    fault, file = batch.fault("inline"), state.gemini_files.find(batch.output_file_id or "")
    if fault is None or file is None or batch.status not in FINAL:
        return None
    results: list[dict[str, Any]] = []
    for line in state.gemini_files.lines(file):
        content = read_line(line) or {}
        key = content.pop("key", None)
        nameless = key is None or fault.number("nameless", 0.0)
        results.append(content if nameless else content | {"metadata": {"key": key}})
    return results


def _find(state: State, call: Call) -> Batch:
    batch = state.batches.find(call.path_values["batch"])
    if batch is None or batch.provider != "gemini" or batch.deleted:
        raise unknown_batch()
    return batch


def list_batches(state: State, call: Call) -> Reply:
    """The batches, newest first, page by page."""
    now = time.time()
    batches = [batch for batch in state.batches.newest_first("gemini") if not batch.deleted and batch.is_listed(now)]
    operations = [operation(batch, state.settings.batch_s) for batch in batches]
    shown, following = page(operations, call.query, most=MAX_LISTED, default=DEFAULT_LISTED)
    return json_reply({**({"operations": shown} if shown else {}), **following})


def cancel_batch(runner: BatchRunner, state: State, call: Call) -> Reply:
    """Start to cancel a batch.

    One that has not started ends CANCELLED, with an error and no results. One that has started ends SUCCEEDED, with the
    answers it has and an error of code 1 for every other line, as observed at the provider.
    """
    batch = _find(state, call)
    if batch.status in FINAL:
        raise GeminiError(400, "The batch has ended and cannot be cancelled.", name="FAILED_PRECONDITION")
    if batch.status != "cancelling":
        runner.cancel(batch)
    return json_reply({})


def delete_batch(state: State, call: Call) -> Reply:
    """Stop showing a batch; an unfinished one still runs."""
    state.batches.save(replace(_find(state, call), deleted=True))
    return json_reply({})

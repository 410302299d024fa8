"""OpenAI's batches: create, look up, list, cancel."""

import secrets
import time
from dataclasses import replace
from typing import Any

import msgspec

from vlures.sandbox.batch_runner import BatchRunner
from vlures.sandbox.batches.batch import FINAL, Batch
from vlures.sandbox.exchange import Call, Reply, json_reply
from vlures.sandbox.openai.batch_object import batch_object
from vlures.sandbox.openai.errors import (
    OpenAIError,
    invalid_type,
    invalid_value,
    missing_parameter,
    unknown_batch,
)
from vlures.sandbox.openai.files import check_lifetime, content_dropped, page
from vlures.sandbox.state import State

ENDPOINTS = (
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)
SERVED_ENDPOINTS = ("/v1/chat/completions", "/v1/responses")
FIELDS = ("input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after")
MAX_PAIRS, MAX_KEY_LENGTH, MAX_VALUE_LENGTH = 16, 64, 512
MAX_LISTED, DEFAULT_LISTED = 100, 20


def create_batch(runner: BatchRunner, state: State, call: Call) -> Reply:
    """Create a batch and start its clock; the faults of whole batches strike here, once."""
    body = read_body(call.body)
    violation = state.violation("batch", body, "batch create")
    if violation:
        raise OpenAIError(400, violation)
    batch = check_batch(state, body)
    struck = state.faults.strikes("batch", "create")
    batch = state.batches.save(replace(batch, faults=tuple(fault.text for fault in struck)))
    runner.start(batch)
    return json_reply(batch_object(batch, state.settings.batch_s))


def read_body(body: bytes) -> dict[str, Any]:
    """A request body as a JSON object."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        raise OpenAIError(
            400,
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
        )
    return document


def check_batch(state: State, body: dict[str, Any]) -> Batch:
    """The batch that a body asks for; raises OpenAIError as the provider does."""
    for name in body:
        if name not in FIELDS:
            raise OpenAIError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    for name in FIELDS[:3]:
        if not isinstance(body.get(name), str):
            raise missing_parameter(name) if body.get(name) is None else invalid_type(name, "a string")
    if body["completion_window"] != "24h":
        raise invalid_value("completion_window", body["completion_window"], ("24h",))
    if body["endpoint"] not in ENDPOINTS:
        raise invalid_value("endpoint", body["endpoint"], ENDPOINTS)
    if body["endpoint"] not in SERVED_ENDPOINTS:
        served = " and ".join(SERVED_ENDPOINTS)
        raise OpenAIError(400, f"The sandbox serves batches of {served} only.", param="endpoint")
    file = state.files.find(body["input_file_id"])
    if file is None:
        raise OpenAIError(
            400, f"No such File object: {body['input_file_id']}", param="input_file_id", code="file_not_found"
        )
    if file.purpose != "batch":
        raise OpenAIError(400, f"The file {file.id} was not uploaded with the purpose 'batch'.", param="input_file_id")
    if file.is_dropped:
        raise content_dropped(file, status=400, param="input_file_id")
    life = body.get("output_expires_after")
    return Batch(
        id="batch_" + secrets.token_hex(16),
        created_at=time.time(),
        input_file_id=file.id,
        endpoint=body["endpoint"],
        metadata=check_metadata(body.get("metadata")),
        output_life_s=check_lifetime(life.get("seconds"), "output_expires_after.seconds") if life else None,
    )


def check_metadata(metadata: object) -> dict[str, str] | None:
    """Up to 16 pairs of texts, keys up to 64 and values up to 512 characters."""
    if metadata is None:
        return None
    if not isinstance(metadata, dict):
        raise invalid_type("metadata", "an object")
    if len(metadata) > MAX_PAIRS:
        raise OpenAIError(
            400,
            f"Invalid 'metadata': too many properties. Expected an object with at most {MAX_PAIRS} properties, but "
            f"got an object with {len(metadata)} properties instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise invalid_type(f"metadata.{key}", "a string")
        for text, longest, what in ((key, MAX_KEY_LENGTH, "key"), (value, MAX_VALUE_LENGTH, "value")):
            if len(text) > longest:
                raise OpenAIError(
                    400,
                    f"Invalid 'metadata.{key[:MAX_KEY_LENGTH]}': the {what} is too long. Expected at most {longest} "
                    f"characters, but got {len(text)} instead.",
                    param=f"metadata.{key[:MAX_KEY_LENGTH]}",
                    code="string_above_max_length",
                )
    return metadata


def show_batch(state: State, call: Call) -> Reply:
    """One batch as it is now."""
    batch = _find(state, call)
    state.spent_uploads.note_end_seen(batch)
    return json_reply(batch_object(batch, state.settings.batch_s, **state.batches.visibility(batch)))


def _find(state: State, call: Call) -> Batch:
    batch = state.batches.find(call.path_values["batch"])
    if batch is None or batch.provider != "openai":
        raise unknown_batch(call.path_values["batch"])
    return batch


def list_batches(state: State, call: Call) -> Reply:
    """The batches, newest first, page by page."""
    now = time.time()
    batches = [batch for batch in state.batches.newest_first("openai") if batch.is_listed(now)]
    documents = [batch_object(batch, state.settings.batch_s) for batch in batches]
    return json_reply(page(documents, call.query, most=MAX_LISTED, default=DEFAULT_LISTED))


def cancel_batch(runner: BatchRunner, state: State, call: Call) -> Reply:
    """Start to cancel a batch; what it has answered so far will be in its output file."""
    batch = _find(state, call)
    if batch.status in FINAL:
        raise OpenAIError(409, f"Cannot cancel a batch with status '{batch.status}'.")
    if batch.status != "cancelling":
        batch = runner.cancel(batch)
    return json_reply(batch_object(batch, state.settings.batch_s))

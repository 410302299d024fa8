"""Answering a batch: each line of the input file gives a line of the output file, of the error file, or none."""

import secrets
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import msgspec

from vlures.sandbox.answers.prompt_cache import PromptCache
from vlures.sandbox.batches.batch import Batch, Usage
from vlures.sandbox.batches.results import Results, Stopped, read_line, shuffle_lines
from vlures.sandbox.file_store import StoredFile
from vlures.sandbox.ledger import Entry
from vlures.sandbox.openai.endpoints import ENDPOINTS, RequestContext, answer_request
from vlures.sandbox.openai.errors import OpenAIError, line_error
from vlures.sandbox.openai.images import ImageSource
from vlures.sandbox.state import State

EXPIRED = "This request could not be executed before the completion window expired."


@dataclass
class _Outcome:
    """What has been written so far."""

    output: BinaryIO
    errors: BinaryIO
    completed: int = 0
    failed: int = 0
    usage: Usage = field(default_factory=Usage)
    entries: list[Entry] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    cache: PromptCache = field(default_factory=PromptCache)


def estimate_tokens(state: State, endpoint: str, file: StoredFile) -> int:
    """The prompt tokens of an input file, as the queue limit counts them; lines that will fail count 0."""
    total = 0
    source = ImageSource(state.image_cache, state.files, state.faults, place="")
    for line in state.files.lines(file):
        request = read_line(line) or {}
        try:
            asked = ENDPOINTS[endpoint].read(request.get("body"), source, state.settings.models)
        except OpenAIError:
            continue
        question = asked.question
        total += asked.image_tokens + (len(question.system.encode()) + len(question.text.encode())) // 4
    return total


def execute_batch(state: State, batch: Batch, file: StoredFile, keep: float) -> Results:
    """Answer a batch's lines, store the result files and record in the ledger what a provider charges for.

    keep: the share of the lines that are answered, 0 to 1. Runs in a worker thread. A repetition after a kill gives the
    same files and records nothing twice. Raises Stopped when the sandbox ends.
    """
    output_part, error_part = state.files.new_temporary_file(), state.files.new_temporary_file()
    kept = round(batch.total * keep)
    expired = batch.fault("expire") is not None and batch.cancelling_at is None
    with output_part.open("wb") as output, error_part.open("wb") as errors:
        outcome = _Outcome(output, errors)
        if batch.fault("failed_first"):
            _write_failures_first(state, file, kept, outcome)
        for number, line in enumerate(state.files.lines(file)):
            if state.stopping.is_set():
                raise Stopped
            request = read_line(line) or {}
            if number < kept:
                _answer_line(state, batch, request, outcome)
            elif expired:
                _write_error_without_response(outcome, request.get("custom_id"), "batch_expired", EXPIRED)
            else:
                break
        _write_unrequested_lines(batch, outcome)
    if batch.fault("shuffle"):
        shuffle_lines(output_part, outcome.offsets, f"{state.settings.seed}|{batch.id}")
    state.ledger.record(outcome.entries)
    return Results(
        outcome.completed,
        outcome.failed,
        outcome.usage,
        _store_result(state, batch, output_part, "output"),
        _store_result(state, batch, error_part, "error"),
    )


def _write_failures_first(state: State, file: StoredFile, kept: int, outcome: _Outcome) -> None:
    """Write a failed line for each request that is answered further on. It is not counted as a failure."""
    error = OpenAIError(500, "An answer follows.", kind="server_error")
    for line in islice(state.files.lines(file), kept):
        _write_output(outcome, _result_line((read_line(line) or {}).get("custom_id"), 500, error.document))


def _store_result(state: State, batch: Batch, part: Path, name: str) -> str | None:
    """Store a result file under an id derived from the batch's; returns None for an empty one."""
    if part.stat().st_size == 0:
        part.unlink()
        return None
    file_id = f"file-{batch.id.removeprefix('batch_')}-{name}"
    return state.files.adopt_result(part, file_id, f"{batch.id}_{name}.jsonl", batch.output_life_s).id


def _answer_line(state: State, batch: Batch, request: dict[str, object], outcome: _Outcome) -> None:
    custom_id = request.get("custom_id")
    strikes = {fault.kind: fault for fault in state.faults.strikes("line", "line")}
    if "missing" in strikes:
        return
    if "line_error_b" in strikes:
        fault = strikes["line_error_b"]
        code = fault.option("code", "batch_expired")
        _write_error_without_response(outcome, custom_id, code, fault.option("message", EXPIRED))
        return
    if "line_status0" in strikes:
        _write_output(outcome, _result_line(custom_id, 0, None))
        return
    try:
        if "line_error" in strikes:
            raise line_error(strikes["line_error"])
        document = _answer_body(state, batch, request, outcome)
    except OpenAIError as error:
        _write_error(outcome, custom_id, error)
        return
    line = _result_line(custom_id, 200, document)
    outcome.completed += 1
    _write_output(outcome, line)
    if "doubled" in strikes:
        _write_output(outcome, line)


def _answer_body(state: State, batch: Batch, request: dict[str, object], outcome: _Outcome) -> dict[str, object]:
    custom_id = str(request.get("custom_id"))
    context = RequestContext("line", f"batch line {custom_id}", outcome.cache)
    answered, document = answer_request(state, ENDPOINTS[batch.endpoint], request.get("body"), context)
    outcome.usage = Usage(
        outcome.usage.input_tokens + answered.prompt_tokens,
        outcome.usage.output_tokens + answered.written_tokens,
        outcome.usage.reasoning_tokens + answered.answer.thought_tokens,
        outcome.usage.cached_tokens + answered.cached_tokens,
    )
    outcome.entries.append(answered.ledger_entry("openai", line_id=custom_id, batch_id=batch.id))
    return document


def _result_line(custom_id: object, status: int, body: object) -> dict[str, object]:
    response = {"status_code": status, "request_id": "req_" + secrets.token_hex(16), "body": body}
    return {"id": "batch_req_" + secrets.token_hex(12), "custom_id": custom_id, "response": response, "error": None}


def _write_output(outcome: _Outcome, line: dict[str, object]) -> None:
    outcome.offsets.append(outcome.output.tell())
    outcome.output.write(msgspec.json.encode(line) + b"\n")


def _write_error(outcome: _Outcome, custom_id: object, error: OpenAIError) -> None:
    outcome.failed += 1
    outcome.errors.write(msgspec.json.encode(_result_line(custom_id, error.status, error.document)) + b"\n")


def _write_error_without_response(outcome: _Outcome, custom_id: object, code: str, message: str) -> None:
    outcome.failed += 1
    line = {
        "id": "batch_req_" + secrets.token_hex(12),
        "custom_id": custom_id,
        "response": None,
        "error": {"code": code, "message": message},
    }
    outcome.errors.write(msgspec.json.encode(line) + b"\n")


def _write_unrequested_lines(batch: Batch, outcome: _Outcome) -> None:
    """Write the lines that the batch's faults add."""
    if batch.fault("unknown_id"):
        line = _result_line("nobody-sent-this-" + secrets.token_hex(4), 200, {"choices": []})
        _write_output(outcome, line)
    if batch.fault("null_id"):
        _write_output(outcome, _result_line(None, 200, {"choices": []}))
    if batch.fault("garbage_line"):
        outcome.offsets.append(outcome.output.tell())
        outcome.output.write(b'{"id": "batch_req_torn", "custom_id": "to\n')

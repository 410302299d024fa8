"""Answering a Gemini batch: each line of the input file gives one line of the result file, or none."""

import secrets
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

import msgspec

from vlures.sandbox.answers.prompt_cache import PromptCache
from vlures.sandbox.batches.batch import Batch, Usage
from vlures.sandbox.batches.results import Results, Stopped, read_line, shuffle_lines
from vlures.sandbox.file_store import StoredFile
from vlures.sandbox.gemini.answer import generate_content
from vlures.sandbox.gemini.errors import CANCELLED_CODE, INTERNAL_CODE, GeminiError, struck_status
from vlures.sandbox.gemini.generate import read_generate
from vlures.sandbox.ledger import Entry, make_entry
from vlures.sandbox.state import State

RESULT_LIFE_S = 42 * 24 * 3600
NOTHING = Results(0, 0, Usage(), None, None)
Line = dict[str, Any]


@dataclass
class _Outcome:
    """What has been written so far."""

    output: BinaryIO
    completed: int = 0
    failed: int = 0
    entries: list[Entry] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    cache: PromptCache = field(default_factory=PromptCache)

    def write(self, line: Line) -> None:
        self.failed += "error" in line or "status" in line
        self.write_bytes(msgspec.json.encode(line) + b"\n")

    def write_bytes(self, line: bytes) -> None:
        self.offsets.append(self.output.tell())
        self.output.write(line)


def execute_gemini(state: State, batch: Batch, file: StoredFile, keep: float) -> Results:
    """Answer a batch's lines, store the result file and record in the ledger what the provider charges for.

    keep: the share of the lines that are answered, 0 to 1. Runs in a worker thread. A repetition after a kill gives the
    same file and records nothing twice. A batch that expires has no results and costs nothing. Raises Stopped when the
    sandbox ends.
    """
    if batch.fault("expire") and batch.cancelling_at is None:
        return NOTHING
    part = state.gemini_files.new_temporary_file()
    kept = round(batch.total * keep)
    unserved = _unserved_error(batch)
    with part.open("wb") as output:
        outcome = _Outcome(output)
        if batch.fault("failed_first"):
            _write_failures_first(state, file, kept, outcome)
        for number, line in enumerate(state.gemini_files.lines(file)):
            if state.stopping.is_set():
                raise Stopped
            asked = read_line(line) or {}
            if number < kept:
                _answer_line(state, batch, asked, outcome)
            elif unserved is not None:
                outcome.write({**_key(asked), "error": unserved})
            else:
                break
        _write_unrequested_lines(batch, outcome)
    if batch.fault("shuffle"):
        shuffle_lines(part, outcome.offsets, f"{state.settings.seed}|{batch.id}")
    state.ledger.record(outcome.entries)
    if not outcome.offsets:
        part.unlink()
        return NOTHING
    # As at the provider, the id is longer than the 40 characters that a file's id may have.
    file_id = f"batch-{batch.id}"
    state.gemini_files.adopt_result(part, file_id, f"{file_id}.jsonl", RESULT_LIFE_S)
    return Results(outcome.completed, outcome.failed, Usage(), file_id, None)


def _write_failures_first(state: State, file: StoredFile, kept: int, outcome: _Outcome) -> None:
    """Write a failed line for each request that is answered further on. It is not counted as a failure."""
    error = {"code": INTERNAL_CODE, "message": "An answer follows."}
    for line in islice(state.gemini_files.lines(file), kept):
        outcome.write_bytes(msgspec.json.encode({**_key(read_line(line) or {}), "error": error}) + b"\n")


def _unserved_error(batch: Batch) -> Line | None:
    """The error in the line of a request that was not reached; None if it has no line."""
    if batch.cancelling_at is not None:
        return {"code": CANCELLED_CODE}
    if batch.fault("partial"):
        return {"code": INTERNAL_CODE, "message": "The sandbox was asked to leave this request out."}
    return None


def _key(asked: Line) -> Line:
    return {"key": asked["key"]} if asked.get("key") is not None else {}


def _answer_line(state: State, batch: Batch, asked: Line, outcome: _Outcome) -> None:
    strikes = {fault.kind: fault for fault in state.faults.strikes("line", "line")}
    if "missing" in strikes:
        return
    line = _key(asked)
    if "line_error" in strikes:
        line["error"] = struck_status(strikes["line_error"])
    elif "line_error_b" in strikes:
        line["status"] = struck_status(strikes["line_error_b"])
    elif "line_status0" not in strikes:
        try:
            line["response"] = _respond(state, batch, asked, outcome)
            outcome.completed += 1
        except GeminiError as error:
            line["error"] = error.rpc_status()
    outcome.write(line)
    if "doubled" in strikes and "response" in line:
        outcome.write(line)


def _respond(state: State, batch: Batch, asked: Line, outcome: _Outcome) -> Line:
    """The answer to one line, with its entry in the ledger if it is charged; raises GeminiError."""
    request = read_generate(asked.get("request"), batch.model or "", state.image_cache)
    question = request.question
    state.counts.add_images(len(question.images))
    strikes = state.faults.strikes("answer", "line")
    cached_tokens = outcome.cache.cached_tokens(question.model, question.image_digests, request.tokens_by_image)
    fault = strikes[0] if strikes else None
    answer, document = generate_content(request, state.settings.seed, fault, cached_tokens)
    if answer.charged:
        tokens, key = sum(request.tokens_by_image), asked.get("key")
        outcome.entries.append(
            make_entry("gemini", question, answer, tokens, cached_tokens, line_id=key, batch_id=batch.id)
        )
    return document


def _write_unrequested_lines(batch: Batch, outcome: _Outcome) -> None:
    """Write the lines that the batch's faults add."""
    if batch.fault("unknown_id"):
        outcome.write({"key": "nobody-sent-this-" + secrets.token_hex(4), "response": {"candidates": []}})
    if batch.fault("null_id"):
        outcome.write({"response": {"candidates": []}})
    if batch.fault("garbage_line"):
        outcome.write_bytes(b'{"response": {"candidates": [{"content"\n')

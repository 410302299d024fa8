"""A batch of Gemini's and the lines of its result file, as the batch driver needs them.

Sources: google-genai 3.4, the API's discovery document, its guide to the Batch API (2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from vlures.backends.batch.client import BatchState, JobProblem
from vlures.backends.gemini.batch_errors import UnreadableReply, find_file_problem
from vlures.backends.gemini.content import read_answer
from vlures.backends.lenient_json import as_count, as_object, as_objects, as_text, decode_object
from vlures.backends.outcomes import blank_result
from vlures.errors import Retry
from vlures.records import Failure, Response

ANSWERED = frozenset({"succeeded", "partially_succeeded"})
ENDED = ANSWERED | {"failed", "cancelled", "expired"}
UNDER_WAY = frozenset({"unspecified", "queued", "pending", "running", "paused", "cancelling", "updating"})
"""A batch in one of these states, or in an unknown one, may still change unless its operation is done."""

RPC_NAMES = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
    16: "UNAUTHENTICATED",
}
"""https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto. Errors inside a batch have these numbers,
those of a gateway in between HTTP's."""
TRANSIENT = frozenset({"UNKNOWN", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "INTERNAL", "UNAVAILABLE"})
"""Not CANCELLED: someone did not want those answers."""

_FULL = re.compile(r"resource.?exhausted|\bquota\b|\btokens?\b.*\b(limit|exceed\w*)\b|\benqueued\b", re.I)


def read_batch(batch_id: str, operation: object) -> BatchState:
    """A batch, from the JSON of its operation. Its answers may be in a file, or in the operation itself.

    Raises UnreadableReply if it has no state.
    """
    content = as_object(operation)
    batch = content | as_object(content.get("metadata"))
    state = as_text(batch.get("state"))
    if state is None:
        raise UnreadableReply("a batch without a state")
    status = re.sub(r"^(BATCH|JOB)_STATE_", "", state).lower()
    done = content.get("done") is True
    outputs = _outputs(content, batch)
    files = tuple(dict.fromkeys(filter(None, (as_text(output.get("responsesFile")) for output in outputs))))
    inline = _inline_lines(outputs)
    stats = as_object(batch.get("batchStats"))
    succeeded = max(0, as_count(stats.get("successfulRequestCount")) or 0)
    failed = max(0, as_count(stats.get("failedRequestCount")) or 0)
    error = as_object(content.get("error")) or as_object(batch.get("error"))
    ended = done or status in ENDED
    is_known = status in ENDED | UNDER_WAY
    has_results = bool(files or inline or succeeded)
    problem, reason = (None, "") if has_results or not ended or not is_known else _find_problem(status, error)
    return BatchState(
        batch_id=batch_id,
        status=status,
        ended=ended,
        is_known=is_known,
        done=succeeded + failed,
        answered=succeeded,
        total=as_count(stats.get("requestCount")) or 0,
        is_exhaustive=status in ANSWERED or not is_known,
        result_files=files,
        inline_lines=inline,
        problem=problem,
        reason=reason,
        resubmit=status != "cancelled",
    )


def _outputs(operation: Mapping[str, Any], batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The places that may name or hold results: often both, sometimes one. google-genai calls it `dest`."""
    places = (batch.get("output"), operation.get("response"), batch.get("dest"), operation.get("dest"))
    outputs = [_rename(as_object(place)) for place in places]
    for output in outputs:
        output.setdefault("responsesFile", output.get("fileName"))
    return outputs


def _inline_lines(outputs: list[dict[str, Any]]) -> tuple[bytes, ...]:
    """Results that the operation itself holds, as the lines of a result file. They come in any order, so only their
    keys tell whose they are: https://github.com/googleapis/python-genai/issues/1909"""
    for output in outputs:
        found = output.get("inlinedResponses")
        if isinstance(found, dict):
            found = _rename(found).get("inlinedResponses")
        if items := as_objects(found):
            return tuple(msgspec.json.encode(_with_key(item)) for item in items)
    return ()


def _with_key(item: dict[str, Any]) -> dict[str, Any]:
    metadata = as_object(item.get("metadata"))
    key = as_text(item.get("key")) or as_text(metadata.get("key"))
    return {name: value for name, value in item.items() if name != "metadata"} | {"key": key}


def _find_problem(status: str, error: Mapping[str, Any]) -> tuple[JobProblem | None, str]:
    """Why a batch that ended without results never began. One that expired or was cancelled did begin."""
    if status in ENDED - {"failed"} or (status != "failed" and not error):
        return None, ""
    code = RPC_NAMES.get(as_count(error.get("code")) or 0) or str(error.get("code") or "")
    message = as_text(error.get("message")) or "no reason was given"
    reason = f"{code}: {message}" if code else message
    if code in ("RESOURCE_EXHAUSTED", "429") or _FULL.search(reason):
        return "queue full", reason
    return find_file_problem(reason) or "refused", reason


def read_result_line(line: bytes, *, keep_think_tags: bool = False) -> Response | None:
    """What a line of a result file says about its request; None if it is unreadable. keep_think_tags: leave thinking in
    the text.

    An error is in `error` or `status`, beside the key or in the response.
    """
    content = decode_object(line) or {}
    key = as_text(content.get("key"))
    if key is None:
        return None
    reply = _in_camel_case(as_object(content.get("response")))
    spoken = any(reply.get(name) for name in ("candidates", "promptFeedback"))
    error = next(filter(None, (place.get(name) for place in (content, reply) for name in ("error", "status"))), None)
    if error is not None and not spoken:
        return Response(key, "failed", error=_line_failure(error))
    if not as_object(content.get("response")):
        return blank_result(key)
    try:
        return read_answer(key, reply, keep_think_tags=keep_think_tags)
    except Retry as failure:
        return failure.heard


def _in_camel_case(reply: Mapping[str, Any]) -> dict[str, Any]:
    """A response with the names of the REST API, whether it came with those or with the protocol buffers' names."""
    reply = _rename(reply)
    inner = {
        name: _rename(reply[name]) for name in ("promptFeedback", "usageMetadata") if isinstance(reply.get(name), dict)
    }
    return reply | inner | {"candidates": [_rename(candidate) for candidate in as_objects(reply.get("candidates"))]}


def _rename(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {re.sub(r"_([a-z])", lambda match: match[1].upper(), name): value for name, value in fields.items()}


def _line_failure(error: Any) -> Failure:
    known = as_object(error)
    code = as_count(known.get("code")) or 0
    name = as_text(known.get("status")) or RPC_NAMES.get(code, "")
    message = as_text(known.get("message")) or as_text(error) or "no reason was given"
    by_http = str(code) if code not in RPC_NAMES and code else ""
    transient = name in TRANSIENT or code in (408, 409, 429) or code >= 500
    return Failure(f"{by_http} {name}".strip() or "no code", message, transient)

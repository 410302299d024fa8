"""What a batch of OpenAI's says of itself, and what the lines of its result files say of its requests.

Sources: the SDK's own reference texts (openai 3.54), the Batch guide of 2026-09.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vlures.backends.batch.client import BatchState, JobProblem
from vlures.backends.lenient_json import as_count, as_object, as_objects, as_text, decode_object
from vlures.backends.openai.bodies import ENDPOINTS, Endpoint
from vlures.backends.openai.errors import NO_CREDIT, UnreadableReply, read_failure, status_within
from vlures.backends.outcomes import blank_result
from vlures.backends.replies import BAD_REQUEST, is_refused_for_size
from vlures.records import Failure, Response

HTTP_OK = 200
TAG = "vlures"
"""The key of our tag in a batch's metadata."""
ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
UNDER_WAY = frozenset({"validating", "in_progress", "finalizing", "cancelling"})


def _dump(reply: Any) -> dict[str, Any]:
    """The JSON of an SDK's object. The SDK passes on whatever arrived, even a page of HTML as a str."""
    return as_object(reply.model_dump()) if hasattr(reply, "model_dump") else {}


def read_tag(reply: Any) -> str | None:
    """Our tag of a batch, if it has one."""
    return as_text(as_object(_dump(reply).get("metadata")).get(TAG))


def read_file_id(reply: Any) -> str:
    file_id = as_text(_dump(reply).get("id"))
    if file_id is None:
        raise UnreadableReply("an upload's reply without an id")
    return file_id


def read_expiry(reply: Any) -> float | None:
    """When an uploaded file expires, in seconds since the epoch."""
    return as_count(_dump(reply).get("expires_at"))


def read_batch(reply: Any) -> BatchState:
    """A batch object as the driver's BatchState. Both file ids may be null or empty.

    Raises UnreadableReply if it has no id or no status.
    """
    batch = _dump(reply)
    batch_id, status = as_text(batch.get("id")), as_text(batch.get("status"))
    if batch_id is None or status is None:
        raise UnreadableReply("a batch without an id or a status")
    counts = as_object(batch.get("request_counts"))
    failures_file = as_text(batch.get("error_file_id"))
    files = tuple(filter(None, (as_text(batch.get("output_file_id")), failures_file)))
    answered, failed = (as_count(counts.get(name)) or 0 for name in ("completed", "failed"))
    answered, failed = max(0, answered), max(0, failed)
    total = as_count(counts.get("total")) or 0
    errors = as_objects(as_object(batch.get("errors")).get("data"))
    problem: JobProblem | None = None
    reason = ""
    if status == "failed" and not files and not answered:
        reason = "; ".join(dict.fromkeys(map(_batch_error, errors))) or "no reason was given"
        if any(error.get("code") == "token_limit_exceeded" for error in errors):
            problem = "queue full"
        elif "cannot find file" in reason.lower():
            problem = "file not visible"
        elif is_refused_for_size(BAD_REQUEST, reason):
            problem = "too large"
        else:
            problem = "refused"
    return BatchState(
        batch_id=batch_id,
        status=status,
        ended=status in ENDED,
        is_known=status in ENDED | UNDER_WAY,
        done=answered + failed,
        answered=answered,
        total=total,
        # A batch that expires has a line for each request, too, but counts of requests say more.
        is_exhaustive=status == "completed" or (status == "expired" and total == 0),
        is_uncounted=total == 0 and bool(as_count(batch.get("in_progress_at"))),
        result_files=files,
        failures_file=failures_file,
        problem=problem,
        reason=reason,
        resubmit=status != "cancelled",
        deadline=_read_moment(batch.get("expires_at")),
    )


def _read_moment(seconds: object) -> datetime | None:
    """A moment from seconds since the epoch; None for anything else."""
    try:
        return datetime.fromtimestamp(as_count(seconds) or 0, UTC) if seconds else None
    except (OverflowError, OSError, ValueError):
        return None


def _batch_error(error: Mapping[str, Any]) -> str:
    where = f" (line {error['line']})" if error.get("line") else ""
    return f"{error.get('code')}: {error.get('message')}{where}"


def read_result_line(line: bytes, endpoint: Endpoint, *, keep_think_tags: bool = False) -> Response | None:
    """What a line of an output or error file says about its request; None if it is unreadable.

    endpoint: the one that this run asks. A batch of an earlier run may have asked the other, which its answers show.
    keep_think_tags: leave thinking in the text.
    Failures come in two shapes: an API error in `response.body.error`, or `response: null` with `error`.
    """
    content = decode_object(line) or {}
    key = as_text(content.get("custom_id"))
    if key is None:
        return None
    reply = content.get("response")
    if not isinstance(reply, dict):
        error = content.get("error")
        return read_failure(key, _line_failure(error, 0)) if error else blank_result(key)
    status_code = as_count(reply.get("status_code")) or 0
    body = reply.get("body")
    body = (decode_object(body) or {}) if isinstance(body, str) else as_object(body)
    error = body.get("error") or content.get("error")
    if not body and not error and as_count(reply.get("status_code")) in (None, HTTP_OK):
        return blank_result(key)
    answered = bool(body.get("choices")) or (not error and (status_code == HTTP_OK or bool(body.get("output"))))
    if answered:
        return _find_endpoint(body, endpoint).read(key, body, keep_think_tags=keep_think_tags)
    return read_failure(key, _line_failure(error, status_code))


def _find_endpoint(body: Mapping[str, Any], asked: Endpoint) -> Endpoint:
    """The endpoint that gave a body."""
    if body.get("object") == "response" or ("output" in body and "choices" not in body):
        return ENDPOINTS["responses"]
    if body.get("object") == "chat.completion" or "choices" in body:
        return ENDPOINTS["chat"]
    return asked


def _line_failure(error: Any, status_code: int) -> Failure:
    known = as_object(error)
    status_code = (status_within(known) if status_code == HTTP_OK else None) or status_code
    code = str(known.get("code") or known.get("type") or status_code or "no code")
    message = str(known.get("message") or (error if isinstance(error, str) else "") or "no reason was given")
    transient = (
        status_code in (0, 408, 409, 429) or status_code >= 500 or code in ("batch_expired", "rate_limit_exceeded")
    ) and code not in NO_CREDIT
    return Failure(f"{status_code} {code}" if status_code else code, message, transient)

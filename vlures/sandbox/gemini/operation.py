"""A Gemini batch as the provider shows it: a long-running operation with the batch in its metadata.

The format is that of real replies, not of the guide: `done` is absent until the end, counts are strings and absent if
0, the output is there twice. The specification knows seven states, BATCH_STATE_PENDING to
BATCH_STATE_EXPIRED; those that only google-genai knows go out under its names, JOB_STATE_….
"""

import time
from typing import Any

from vlures.sandbox.batches.batch import FINAL, Batch
from vlures.sandbox.gemini.errors import DEADLINE_CODE, INTERNAL_CODE, rpc_code
from vlures.sandbox.gemini.fields import timestamp

TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."
STATES = {
    "validating": "BATCH_STATE_PENDING",
    "in_progress": "BATCH_STATE_RUNNING",
    "finalizing": "BATCH_STATE_RUNNING",
    "completed": "BATCH_STATE_SUCCEEDED",
    "failed": "BATCH_STATE_FAILED",
    "expired": "BATCH_STATE_EXPIRED",
    "cancelling": "JOB_STATE_CANCELLING",
    "cancelled": "BATCH_STATE_CANCELLED",
}


def operation(
    batch: Batch,
    batch_s: float,
    *,
    shows_results: bool = True,
    shows_all_counts: bool = True,
    inline: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The operation; while the batch runs, the answered lines are counted by the clock.

    batch_s: seconds that a batch takes. shows_results: False hides the output. shows_all_counts: False counts half of
    the answered lines. inline: results that the batch itself contains, instead of a file.
    """
    name, now = f"batches/{batch.id}", time.time()
    ended = batch.status in FINAL
    output: dict[str, Any] | None = None
    if ended and shows_results and batch.output_file_id:
        output = {"responsesFile": f"files/{batch.output_file_id}"}
        if inline is not None:
            output = {"inlinedResponses": {"inlinedResponses": inline}}
    metadata: dict[str, Any] = {
        "@type": TYPE + "GenerateContentBatch",
        "model": f"models/{batch.model}",
        **({"displayName": batch.display_name} if batch.display_name else {}),
        "inputConfig": {"fileName": f"files/{batch.input_file_id}"},
        **({"output": output} if output else {}),
        **_times(batch),
        "batchStats": _stats(batch, now, batch_s, shows_all_counts=shows_all_counts),
        "state": _state(batch, now, batch_s),
        **({"priority": str(batch.priority)} if batch.priority else {}),
        "name": name,
    }
    document: dict[str, Any] = {"name": name, "metadata": metadata}
    if not ended:
        return document
    error = _error(batch)
    if error:
        return {**document, "done": True, "error": error}
    return {**document, "done": True, "response": {"@type": TYPE + "GenerateContentBatchOutput", **(output or {})}}


def _state(batch: Batch, now: float, batch_s: float) -> str:
    if new := batch.new_state(now):
        return f"JOB_STATE_{new.upper()}"
    if batch.status == "validating" and batch.is_queued(now):
        return "JOB_STATE_QUEUED"
    if batch.status == "in_progress" and batch.is_paused(now, batch_s):
        return "JOB_STATE_PAUSED"
    if batch.status == "completed" and batch.fault("partial") and batch.cancelling_at is None:
        return "JOB_STATE_PARTIALLY_SUCCEEDED"
    return STATES[batch.status]


def _times(batch: Batch) -> dict[str, str]:
    ended_at = batch.completed_at or batch.failed_at or batch.expired_at or batch.cancelled_at
    changed_at = ended_at or batch.cancelling_at or batch.finalizing_at or batch.in_progress_at or batch.created_at
    return {
        "createTime": timestamp(batch.created_at),
        **({"endTime": timestamp(ended_at)} if ended_at else {}),
        "updateTime": timestamp(changed_at),
    }


def _stats(batch: Batch, now: float, batch_s: float, *, shows_all_counts: bool) -> dict[str, str]:
    if batch.fault("uncounted"):
        return {}
    completed = batch.completed if shows_all_counts else batch.completed // 2
    if batch.status == "in_progress":
        completed = int(batch.total * batch.share_done(now, batch_s))
    counts = {
        "requestCount": batch.total,
        "successfulRequestCount": completed,
        "failedRequestCount": batch.failed,
        "pendingRequestCount": batch.total - completed - batch.failed,
    }
    return {name: str(count) for name, count in counts.items() if count > 0}


def _error(batch: Batch) -> dict[str, Any] | None:
    """Why a batch ended badly; google-genai hides this from its users."""
    if batch.status == "failed":
        return {"code": rpc_code(batch.errors[0].code), "message": batch.errors[0].message}
    if batch.status == "expired":
        return {"code": DEADLINE_CODE, "message": "The batch has expired."}
    return {"code": INTERNAL_CODE, "message": "The batch was cancelled."} if batch.status == "cancelled" else None

"""A batch as OpenAI shows it: https://platform.openai.com/docs/api-reference/batch/object"""

import time

from vlures.sandbox.batches.batch import FINAL, Batch, BatchErrorLine, Usage

WINDOW_S = 24 * 3600


def batch_object(
    batch: Batch, batch_s: float, *, shows_results: bool = True, shows_all_counts: bool = True
) -> dict[str, object]:
    """The batch object; while the batch runs, the answered lines are counted by the clock.

    batch_s: seconds that a batch takes. shows_results: False hides the ids of the result files. shows_all_counts: False
    counts half of the answered lines.
    """
    ended = batch.status in FINAL
    shows_results = shows_results and ended
    missing_id = "" if batch.fault("empty_ids") and ended else None
    errors = {"object": "list", "data": [_error_object(error) for error in batch.errors]} if batch.errors else None
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint,
        "model": batch.model,
        "errors": errors,
        "input_file_id": batch.input_file_id,
        "completion_window": "24h",
        "status": batch.new_state(time.time()) or batch.status,
        "output_file_id": batch.output_file_id if shows_results and batch.output_file_id else missing_id,
        "error_file_id": batch.error_file_id if shows_results and batch.error_file_id else missing_id,
        "created_at": int(batch.created_at),
        "in_progress_at": _whole_s(batch.in_progress_at),
        "expires_at": int(batch.created_at) + WINDOW_S,
        "finalizing_at": _whole_s(batch.finalizing_at),
        "completed_at": _whole_s(batch.completed_at),
        "failed_at": _whole_s(batch.failed_at),
        "expired_at": _whole_s(batch.expired_at),
        "cancelling_at": _whole_s(batch.cancelling_at),
        "cancelled_at": _whole_s(batch.cancelled_at),
        "request_counts": _counts(batch, batch_s, shows_all_counts=shows_all_counts),
        "metadata": batch.metadata,
        "usage": _usage(batch.usage),
    }


def _counts(batch: Batch, batch_s: float, *, shows_all_counts: bool) -> dict[str, int]:
    if batch.fault("uncounted"):
        return {"total": 0, "completed": 0, "failed": 0}
    completed = batch.completed if shows_all_counts else batch.completed // 2
    if batch.status == "in_progress" and batch.started_at is not None:
        completed = int(batch.total * batch.share_done(time.time(), batch_s))
    return {"total": batch.total, "completed": completed, "failed": batch.failed}


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def _error_object(error: BatchErrorLine) -> dict[str, object]:
    return {"code": error.code, "line": error.line, "message": error.message, "param": error.param}


def _whole_s(moment: float | None) -> int | None:
    return None if moment is None else int(moment)

"""The life of a batch by the clock: validating, in progress, finalizing, ended.

Every state is on disk before it is shown, and every moment follows from stored times, so that another process on the
same state folder takes over where a killed one stopped.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import ParamSpec, TypeVar

from vlures.sandbox.batches.batch import FINALIZING_SHARE, VALIDATING_SHARE, Batch, BatchErrorLine
from vlures.sandbox.gemini.batch_execution import execute_gemini
from vlures.sandbox.openai.batch_execution import estimate_tokens, execute_batch
from vlures.sandbox.openai.batch_validation import validate_lines
from vlures.sandbox.state import State

MAX_CANCELLING_S = 0.5
EXECUTE = {"openai": execute_batch, "gemini": execute_gemini}

Errors = tuple[BatchErrorLine, ...]
P = ParamSpec("P")
T = TypeVar("T")


class BatchRunner:
    """Runs the unfinished batches, each in a task of its own; two threads work on their lines."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._workers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="batch")
        limit = state.settings.parallel_batches
        self._slots = asyncio.Semaphore(limit) if limit > 0 else None
        self._cancelled: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, batch: Batch) -> None:
        """Start a batch, at its creation or after a restart."""
        self._cancelled[batch.id] = asyncio.Event()
        if batch.status == "cancelling":
            self._cancelled[batch.id].set()
        task = asyncio.create_task(self._run(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def cancel(self, batch: Batch) -> Batch:
        """Start to cancel a batch that has not ended."""
        cancelling = self._state.batches.save(replace(batch, status="cancelling", cancelling_at=time.time()))
        self._cancelled[batch.id].set()
        return cancelling

    async def stop(self) -> None:
        """End all tasks; the next sandbox on the same state folder finishes their work."""
        self._state.stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._workers.shutdown(wait=True, cancel_futures=True)

    async def _run(self, batch: Batch) -> None:
        if self._slots is None:
            await self._live(batch)
            return
        slot = asyncio.create_task(self._slots.acquire())
        cancelled = asyncio.create_task(self._cancelled[batch.id].wait())
        try:
            await asyncio.wait((slot, cancelled), return_when=asyncio.FIRST_COMPLETED)
            await self._live(batch)
        finally:
            cancelled.cancel()
            if slot.done() and not slot.cancelled():
                self._slots.release()
            slot.cancel()

    async def _live(self, batch: Batch) -> None:
        batch = self._change(batch, started_at=batch.started_at or time.time())
        await self._wait(batch, VALIDATING_SHARE)
        if not await self._validated(batch):
            return
        await self._wait(batch, float("inf") if batch.fault("stuck") else FINALIZING_SHARE)
        batch = self._now(batch)
        if batch.status == "in_progress":
            batch = self._change(batch, status="finalizing", finalizing_at=time.time())
        if not batch.executed:
            batch = await self._executed(batch)
        await self._wait(batch, 1.0)
        await self._end(batch)

    def _now(self, batch: Batch) -> Batch:
        """The batch as it is stored: it may have been cancelled meanwhile."""
        return self._state.batches.find(batch.id) or batch

    def _change(self, batch: Batch, **changes: object) -> Batch:
        return self._state.batches.save(replace(self._now(batch), **changes))  # type: ignore[arg-type]

    async def _wait(self, batch: Batch, share: float) -> None:
        """Wait until this share of the batch's time has passed, or until it is cancelled."""
        cancelled = self._cancelled[batch.id]
        wait_s = self._now(batch).due(share, self._state.settings.batch_s) - time.time()
        if cancelled.is_set() or wait_s <= 0:
            return
        try:
            await asyncio.wait_for(cancelled.wait(), None if wait_s == float("inf") else wait_s)
        except TimeoutError:
            return

    async def _validated(self, batch: Batch) -> bool:
        """Validate the batch unless that is done; returns whether it goes on."""
        batch = self._now(batch)
        if batch.in_progress_at is not None or batch.status == "cancelling":
            return True
        errors = self._struck_errors(batch) or await self._found_errors(batch) or await self._queue_errors(batch)
        if errors:
            self._change(batch, status="failed", failed_at=time.time(), errors=errors)
            return False
        if self._now(batch).status == "validating":
            self._change(batch, status="in_progress", in_progress_at=time.time())
        return True

    def _struck_errors(self, batch: Batch) -> Errors:
        """The errors that the batch's own faults cause."""
        limit = batch.fault("token_limit")
        if limit:
            return (_token_limit(batch.model or "the model", self._state.settings.queue_tokens or 2_000_000),)
        failure = batch.fault("fail_batch")
        if failure:
            message = failure.option("message", "The sandbox was asked to fail this batch.")
            return (BatchErrorLine(failure.option("code", "sandbox_failure"), message),)
        return (_no_file(batch),) if batch.fault("cannot_find_file") else ()

    async def _found_errors(self, batch: Batch) -> Errors:
        file = self._state.files_of(batch.provider).find(batch.input_file_id)
        if file is None:
            return (_no_file(batch),)
        if batch.provider == "gemini":
            return ()  # checked before it was created
        lines = self._state.files.lines(file)
        models, file_ids = self._state.settings.models, batch.fault("no_file_ids_batch") is None
        found = await self.in_thread(validate_lines, lines, batch.endpoint, models, file_ids=file_ids)
        refused = bool(found.errors)
        self._change(batch, total=0 if refused else found.total, model=found.model, is_input_refused=refused)
        return found.errors

    async def _queue_errors(self, batch: Batch) -> Errors:
        """The error of a batch beyond the limit on the prompt tokens of one model's unfinished batches."""
        limit = self._state.settings.queue_tokens
        file = self._state.files.find(batch.input_file_id)
        if limit is None or file is None:  # a Gemini batch was checked before it was created
            return ()
        tokens = await self.in_thread(estimate_tokens, self._state, batch.endpoint, file)
        batch = self._change(batch, queued_tokens=tokens)
        others = [b for b in self._state.batches.unfinished() if b.id != batch.id and b.in_progress_at is not None]
        queued = sum(other.queued_tokens for other in others if other.model == batch.model)
        return (_token_limit(batch.model or "the model", limit),) if queued + tokens > limit else ()

    async def _executed(self, batch: Batch) -> Batch:
        file = self._state.files_of(batch.provider).find(batch.input_file_id)
        if file is None or batch.in_progress_at is None:  # cancelled before it started, or its file was deleted
            return self._change(batch, executed=True)
        results = await self.in_thread(EXECUTE[batch.provider], self._state, batch, file, self._share_to_answer(batch))
        return self._change(
            batch,
            executed=True,
            completed=results.completed,
            failed=results.failed,
            usage=results.usage,
            output_file_id=results.output_file_id,
            error_file_id=results.error_file_id,
        )

    def _share_to_answer(self, batch: Batch) -> float:
        if batch.cancelling_at is not None:
            return batch.share_done(batch.cancelling_at, self._state.settings.batch_s)
        ended_early = batch.fault("expire") or batch.fault("cancelled") or batch.fault("partial")
        return ended_early.number("keep", 0.5) if ended_early else 1.0

    async def _end(self, batch: Batch) -> None:
        batch = self._now(batch)
        now = time.time()
        if batch.cancelling_at is not None:
            await asyncio.sleep(min(MAX_CANCELLING_S, 0.2 * self._state.settings.batch_s))
            # Gemini completes a batch that had started, with an error for each unanswered line.
            if batch.provider == "gemini" and batch.in_progress_at is not None:
                self._change(batch, status="completed", completed_at=time.time())
            else:
                self._change(batch, status="cancelled", cancelled_at=time.time())
        elif batch.fault("cancelled"):
            self._change(batch, status="cancelled", cancelling_at=now, cancelled_at=now)
        elif batch.fault("expire"):
            self._change(batch, status="expired", expired_at=now)
        else:
            self._change(batch, status="completed", completed_at=now)

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run work on lines in one of the runner's threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, partial(work, *args, **kwargs))


def _no_file(batch: Batch) -> BatchErrorLine:
    if batch.provider == "gemini":
        return BatchErrorLine("NOT_FOUND", f"The file files/{batch.input_file_id} was not found.")
    message = f"Cannot find file {batch.input_file_id}, or organization org-sandbox does not have access to it."
    return BatchErrorLine("invalid_request", message)


def _token_limit(model: str, limit: int) -> BatchErrorLine:
    message = (
        f"Enqueued token limit reached for {model} in organization org-sandbox. Limit: {limit:,} enqueued tokens. "
        "Please try again once some in_progress batches have been completed."
    )
    return BatchErrorLine("token_limit_exceeded", message)

"""Reading the results of ended batches: look again until everything paid for is there, or the time is used up."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from vlures.backends import Observer
from vlures.backends.batch.client import BatchClient, BatchPolicy, BatchState
from vlures.backends.batch.job import BatchJob
from vlures.backends.batch.result_files import most_bytes, read_lines
from vlures.backends.batch.results import Findings, Reconciler, why_incomplete
from vlures.backends.outcomes import is_blank
from vlures.backends.retry import Patience, wait_s
from vlures.errors import NotFound, VluresError
from vlures.records import Response

SAY_AFTER_LOOKS = 3
SURE_AFTER_LOOKS = 3
"""Where an ended batch counts fewer results than it has requests, or has failures that its counts do not confirm, so
many looks in a row with the same findings show that neither counts nor files lag. Only then are requests sent again."""

HandOver = Callable[[Response, BatchJob], Awaitable[None]]


@dataclass(slots=True)
class Collection:
    """What was read of a batch's results so far."""

    state: BatchState
    reconciler: Reconciler
    lacking: str | None = None
    """Why more results must exist than could be read; None if there are none."""
    looks: int = 0
    alike: int = 0
    """Looks in a row that lacked nothing and found no more than the one before."""
    in_answers: set[str] = field(default_factory=set)
    """Keys of requests with a telling line in a file that holds answers."""


class Collector:
    """Reads the results of ended batches. hand_over: takes each answer as soon as it is read."""

    def __init__(
        self, client: BatchClient, policy: BatchPolicy, patience: Patience, observer: Observer, hand_over: HandOver
    ) -> None:
        self._client = client
        self._policy = policy
        self._patience = patience
        self._observer = observer
        self._hand_over = hand_over
        self._undeleted: set[str] = set()

    async def collect(self, job: BatchJob, state: BatchState) -> Collection:
        """Read a batch's results. Where counted results are missing, also because a download holds something else, look
        at the batch and its files again, after longer and longer pauses."""
        collection = Collection(state, Reconciler(job.digests))
        if state.problem:
            return collection
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._policy.result_patience_s
        while True:
            collection.looks += 1
            before = collection.reconciler.progress
            await self._look(job, collection)
            grew = collection.reconciler.progress != before
            collection.alike = 0 if collection.lacking else 1 if grew else collection.alike + 1
            left_s = deadline - loop.time()
            patient = self._policy.wait or not collection.lacking  # --no-wait, too, makes sure that counts do not lag
            if _is_settled(collection) or not patient or (collection.lacking and left_s <= 0):
                return collection
            if collection.lacking and collection.looks == SAY_AFTER_LOOKS:
                self._observer.say(
                    f"{state.name} has ended as {state.status}, but so far {collection.lacking}; "
                    f"looking again for up to {left_s:.0f} s."
                )
            await asyncio.sleep(
                min(wait_s(collection.looks), left_s) if collection.lacking else wait_s(collection.alike)
            )
            collection.state = await self._see_anew(collection.state)

    async def _see_anew(self, state: BatchState) -> BatchState:
        """The batch's present state, if it still says that it has ended."""
        with suppress(NotFound):
            fresh = await self._patience.call(lambda: self._client.status(state.batch_id))
            return fresh if fresh.ended else state
        return state

    async def _look(self, job: BatchJob, collection: Collection) -> None:
        """Read all results once, and decide whether they are complete."""
        state, reconciler = collection.state, collection.reconciler
        reconciler.look_again()
        absent = strange = 0
        with tempfile.TemporaryDirectory(prefix="vlures-") as folder:
            for number, file_id in enumerate(state.result_files):
                path = Path(folder) / f"{number}.jsonl"
                if not await self._download(file_id, path, collection):
                    absent += 1
                    continue
                ours = await self._read(read_lines(path), job, collection, answers=file_id != state.failures_file)
                strange += not ours
                path.unlink()
        if state.inline_lines:
            strange += not await self._read(state.inline_lines, job, collection, answers=True)
        found = Findings(
            reconciler.found, len(collection.in_answers), absent, strange, reconciler.unreadable, reconciler.blank
        )
        collection.lacking = why_incomplete(state, len(job.digests), found)
        if collection.lacking and state.inline_lines and reconciler.unreadable:
            collection.lacking += "; the results in the batch itself name no request, and their order is not reliable"

    async def _download(self, file_id: str, path: Path, collection: Collection) -> bool:
        """Whether the file is there."""
        limit = most_bytes(len(collection.reconciler.expected), path.parent)
        try:
            await self._patience.call(partial(self._client.download, file_id, path, limit))
        except NotFound:
            return False
        except OSError as error:
            raise VluresError(
                f"The results of batch {collection.state.batch_id} cannot be written to {tempfile.gettempdir()} "
                f"({error.strerror}); they are safe at the provider. Make room, or point TMPDIR elsewhere, and run "
                "again."
            ) from error
        return True

    async def _read(self, lines: Iterable[bytes], job: BatchJob, collection: Collection, *, answers: bool) -> bool:
        """Hand over the answers, line by line. True if any line says something about the batch's requests."""
        ours = False
        for line in lines:
            response = self._client.read_line(line)
            if response is not None and response.key in job.digests and not is_blank(response):
                ours = True
                if answers:
                    collection.in_answers.add(response.key)
            answer = collection.reconciler.feed(response)
            if answer is not None:
                await self._hand_over(answer, job)
        return ours

    async def delete(self, file_ids: Iterable[str]) -> None:
        """Delete files that are no longer needed. A failure does not stop the run; the same reason is said once."""
        for file_id in file_ids:
            try:
                await self._patience.call(partial(self._client.delete, file_id))
            except NotFound:
                continue
            except VluresError as error:
                if str(error) not in self._undeleted:
                    self._undeleted.add(str(error))
                    self._observer.say(
                        f"{self._client.provider} keeps the file {file_id}: {error} It expires there by itself."
                    )


def _is_settled(collection: Collection) -> bool:
    """Whether another look can show nothing new."""
    if collection.lacking:
        return False
    state, reconciler = collection.state, collection.reconciler
    # A failed line may stand before the answer to the same request, and a download may be cut between the two. Servers
    # that count failures as answered exist, too, so that the counts alone leave nothing open.
    are_confirmed = state.done > 0 and state.answered <= len(reconciler.answered)
    is_whole = not reconciler.missing and not reconciler.blank and (not reconciler.failed or are_confirmed)
    return is_whole or collection.alike >= SURE_AFTER_LOOKS

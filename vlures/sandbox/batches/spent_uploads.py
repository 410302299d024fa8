"""Uploads whose batches have ended: only a digest of each is kept.

They hold every image once for each question about it, and were nine tenths of what a rehearsal left on the disk.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from vlures.sandbox.batches.batch import FINAL, Batch, Provider
from vlures.sandbox.batches.store import BatchStore
from vlures.sandbox.file_store import FileStore


def is_spent(batches: Sequence[Batch]) -> bool:
    """Whether no client needs an upload any more. batches: those that were created from it, oldest first.

    A batch whose creation's reply was lost may be created once more, until its client has seen how it ended. One that
    could not begin, though its file is good, is created again from the same file.
    """
    return bool(batches) and all(batch.is_end_seen for batch in batches) and not batches[-1].could_not_begin


class SpentUploads:
    """Drops the content of uploads once their batches have ended and clients have seen it."""

    def __init__(self, stores: Mapping[Provider, FileStore], batches: BatchStore, *, keeps_all: bool) -> None:
        self._stores = stores
        self._batches = batches
        self._keeps_all = keeps_all
        self._tasks: set[asyncio.Task[None]] = set()

    def note_end_seen(self, batch: Batch) -> None:
        """Call when a client that knows a batch's id was shown the batch, or asked for its results."""
        if batch.status in FINAL and not batch.is_end_seen:
            batch = self._batches.save(replace(batch, is_end_seen=True))
            self._start(batch.provider, batch.input_file_id)

    def note_asked_for(self, result_file_id: str) -> None:
        """Call when a client asks for a file that may be a batch's result file."""
        for batch in self._batches.newest_first():
            if result_file_id in (batch.output_file_id, batch.error_file_id):
                self.note_end_seen(batch)
                return

    def resume(self) -> None:
        """Drop what an earlier process did not come to."""
        seen = [batch for batch in self._batches.newest_first() if batch.is_end_seen]
        for provider, file_id in dict.fromkeys((batch.provider, batch.input_file_id) for batch in seen):
            self._start(provider, file_id)

    async def finish(self) -> None:
        """Wait for what is being dropped."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, provider: Provider, file_id: str) -> None:
        if not self._keeps_all and self._is_spent(provider, file_id):
            task = asyncio.create_task(self._drop(provider, file_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _is_spent(self, provider: Provider, file_id: str) -> bool:
        batches = [batch for batch in self._batches.newest_first(provider) if batch.input_file_id == file_id]
        return is_spent(batches[::-1])

    async def _drop(self, provider: Provider, file_id: str) -> None:
        files = self._stores[provider]
        file = files.find(file_id)
        if file is None or file.is_dropped:
            return
        with suppress(OSError):  # it was deleted meanwhile, or stays whole: the next sandbox tries again
            digest = await asyncio.to_thread(files.digest, file)
            # Another batch may have been created from it while it was read.
            if files.find(file_id) is file and self._is_spent(provider, file_id):
                files.drop_content(file, digest)

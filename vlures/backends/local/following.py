"""What rank 0 reads of the other ranks while it computes and when it is done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

import msgspec

from vlures.backends.local.ranks import Meeting, Order
from vlures.errors import counted
from vlures.records import Request, Response
from vlures.store.shards import ShardReader, is_held

LOOK_EVERY_S = 0.3


class Followed:
    """The other ranks' shards."""

    def __init__(self, order: Order, meeting: Meeting, due: Sequence[Request]) -> None:
        self._missing = {one.key: one.digest for one in due if not meeting.is_ours(one)}
        self._shards = [ShardReader(order.shard_path(rank)) for rank in range(1, meeting.world)]

    def read_new(self) -> Iterator[Response]:
        """What they have answered since the last call."""
        for shard in self._shards:
            yield from self._read(shard)

    async def read_rest(self, keep_going: Callable[[], bool]) -> AsyncGenerator[Response, None]:
        """What they answer until they end, or this run is to stop."""
        while self._shards and keep_going():
            for shard in list(self._shards):
                ended = not is_held(shard.path)  # asked before reading: nothing comes after that
                for response in self._read(shard):
                    yield response
                if ended:
                    self._shards.remove(shard)
            if self._shards:
                await asyncio.sleep(LOOK_EVERY_S)

    def describe_missing(self) -> str | None:
        """A sentence if a rank has ended before its images were done."""
        if self._shards or not self._missing:
            return None
        return (
            "Another process of this run has ended before its images were done; "
            f"{counted(len(self._missing), 'request', 'is', 'are')} due again."
        )

    def _read(self, shard: ShardReader) -> Iterator[Response]:
        for line in shard.read_new():
            response = msgspec.json.decode(line, type=Response)
            if self._missing.get(response.key) == response.digest:
                del self._missing[response.key]
                yield response

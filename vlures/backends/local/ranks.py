"""The ranks of one run: processes that torchrun or `accelerate launch` has started, each for a part of the images.

Rank 0 holds the run's folder, plans, and stores. Once it knows what is due, it tells the others; from then on each
answers for its own images and writes a shard, which rank 0 reads as it grows. Nobody waits for another in between, so a
rank that dies takes only its own images along, and these are due again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from vlures.errors import Incomplete, VluresError
from vlures.records import Request
from vlures.store.shards import HeldFile

MEET_WITHIN = timedelta(hours=2)
"""Rank 0 may hash a large model and read a large store before it calls."""


@dataclass(frozen=True, slots=True)
class Order:
    """What rank 0 tells the others."""

    folder: str
    """Of the shards, absolute."""
    token: str
    """Of this launch."""

    @property
    def due_path(self) -> Path:
        """A line for each request that is due: its key, a tab, its digest. Rank 0 holds it as long as it lives."""
        return Path(self.folder) / f"{self.token}.due"

    def shard_path(self, rank: int) -> Path:
        return Path(self.folder) / f"{self.token}-rank{rank}.jsonl"


class Meeting:
    """This process among the ranks of its run."""

    def __init__(self, rank: int, world: int) -> None:
        self.rank, self.world = rank, world
        self._told = False
        self.life: HeldFile | None = None
        """Of rank 0, once it has given an order."""

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def is_ours(self, request: Request) -> bool:
        """Whether this rank answers for the request's image, or for the request if it has none."""
        digest = request.image.digest if request.image is not None else request.digest
        return int(digest[:12], 16) % self.world == self.rank

    def open(self) -> None:
        """Wait until all ranks are there. Raises VluresError if they do not come."""
        if self.world == 1:
            return
        import torch.distributed as dist

        try:
            dist.init_process_group("gloo", timeout=MEET_WITHIN)
        except (RuntimeError, ValueError) as error:
            said = str(error).strip().splitlines()[0]
            raise VluresError(
                f"The {self.world} processes of this run cannot reach each other ({said}); start them with torchrun or "
                "accelerate launch."
            ) from error

    def close(self) -> None:
        """Rank 0 lets the others go if it never had work for them."""
        if self.life is not None:
            self.life.close()
        if self.world == 1:
            return
        import torch.distributed as dist

        if not dist.is_initialized():
            return
        with suppress(RuntimeError):  # the others are gone already
            if self.leads and not self._told:
                self._tell(None)
            dist.destroy_process_group()

    def give_order(self, folder: Path, due: Iterable[Request]) -> Order:
        """Rank 0: tell the others what is due. Returns once each of them holds its shard."""
        import torch.distributed as dist

        folder.mkdir(parents=True, exist_ok=True)
        order = Order(str(folder.resolve()), secrets.token_hex(4))
        order.due_path.write_text("".join(f"{one.key}\t{one.digest}\n" for one in due), encoding="utf-8")
        self.life = HeldFile(order.due_path)
        try:
            self._tell(order)
            dist.barrier()
        except RuntimeError as error:
            raise Incomplete(
                "Another process of this run has ended before it began; see what it said, mend that and run again."
            ) from error
        return order

    def hear_order(self) -> Order | None:
        """Another rank: what rank 0 tells; None if nothing is due. Raises Incomplete if rank 0 has gone."""
        import torch.distributed as dist

        heard: list[Order | None] = [None]
        try:
            dist.broadcast_object_list(heard, src=0)
        except RuntimeError as error:
            raise Incomplete(
                "The first process of this run has ended before it said what is due; run again."
            ) from error
        return heard[0]

    def say_ready(self) -> None:
        """Another rank: the shard is held. Raises Incomplete if rank 0 has gone."""
        import torch.distributed as dist

        try:
            dist.barrier()
        except RuntimeError as error:
            raise Incomplete("The first process of this run has ended; run again.") from error

    def _tell(self, order: Order | None) -> None:
        import torch.distributed as dist

        self._told = True
        dist.broadcast_object_list([order], src=0)


ALONE = Meeting(0, 1)


def find_meeting() -> Meeting:
    """This process among the ranks, as torchrun and accelerate say it."""
    world = _number("WORLD_SIZE", 1)
    return Meeting(_number("RANK", 0), world) if world > 1 else ALONE


def read_due(order: Order) -> dict[str, str]:
    """The keys of what is due, with the digests of what rank 0 would ask."""
    lines = order.due_path.read_text(encoding="utf-8").splitlines()
    return {key: digest for key, _, digest in (line.partition("\t") for line in lines)}


def check_same(requests: Iterable[Request], due: dict[str, str]) -> Iterator[Request]:
    """Those requests that are due. Raises VluresError for one that rank 0 would ask in another way."""
    for request in requests:
        digest = due.get(request.key)
        if digest is None:
            continue
        if digest != request.digest:
            raise VluresError(
                f"This process would ask {request.key} in another way than the first one; start all with the same "
                "options, model files and kind of device."
            )
        yield request


def local_rank() -> int:
    """The process's number on its host."""
    return _number("LOCAL_RANK", 0)


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() else default

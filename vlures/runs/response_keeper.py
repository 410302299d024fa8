"""Every answer that arrives gets a place: in the store, or, while that cannot be written, in memory and in a file elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from vlures.errors import Incomplete, LockLost, NotWritable
from vlures.records import Response
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now
from vlures.store.lines import encode_line
from vlures.store.rescue import RescueFile

SYNC_EVERY_S = 1.0
PATIENCE_S = 20.0
"""How long a run that nobody watches waits for a disk before it sends nothing more, takes in what is in flight, and ends. One in a
terminal waits until it is interrupted."""


class Account(Protocol):
    """The run's money on the disk, as far as that may fail."""

    @property
    def failure(self) -> NotWritable | None: ...

    def sync(self) -> None: ...

    def try_again(self) -> None:
        """Write once more, if the last time failed."""
        ...


class Keeper:
    """Puts the answers of a run into its store.

    What the store cannot take waits in memory, and in a file elsewhere in case this process dies, and is offered to the store
    again every second. keep_going: False once the user has interrupted the run.
    """

    def __init__(
        self, store: CheckpointStore, account: Account, say: Callable[[str], None], keep_going: Callable[[], bool]
    ) -> None:
        self._store = store
        self._account = account
        self._say = say
        self._keep_going = keep_going
        self._held: deque[Response] = deque()
        self._homeless: list[bytes] = []
        """Lines that stand on no disk at all."""
        self._rescue = RescueFile(store.folder)
        self._fault: NotWritable | None = None
        self._now: Callable[[], float] = lambda: 0.0
        self._failing_since_s = 0.0
        self._lost: LockLost | None = None
        self.stopped = False
        """Nothing more is to be sent in this run."""

    def may_send(self) -> bool:
        """Whether a reservation, and the answer that comes of it, have their place."""
        if self._fault is None:
            try:
                self._check_lock()
            except NotWritable as fault:
                self._note(fault)
        return not self.stopped and self._fault is None and self._account.failure is None

    def keep_going(self) -> bool:
        """Whether the run is to go on, if only after a pause."""
        return not self.stopped and not self._is_given_up() and self._keep_going()

    def take(self, response: Response) -> bool:
        """Store a response. False if the store has its like already.

        Raises NotWritable, or LockLost, only for a response of a batch, which the provider still has.
        """
        if response.job is not None:
            self._store.guard()
            return self._store.append(response)
        response = replace(response, time=response.time or now())
        if not self._held:
            try:
                self._check_lock()
                return self._store.append(response)
            except NotWritable as fault:
                self._rescue_line(encode_line(response))
                self._held.append(response)
                self._note(fault)
                return True
        self._rescue_line(encode_line(response))
        self._held.append(response)
        return True

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While answers come: bring them to the disk every second. At the end wait until all have their place.

        Raises Incomplete if some have found none in the store, LockLost if the folder is another process's now.
        """
        trying = asyncio.create_task(self._keep_trying())
        try:
            yield
            await self._wait_for_disk()
        except BaseException:
            self._end(trying)
            if self._fault is not None:
                self._say(self._describe_end(self._fault))
            raise
        self._end(trying)
        if self._fault is not None:
            if self._keep_going():
                raise Incomplete(self._describe_end(self._fault))
            self._say(self._describe_end(self._fault))
        if self._lost is not None:
            raise self._lost

    def _check_lock(self) -> None:
        """What is in flight is stored even when the folder is another process's by now: lines of two do not mix."""
        try:
            self._store.guard()
        except LockLost as lost:
            self._lost, self.stopped = self._lost or lost, True

    async def _keep_trying(self) -> None:
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            try:
                await asyncio.to_thread(self._store.sync_all)
                await asyncio.to_thread(self._account.sync)
            except NotWritable as fault:
                self._rescue_unsynced()
                self._note(fault)
            else:
                self._put_held()

    async def _wait_for_disk(self) -> None:
        """Nothing is in flight any more."""
        while (  # noqa: ASYNC110 (no event tells that a disk is in order again)
            self._fault is not None and (self._keep_going() or self._homeless) and not self._is_given_up()
        ):
            await asyncio.sleep(SYNC_EVERY_S / 2)

    def _is_given_up(self) -> bool:
        """Whether the disk has failed for longer than anybody waits for it."""
        if self._fault is None or sys.stderr.isatty():
            return False
        return self._now() - self._failing_since_s >= PATIENCE_S

    def _end(self, trying: asyncio.Task[None]) -> None:
        """Without a pause, so that no interruption comes between."""
        trying.cancel()
        self._account.sync()
        self._put_held()
        try:
            self._store.sync()
        except NotWritable as fault:
            self._rescue_unsynced()
            self._note(fault)

    def _put_held(self) -> None:
        """Offer the store what waits for it."""
        if (failure := self._account.failure) is not None:
            self._note(failure)
        if self._fault is None:
            return
        try:
            self._check_lock()
            self._account.try_again()
            if (failure := self._account.failure) is not None:
                raise failure
            while self._held:
                self._store.append(self._held[0])
                self._held.popleft()
            self._store.sync()
        except NotWritable as fault:
            self._note(fault)
            return
        self._rescue.remove()
        self._homeless.clear()
        self._say(f"{self._fault.path} can be written again; what waited is stored.")
        self._fault = None

    def _note(self, fault: NotWritable) -> None:
        before, self._fault = self._fault, fault
        if before is None:
            self._now = asyncio.get_running_loop().time
            self._failing_since_s = self._now()
        if before is None or str(before) != str(fault):
            self._say(
                f"{fault.path} cannot be written ({fault.reason}), so nothing more is sent. Answers in flight are waited for, and "
                f"wait {self._where()} until it can be. {fault.remedy}; the run goes on then."
            )

    def _rescue_unsynced(self) -> None:
        """A disk that fails in a sync may keep nothing of what it was given since the last one."""
        for line in self._store.unsynced():
            self._rescue_line(line)

    def _rescue_line(self, line: bytes) -> None:
        if not self._rescue.keep(line):
            self._homeless.append(line)

    def _where(self) -> str:
        places = " and ".join(map(str, self._rescue.paths))
        return f"in {places}" if places else "in memory"

    def _describe_end(self, fault: NotWritable) -> str:
        """What is said of answers that have found no place in the store. Those that have none at all are said themselves."""
        for line in self._homeless:
            self._say(f"This answer is on no disk; keep this line: {line.decode().strip()}")
        if not self._rescue.paths:
            return str(fault)
        return (
            f"{fault.path} cannot be written ({fault.reason}). {self._rescue.count} answer(s) wait {self._where()}; the next run over this "
            f"folder takes them in by itself. {fault.remedy}, then run again."
        )

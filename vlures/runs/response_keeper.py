"""Keeps every answer that arrives: in the store or, while that cannot be written, in memory and in a rescue file
elsewhere."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Protocol

from vlures.errors import Incomplete, LockLost, counted
from vlures.files.writing import NotWritable
from vlures.records import Response
from vlures.store.checkpoints import CheckpointStore
from vlures.store.clock import now
from vlures.store.lines import encode_line
from vlures.store.rescue import RescueFile

SYNC_EVERY_S = 1.0
GIVE_UP_AFTER_S = 20.0
"""How long an unattended run waits for a failing disk before it ends. A run in a terminal waits until it is
interrupted."""


class Account(Protocol):
    """The run's money as written on the disk, which may fail."""

    @property
    def failure(self) -> NotWritable | None: ...

    def sync(self) -> None: ...

    def try_again(self) -> None:
        """Write again if the last attempt failed."""
        ...


class ResponseKeeper:
    """Puts the answers of a run into its store.

    Answers that the store cannot write wait in memory, and in a rescue file in case this process dies; the store is
    tried again every second. keep_going: False once the user has interrupted the run.
    """

    def __init__(
        self, store: CheckpointStore, account: Account, say: Callable[[str], None], keep_going: Callable[[], bool]
    ) -> None:
        self._store = store
        self._account = account
        self._say = say
        self._keep_going = keep_going
        self._waiting: deque[Response] = deque()
        self._unsaved_lines: list[bytes] = []
        """Lines that are on no disk at all."""
        self._rescue = RescueFile(store.folder)
        self._fault: NotWritable | None = None
        self._now: Callable[[], float] = lambda: 0.0
        self._failing_since_s = 0.0
        self._lost: LockLost | None = None
        self.stopped = False
        """This run sends nothing more."""

    def can_store(self) -> bool:
        """Whether a reservation, and the answer to it, can be written now."""
        if self._fault is None:
            try:
                self._check_lock()
            except NotWritable as fault:
                self._note(fault)
        return not self.stopped and self._fault is None and self._account.failure is None

    def keep_going(self) -> bool:
        """Whether the run continues, if only after a pause."""
        return not self.stopped and not self._is_given_up() and self._keep_going()

    def store(self, response: Response) -> bool:
        """Store a response. False if the store already has it.

        Raises NotWritable or LockLost only for a response of a batch, which the provider still has.
        """
        if response.job is not None:
            self._store.guard()
            return self._store.append(response)
        response = replace(response, time=response.time or now())
        if not self._waiting:
            try:
                self._check_lock()
                return self._store.append(response)
            except NotWritable as fault:
                self._rescue_line(encode_line(response))
                self._waiting.append(response)
                self._note(fault)
                return True
        self._rescue_line(encode_line(response))
        self._waiting.append(response)
        return True

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """While answers arrive, sync them to the disk every second. At the end, wait until all are stored.

        Raises Incomplete if some could not be stored, LockLost if another process now holds the folder.
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
        """Answers in flight are stored even if another process now holds the folder: lines of two processes do not
        mix."""
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
                self._store_waiting()

    async def _wait_for_disk(self) -> None:
        """Call it once nothing is in flight."""
        while (  # noqa: ASYNC110 (no event tells that a disk works again)
            self._fault is not None and (self._keep_going() or self._unsaved_lines) and not self._is_given_up()
        ):
            await asyncio.sleep(SYNC_EVERY_S / 2)

    def _is_given_up(self) -> bool:
        """Whether the disk has failed for too long."""
        if self._fault is None or sys.stderr.isatty():
            return False
        return self._now() - self._failing_since_s >= GIVE_UP_AFTER_S

    def _end(self, trying: asyncio.Task[None]) -> None:
        """Runs without awaiting, so that no interruption comes between."""
        trying.cancel()
        self._account.sync()
        self._store_waiting()
        try:
            self._store.sync()
        except NotWritable as fault:
            self._rescue_unsynced()
            self._note(fault)

    def _store_waiting(self) -> None:
        """Store the waiting responses, if the disk works again."""
        if (failure := self._account.failure) is not None:
            self._note(failure)
        if self._fault is None:
            return
        try:
            self._check_lock()
            self._account.try_again()
            if (failure := self._account.failure) is not None:
                raise failure
            while self._waiting:
                self._store.append(self._waiting[0])
                self._waiting.popleft()
            self._store.sync()
        except NotWritable as fault:
            self._note(fault)
            return
        self._rescue.remove()
        self._unsaved_lines.clear()
        self._say(f"{self._fault.path} can be written again; the waiting answers are stored.")
        self._fault = None

    def _note(self, fault: NotWritable) -> None:
        before, self._fault = self._fault, fault
        if before is None:
            self._now = asyncio.get_running_loop().time
            self._failing_since_s = self._now()
        if before is None or str(before) != str(fault):
            self._say(
                f"{fault.path} cannot be written ({fault.reason}), so nothing more is sent. Answers in flight are "
                f"still received and kept {self._where()} until it can. {fault.remedy}; then the run continues."
            )

    def _rescue_unsynced(self) -> None:
        """A disk that fails in a sync may have lost everything written since the last one."""
        for line in self._store.unsynced():
            self._rescue_line(line)

    def _rescue_line(self, line: bytes) -> None:
        if not self._rescue.keep(line):
            self._unsaved_lines.append(line)

    def _where(self) -> str:
        places = " and ".join(map(str, self._rescue.paths))
        return f"in {places}" if places else "in memory"

    def _describe_end(self, fault: NotWritable) -> str:
        """What happened to the answers that could not be stored. Those that are on no disk are printed."""
        for line in self._unsaved_lines:
            self._say(f"This answer is on no disk; keep this line: {line.decode().strip()}")
        if not self._rescue.paths:
            return str(fault)
        return (
            f"{fault.path} cannot be written ({fault.reason}). {counted(self._rescue.count, 'answer', 'is', 'are')} "
            f"kept {self._where()}; the next run over this folder stores them by itself. {fault.remedy}, then run "
            "again."
        )

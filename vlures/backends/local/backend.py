"""The backend of models on this machine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import chain
from pathlib import Path

from vlures.backends import Journal
from vlures.backends.local.families import Family, Loaded, find_family
from vlures.backends.local.following import Followed
from vlures.backends.local.generation import Generator, ReadGroup, read_group
from vlures.backends.local.grouping import AskedTogether, group, with_due
from vlures.backends.local.loading import load
from vlures.backends.local.model_files import find_model
from vlures.backends.local.ranks import ALONE, Meeting
from vlures.backends.threads import in_daemon_thread
from vlures.config.sections import BackendOptions
from vlures.errors import VluresError
from vlures.records import Deferred, Request, Response

ROWS_ON_GPU, ROWS_ON_CPU = 64, 16
READ_AHEAD = 3
"""Groups whose images are read while the model computes another."""
READERS = 4
MOST_HELD = 200
"""Failures in a row that wait for an answer."""

Due = tuple[AskedTogether, frozenset[str]]


class LocalBackend:
    """Answers image by image with a model on this machine."""

    def __init__(
        self,
        options: BackendOptions,
        everything: Callable[[], Iterable[Request]],
        keep_going: Callable[[], bool],
        *,
        say: Callable[[str], None],
        in_flight: Callable[[int], None] = lambda _: None,
        meeting: Meeting = ALONE,
        shards: Path | None = None,
    ) -> None:
        """everything, keep_going, shards: as Setup has them. meeting: this process among those of the run."""
        self._options, self._everything, self._keep_going = options, everything, keep_going
        self._say, self._in_flight = say, in_flight
        self._meeting, self._shards = meeting, shards

    async def generate(
        self,
        requests: Iterable[Request],
        journal: Journal,  # noqa: ARG002 (nothing is under way elsewhere)
    ) -> AsyncGenerator[Response | Deferred, None]:
        """Raises what `load` raises."""
        unread = iter(requests)
        first = next(unread, None)
        if first is None:
            return
        due: Iterable[Request] = chain([first], unread)
        if self._meeting.world == 1 or not self._meeting.leads:
            async for response in self.answer(due):
                yield response
            return
        assert self._shards is not None
        due = list(due)
        order = await in_daemon_thread(partial(self._meeting.give_order, self._shards, due))
        followed = Followed(order, self._meeting, due)
        async for response in self.answer([one for one in due if self._meeting.is_ours(one)]):
            yield response
            for others in followed.read_new():
                yield others
        async for others in followed.read_rest(self._keep_going):
            yield others
        if sentence := followed.describe_missing():
            self._say(sentence)

    async def answer(self, due: Iterable[Request]) -> AsyncGenerator[Response, None]:
        """Responses to requests that are due, all of this rank's images."""
        unread = iter(due)
        first = next(unread, None)
        if first is None:
            return
        parameters = self._options.target.parameters
        loaded = await in_daemon_thread(self._load)
        family = find_family(loaded, parameters["max_output_tokens"])
        generator = Generator(family, _decoder(loaded), self._say)
        groups = with_due(group(self._ours(), self._most_rows(loaded)), chain([first], unread))
        pool = ThreadPoolExecutor(READERS, thread_name_prefix="vlures images")
        held = _HeldFailures()
        try:
            for reading, keys in _read_ahead(groups, family, pool):
                if not self._keep_going():
                    break
                self._in_flight(len(keys))
                read = await asyncio.wrap_future(reading)
                for response in await in_daemon_thread(partial(generator.answer, read, keys, parameters)):
                    for ready in held.release(response):
                        yield ready
                if family.note:
                    self._say(family.note)
                    family.note = ""
            for response in held.rest():
                yield response
        finally:
            self._in_flight(0)
            pool.shutdown(wait=False, cancel_futures=True)

    def _load(self) -> Loaded:
        target = self._options.target
        self._say(f"Loading {target.model} …")
        files = find_model(target.model)
        if files.identity != target.parameters["model_files"]:
            raise VluresError(f"The files of {target.model} have changed since this run began; run again.")
        return load(files, target.parameters["dtype"], self._options.provider)

    def _ours(self) -> Iterator[Request]:
        return (one for one in self._everything() if self._meeting.is_ours(one))

    def _most_rows(self, loaded: Loaded) -> int:
        given: int | None = self._options.provider.rows
        return given or (ROWS_ON_CPU if loaded.device.type == "cpu" else ROWS_ON_GPU)


class _HeldFailures:
    """Failures before the first answer wait for it: many questions about one bad image are no sign that all will
    fail."""

    def __init__(self) -> None:
        self._held: list[Response] = []
        self._any_answered = False

    def release(self, response: Response) -> list[Response]:
        """What may be told now."""
        self._any_answered = self._any_answered or response.status != "failed"
        self._held.append(response)
        return self.rest() if self._any_answered or len(self._held) >= MOST_HELD else []

    def rest(self) -> list[Response]:
        """All that is held, answers first."""
        held, self._held = self._held, []
        return sorted(held, key=lambda response: response.status == "failed")


def _read_ahead(
    due: Iterator[Due], family: Family, pool: ThreadPoolExecutor
) -> Iterator[tuple[Future[ReadGroup], frozenset[str]]]:
    """Groups as they are read in the pool, a few ahead of the one that is taken."""
    waiting: deque[tuple[Future[ReadGroup], frozenset[str]]] = deque()
    for together, keys in due:
        waiting.append((pool.submit(read_group, family, together), keys))
        if len(waiting) > READ_AHEAD:
            yield waiting.popleft()
    yield from waiting


def _decoder(loaded: Loaded) -> Callable[[Sequence[int]], str]:
    tokenizer = loaded.processor.tokenizer

    def decode(ids: Sequence[int]) -> str:
        text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
        return text

    return decode

"""OpenAI's Batch API: its calls as the batch driver needs them.

Sources: the SDK's own reference texts (openai 3.54), the Batch guide of 2026-09.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, cast

import httpx2
from openai import APIStatusError, AsyncOpenAI, BadRequestError, ConflictError, OpenAI

from vlures.backends import MOST_CONNECTIONS, Journal, Observer
from vlures.backends.batch.accounts import SANDBOX_ACCOUNT, describe_account
from vlures.backends.batch.client import BatchState, Lifetimes
from vlures.backends.batch.shards import Line, ShardFile
from vlures.backends.clients import Bounded, BoundedAsync, client_options
from vlures.backends.openai.batch_results import TAG, read_batch, read_expiry, read_file_id, read_result_line, read_tag
from vlures.backends.openai.bodies import Bodies
from vlures.backends.openai.errors import PROVIDER, Errors
from vlures.backends.openai.image_files import LIFETIME_S, ImageFiles
from vlures.backends.openai.image_parts import split_body
from vlures.backends.replies import (
    LONGEST_CALL_S,
    LONGEST_CREATION_S,
    PROGRESS_WINDOW_S,
    Download,
    is_refused_for_size,
    while_moving,
    within,
)
from vlures.backends.retry import Patience
from vlures.backends.threads import in_daemon_thread
from vlures.errors import NotFound
from vlures.images import read_bytes
from vlures.records import Image, Request, Response
from vlures.store.clock import now

MOST_LINES = 50_000

WAITS = httpx2.Timeout(PROGRESS_WINDOW_S, connect=30.0)
"""How long a connection may stay silent. The limit of a whole call is separate."""
KEPT_CONNECTIONS = 100


def write_line(request: Request, bodies: Bodies) -> Line:
    """A request's line in a batch's file."""
    body = bodies.build(request)
    content = {"custom_id": request.key, "method": "POST", "url": bodies.endpoint.path, "body": body}
    line = split_body(content, request.image)
    if line.tail is None:
        return Line(line.head + b"\n", None)
    return Line(line.head, line.tail + b"\n")


class OpenAIBatch:
    """The Batch API's calls, as the batch driver needs them."""

    provider = PROVIDER
    lifetimes = Lifetimes(batch=timedelta(hours=24), input=timedelta(days=30), results=timedelta(days=30))

    def __init__(
        self,
        options: Mapping[str, Any],
        bodies: Bodies,
        journal: Journal,
        patience: Patience,
        observer: Observer,
        timeout_s: float | None = None,
        *,
        connections: int = MOST_CONNECTIONS,
        is_sandbox: bool = False,
    ) -> None:
        """options: of the SDK's clients. timeout_s: of a call that moves no file, if shorter than usual. is_sandbox:
        the account is the same although the address differs in every process."""
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=min(connections, KEPT_CONNECTIONS)
        )
        way = client_options(options["base_url"])
        self._client = AsyncOpenAI(**options, http_client=BoundedAsync(**way, limits=limits, timeout=WAITS))
        self._uploader = OpenAI(**options, http_client=Bounded(**way, limits=limits, timeout=WAITS))
        self._call_s = min(timeout_s or LONGEST_CALL_S, LONGEST_CALL_S)
        self._creation_s = min(timeout_s or LONGEST_CREATION_S, LONGEST_CREATION_S)
        self.account = SANDBOX_ACCOUNT if is_sandbox else account_of(self._client)
        self._bodies = bodies
        self._journal = journal
        self._patience = patience
        self._observer = observer
        self._form = f"file ids in batches at {self._client.base_url}"
        bodies.files = ImageFiles(self._upload_image, journal, account_of(self._client))
        known = journal.recall(self._form)
        if bodies.transport == "file" and known and not known["works"]:
            self._send_inline(f" on {known['time'][:10]}", known["reason"])

    # The form of a line

    @property
    def needs_trial(self) -> bool:
        """Whether batches take images by file ids is documented nowhere: until one did, a line goes first."""
        return self._bodies.transport == "file" and not self._journal.recall(self._form)

    def end_trial(self, outcome: Response) -> bool:
        """Take the outcome of the line that went first. True: lines have another form now, and it is sent again."""
        if outcome.error is None or outcome.status != "failed":
            self._journal.remember(self._form, {"works": True, "reason": "", "time": now()})
            return False
        if outcome.error.transient:
            return False
        reason = outcome.error.message
        if "file" in reason.lower():  # else it may be about this one request
            self._journal.remember(self._form, {"works": False, "reason": reason, "time": now()})
        self._send_inline("", reason)
        return True

    def _send_inline(self, when: str, reason: str) -> None:
        self._bodies.transport = "inline"
        self._observer.say(f"Images go inline: {PROVIDER} refused a batch that names them by file ids{when} ({reason})")

    async def place_images(self, requests: Iterable[Request]) -> None:
        if self._bodies.transport == "file" and self._bodies.files is not None:
            await self._bodies.files.place_all(requests, self._patience.call)

    async def _upload_image(self, image: Image) -> tuple[str, float | None]:
        return await within(PROGRESS_WINDOW_S, upload_image(self._client, image))

    def write_line(self, request: Request) -> Line:
        return write_line(request, self._bodies)

    # The calls

    async def upload(self, file: ShardFile) -> str:
        """Stream a shard, in a thread of its own: the SDK sends a file in pieces of 64 KB, and each costs an event loop
        many times what it costs a thread. Cancelled, this closes the file, which ends the thread."""

        def send() -> Any:
            return self._uploader.files.create(file=(file.name, cast("IO[bytes]", file)), purpose="batch")

        with Errors():
            try:
                uploaded = await while_moving(lambda: file.bytes_read, in_daemon_thread(send))
            except (asyncio.CancelledError, TimeoutError):
                file.close()
                raise
            return read_file_id(uploaded)

    async def create(self, file_id: str, tag: str) -> BatchState:
        with Errors(creating=True):
            creation = self._client.batches.create(
                input_file_id=file_id,
                endpoint=cast("Any", self._bodies.endpoint.path),
                completion_window="24h",
                metadata={TAG: tag},
            )
            try:
                return read_batch(await within(self._creation_s, creation))
            except APIStatusError as error:
                if not is_refused_for_size(error.status_code, str(error)):
                    raise
                return BatchState("", "refused", ended=True, problem="too large", reason=str(error))

    async def find(self, tag: str) -> tuple[BatchState, ...]:
        with Errors():
            found: list[BatchState] = []
            page = await within(self._call_s, self._client.batches.list(limit=100))
            while True:
                found += [read_batch(batch) for batch in page.data or [] if read_tag(batch) == tag]
                if not page.has_next_page():
                    return tuple(found)
                page = await within(self._call_s, page.get_next_page())

    async def status(self, batch_id: str) -> BatchState:
        with Errors():
            return read_batch(await within(self._call_s, self._client.batches.retrieve(batch_id)))

    async def cancel(self, batch_id: str) -> None:
        """It stays `cancelling` for up to ten minutes. A 409 or 400 means that it has ended already."""
        with Errors(), suppress(ConflictError, BadRequestError):
            await within(self._call_s, self._client.batches.cancel(batch_id))

    async def download(self, file_id: str, path: Path, most_bytes: int) -> None:
        with Errors(passing=ConflictError), _not_there_yet(), Download(path, most_bytes) as download:
            await while_moving(download.tell, self._stream(file_id, download))

    async def _stream(self, file_id: str, download: Download) -> None:
        async with self._client.files.with_streaming_response.content(file_id) as reply:
            async for piece in reply.iter_bytes():
                download.write(piece)

    async def delete(self, file_id: str) -> None:
        with Errors():
            await within(self._call_s, self._client.files.delete(file_id))

    def read_line(self, line: bytes) -> Response | None:
        response = read_result_line(line, self._bodies.endpoint, keep_think_tags=self._bodies.keep_think_tags)
        if response is None or response.error is None:
            if response is not None:
                self._bodies.names.prove()
            return response
        error = response.error
        code = error.code.rpartition(" ")[2]
        if self._bodies.names.take_other({"message": error.message, "code": code}):
            return replace(response, error=replace(error, transient=True))
        return self._bodies.files.forget_gone(response) if self._bodies.files else response

    async def close(self) -> None:
        await self._client.close()
        self._uploader.close()


def account_of(client: AsyncOpenAI) -> str:
    """The account's name, without its key."""
    names = {"organization": client.organization, "project": client.project, "key": client.api_key}
    return describe_account(str(client.base_url), names)


async def upload_image(client: AsyncOpenAI, image: Image) -> tuple[str, float | None]:
    """Upload an image for requests to name. Returns its file's id and when that expires, in seconds since the epoch.

    Raises Retry and VluresError.
    """
    data = await asyncio.to_thread(read_bytes, image)
    name = f"{image.digest[:16]}.{image.mime_type.removeprefix('image/')}"
    with Errors(image=image.path):
        uploaded = await client.files.create(
            file=(name, data, image.mime_type),
            purpose="vision",
            expires_after={"anchor": "created_at", "seconds": LIFETIME_S},
        )
        return read_file_id(uploaded), read_expiry(uploaded)


@contextmanager
def _not_there_yet() -> Iterator[None]:
    """A file that the server still works on counts as not found, like an unknown one."""
    try:
        yield
    except ConflictError as error:
        raise NotFound(str(error)) from error

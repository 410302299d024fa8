"""OpenAI's Batch API: its calls as the batch driver needs them, what a batch and a result line say.

Sources: the SDK's own reference texts (openai 3.54), the Batch guide of 2026-09.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

import httpx2
from openai import AsyncOpenAI, BadRequestError, ConflictError, OpenAI

from vlures.backends import MOST_CONNECTIONS, Journal, Observer
from vlures.backends.batch.accounts import describe_account
from vlures.backends.batch.client import BatchState, JobProblem, Lifetimes
from vlures.backends.batch.shards import Line, ShardFile
from vlures.backends.clients import Bounded, BoundedAsync
from vlures.backends.lenient_json import as_count, as_object, as_objects, as_text, decode_object
from vlures.backends.openai.bodies import ENDPOINTS, Bodies, Endpoint
from vlures.backends.openai.errors import NO_CREDIT, PROVIDER, Errors, UnreadableReply, read_failure
from vlures.backends.openai.image_files import LIFETIME_S, ImageFiles
from vlures.backends.openai.pictures import split_body
from vlures.backends.outcomes import blank_result
from vlures.backends.replies import (
    LONGEST_CALL_S,
    LONGEST_CREATION_S,
    PROGRESS_WINDOW_S,
    Download,
    while_moving,
    within,
)
from vlures.backends.retry import Patience
from vlures.backends.threads import in_daemon_thread
from vlures.errors import NotFound
from vlures.images import read_bytes
from vlures.records import Failure, Image, Request, Response
from vlures.store.checkpoints import now

MOST_LINES = 50_000
HTTP_OK = 200
TAG = "vlures"
"""The key of our tag in a batch's metadata."""

WAITS = httpx2.Timeout(PROGRESS_WINDOW_S, connect=30.0)
"""How long a connection may stay silent; how long a whole call may take is counted around it."""
KEPT_CONNECTIONS = 100

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
UNDER_WAY = frozenset({"validating", "in_progress", "finalizing", "cancelling"})


def write_line(request: Request, bodies: Bodies) -> Line:
    """A request's line of a batch's file."""
    body = bodies.build(request)
    line = split_body({"custom_id": request.key, "method": "POST", "url": bodies.endpoint.path, "body": body})
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
        """options: of the SDK's clients. timeout_s: of a call that moves no file, if it is to be shorter than usual.
        is_sandbox: its address is another in every process, and it is the same all the same."""
        limits = httpx2.Limits(
            max_connections=connections, max_keepalive_connections=min(connections, KEPT_CONNECTIONS)
        )
        self._client = AsyncOpenAI(**options, http_client=BoundedAsync(limits=limits, timeout=WAITS))
        self._uploader = OpenAI(**options, http_client=Bounded(limits=limits, timeout=WAITS))
        self._call_s = min(timeout_s or LONGEST_CALL_S, LONGEST_CALL_S)
        self._creation_s = min(timeout_s or LONGEST_CREATION_S, LONGEST_CREATION_S)
        self.account = "the sandbox" if is_sandbox else account_of(self._client)
        self._bodies = bodies
        self._journal = journal
        self._patience = patience
        self._observer = observer
        self._form = f"file ids in batches at {self._client.base_url}"
        bodies.files = ImageFiles(self._upload_picture, journal, account_of(self._client))
        known = journal.recall(self._form)
        if bodies.transport == "file" and known and not known["works"]:
            self._send_inline(f" on {known['time'][:10]}", known["reason"])

    # The form of a line

    @property
    def needs_trial(self) -> bool:
        """Whether batches take pictures by the ids of files is documented nowhere: until one did, a line goes first."""
        return self._bodies.transport == "file" and not self._journal.recall(self._form)

    def end_trial(self, outcome: Response) -> bool:
        """What came of the line that went first. True: lines have another form now, and it is to go again."""
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
        self._observer.say(
            f"Pictures go inline: {PROVIDER} refused a batch that names them by the ids of their files{when} ({reason})"
        )

    async def place_images(self, requests: Iterable[Request]) -> None:
        if self._bodies.transport == "file" and self._bodies.files is not None:
            await self._bodies.files.place_all(requests, self._patience.call)

    async def _upload_picture(self, image: Image) -> tuple[str, float | None]:
        return await within(PROGRESS_WINDOW_S, upload_picture(self._client, image))

    def write_line(self, request: Request) -> Line:
        return write_line(request, self._bodies)

    # The calls

    async def upload(self, file: ShardFile) -> str:
        """Stream a shard, in a thread of its own: the SDK sends a file in pieces of 64 KB, and a piece costs an event
        loop many times what it costs a thread. Cancelled, it closes the file, which ends the thread."""

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
            return read_batch(await within(self._creation_s, creation))

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
        """It goes on as `cancelling` for up to ten minutes. One that has ended cannot be cancelled, says a 409 or 400."""
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
        return self._bodies.files.mend(response) if response and self._bodies.files else response

    async def close(self) -> None:
        await self._client.close()
        self._uploader.close()


def account_of(client: AsyncOpenAI) -> str:
    """What tells the files of one account from another's, without showing the key."""
    names = {"organization": client.organization, "project": client.project, "key": client.api_key}
    return describe_account(str(client.base_url), names)


async def upload_picture(client: AsyncOpenAI, image: Image) -> tuple[str, float | None]:
    """Upload a picture for requests to name: its file's id, and when that expires. Raises Retry and VluresError."""
    data = await asyncio.to_thread(read_bytes, image)
    name = f"{image.digest[:16]}.{image.mime_type.removeprefix('image/')}"
    with Errors(picture=image.path):
        uploaded = await client.files.create(
            file=(name, data, image.mime_type),
            purpose="vision",
            expires_after={"anchor": "created_at", "seconds": LIFETIME_S},
        )
        return read_file_id(uploaded), as_count(_dump(uploaded).get("expires_at"))


def _dump(reply: Any) -> dict[str, Any]:
    """The JSON of an SDK's object. The SDK hands over whatever came, be it a page of HTML as a str."""
    return as_object(reply.model_dump()) if hasattr(reply, "model_dump") else {}


def read_tag(reply: Any) -> str | None:
    """Our tag of a batch, if it has one."""
    return as_text(as_object(_dump(reply).get("metadata")).get(TAG))


@contextmanager
def _not_there_yet() -> Iterator[None]:
    """A file that the server still works on is not there, as one that it does not know."""
    try:
        yield
    except ConflictError as error:
        raise NotFound(str(error)) from error


def read_file_id(reply: Any) -> str:
    file_id = as_text(_dump(reply).get("id"))
    if file_id is None:
        raise UnreadableReply("an upload's reply without an id")
    return file_id


def read_batch(reply: Any) -> BatchState:
    """A batch object as the driver wants it. Both file ids may be null or empty.

    Raises UnreadableReply if it has no id or no status.
    """
    batch = _dump(reply)
    batch_id, status = as_text(batch.get("id")), as_text(batch.get("status"))
    if batch_id is None or status is None:
        raise UnreadableReply("a batch without an id or a status")
    counts = as_object(batch.get("request_counts"))
    failures_file = as_text(batch.get("error_file_id"))
    files = tuple(filter(None, (as_text(batch.get("output_file_id")), failures_file)))
    answered, failed = (as_count(counts.get(name)) or 0 for name in ("completed", "failed"))
    answered, failed = max(0, answered), max(0, failed)
    total = as_count(counts.get("total")) or 0
    errors = as_objects(as_object(batch.get("errors")).get("data"))
    problem: JobProblem | None = None
    reason = ""
    if status == "failed" and not files and not answered:
        reason = "; ".join(dict.fromkeys(map(_batch_error, errors))) or "no reason was given"
        if any(error.get("code") == "token_limit_exceeded" for error in errors):
            problem = "queue full"
        elif "cannot find file" in reason.lower():
            problem = "file not visible"
        else:
            problem = "refused"
    return BatchState(
        batch_id=batch_id,
        status=status,
        ended=status in ENDED,
        is_known=status in ENDED | UNDER_WAY,
        done=answered + failed,
        answered=answered,
        total=total,
        # A batch that expires has a line for each request, too; but where requests are counted, those counts say more.
        is_exhaustive=status == "completed" or (status == "expired" and total == 0),
        is_uncounted=total == 0 and bool(as_count(batch.get("in_progress_at"))),
        result_files=files,
        failures_file=failures_file,
        problem=problem,
        reason=reason,
        resubmit=status != "cancelled",
        deadline=_read_moment(batch.get("expires_at")),
    )


def _read_moment(seconds: object) -> datetime | None:
    """A time since 1970, where it is one."""
    try:
        return datetime.fromtimestamp(as_count(seconds) or 0, UTC) if seconds else None
    except (OverflowError, OSError, ValueError):
        return None


def _batch_error(error: Mapping[str, Any]) -> str:
    where = f" (line {error['line']})" if error.get("line") else ""
    return f"{error.get('code')}: {error.get('message')}{where}"


def read_result_line(line: bytes, endpoint: Endpoint, *, keep_think_tags: bool = False) -> Response | None:
    """What a line of an output or error file says of its request; None if nothing can be made of it.

    endpoint: the one that is asked today. A batch of an earlier run may have asked the other, which its answers show.
    keep_think_tags: leave thinking that stands in the text there.
    Failures come in two shapes: an API error in `response.body.error`, or `response: null` with `error`.
    """
    content = decode_object(line) or {}
    key = as_text(content.get("custom_id"))
    if key is None:
        return None
    reply = content.get("response")
    if not isinstance(reply, dict):
        error = content.get("error")
        return read_failure(key, _line_failure(error, 0)) if error else blank_result(key)
    status_code = as_count(reply.get("status_code")) or 0
    body = reply.get("body")
    body = (decode_object(body) or {}) if isinstance(body, str) else as_object(body)
    error = body.get("error") or content.get("error")
    if not body and not error and as_count(reply.get("status_code")) in (None, HTTP_OK):
        return blank_result(key)
    answered = bool(body.get("choices")) or (not error and (status_code == HTTP_OK or bool(body.get("output"))))
    if answered:
        return _find_endpoint(body, endpoint).read(key, body, keep_think_tags=keep_think_tags)
    return read_failure(key, _line_failure(error, status_code))


def _find_endpoint(body: Mapping[str, Any], asked: Endpoint) -> Endpoint:
    """The endpoint whose answer a body is."""
    if body.get("object") == "response" or ("output" in body and "choices" not in body):
        return ENDPOINTS["responses"]
    if body.get("object") == "chat.completion" or "choices" in body:
        return ENDPOINTS["chat"]
    return asked


def _line_failure(error: Any, status_code: int) -> Failure:
    known = as_object(error)
    code = str(known.get("code") or known.get("type") or status_code or "no code")
    message = str(known.get("message") or (error if isinstance(error, str) else "") or "no reason was given")
    transient = (
        status_code in (0, 408, 409, 429) or status_code >= 500 or code in ("batch_expired", "rate_limit_exceeded")
    ) and code not in NO_CREDIT
    return Failure(f"{status_code} {code}" if status_code else code, message, transient)

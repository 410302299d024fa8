"""OpenAI's Batch API: its calls as the batch driver needs them, what a batch and a result line say.

Sources: the SDK's own reference texts (openai 3.54), the Batch guide of 2026-09.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, cast

from openai import AsyncOpenAI, BadRequestError, ConflictError, OpenAI

from vlures.backends import Journal, Observer
from vlures.backends.batch import BatchState, JobProblem, Lifetimes
from vlures.backends.openai.bodies import ENDPOINTS, Bodies, Endpoint
from vlures.backends.openai.errors import NO_CREDIT, PROVIDER, Errors, UnreadableReply, read_failure
from vlures.backends.openai.image_files import LIFETIME_S, ImageFiles
from vlures.backends.openai.pictures import split_body
from vlures.backends.patience import Patience
from vlures.backends.shards import Line, ShardFile
from vlures.backends.threads import in_daemon_thread
from vlures.backends.wire import as_count, as_object, as_objects, as_text, decode_object
from vlures.images import read_bytes
from vlures.records import Failure, Image, Request, Response
from vlures.store import now

MOST_LINES = 50_000
MOST_BYTES = 200_000_000
HTTP_OK = 200
TAG = "vlures"
"""The key of our tag in a batch's metadata."""

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


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
        self, options: Mapping[str, Any], bodies: Bodies, journal: Journal, patience: Patience, observer: Observer
    ) -> None:
        """options: of the SDK's clients."""
        self._client = AsyncOpenAI(**options)
        self._uploader = OpenAI(**options)
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
        return await upload_picture(self._client, image)

    def write_line(self, request: Request) -> Line:
        return write_line(request, self._bodies)

    # The calls

    async def upload(self, file: ShardFile) -> str:
        """Stream a shard, in a thread of its own: the SDK sends a file in pieces of 64 KB, and a piece costs an event
        loop many times what it costs a thread. Cancelled, it closes the file, which ends the thread."""
        with Errors():
            try:
                uploaded = await in_daemon_thread(
                    lambda: self._uploader.files.create(file=(file.name, cast("IO[bytes]", file)), purpose="batch")
                )
            except asyncio.CancelledError:
                file.close()
                raise
            return read_file_id(uploaded)

    async def create(self, file_id: str, tag: str) -> BatchState:
        with Errors(creating=True):
            batch = await self._client.batches.create(
                input_file_id=file_id,
                endpoint=cast("Any", self._bodies.endpoint.path),
                completion_window="24h",
                metadata={TAG: tag},
            )
            return read_batch(batch)

    async def find(self, tag: str) -> BatchState | None:
        with Errors():
            async for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get(TAG) == tag:
                    return read_batch(batch)
        return None

    async def status(self, batch_id: str) -> BatchState:
        with Errors():
            return read_batch(await self._client.batches.retrieve(batch_id))

    async def cancel(self, batch_id: str) -> None:
        """It goes on as `cancelling` for up to ten minutes. One that has ended cannot be cancelled, says a 409 or 400."""
        with Errors(), suppress(ConflictError, BadRequestError):
            await self._client.batches.cancel(batch_id)

    async def download(self, file_id: str, path: Path) -> None:
        with Errors():
            async with self._client.files.with_streaming_response.content(file_id) as reply:
                await reply.stream_to_file(path)

    async def delete(self, file_id: str) -> None:
        with Errors():
            await self._client.files.delete(file_id)

    def read_line(self, line: bytes) -> Response | None:
        response = read_result_line(line, self._bodies.endpoint)
        return self._bodies.files.mend(response) if response and self._bodies.files else response

    async def close(self) -> None:
        await self._client.close()
        self._uploader.close()


def account_of(client: AsyncOpenAI) -> str:
    """What tells the files of one account from another's, without showing the key."""
    who = f"{client.api_key} {client.organization} {client.project}"
    return f"{client.base_url} as {hashlib.sha256(who.encode()).hexdigest()[:8]}"


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
    files = tuple(filter(None, (as_text(batch.get(key)) for key in ("output_file_id", "error_file_id"))))
    errors = as_objects(as_object(batch.get("errors")).get("data"))
    problem: JobProblem | None = None
    reason = ""
    if status == "failed" and not files:
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
        done=(as_count(counts.get("completed")) or 0) + (as_count(counts.get("failed")) or 0),
        total=as_count(counts.get("total")) or 0,
        result_files=files,
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


def read_result_line(line: bytes, endpoint: Endpoint) -> Response | None:
    """What a line of an output or error file says of its request; None if nothing can be made of it.

    endpoint: the one that is asked today. A batch of an earlier run may have asked the other, which its answers show.
    Failures come in two shapes: an API error in `response.body.error`, or `response: null` with `error`.
    """
    content = decode_object(line) or {}
    key = as_text(content.get("custom_id"))
    if key is None:
        return None
    reply = content.get("response")
    if not isinstance(reply, dict):
        return read_failure(key, _line_failure(content.get("error"), 0))
    status_code = as_count(reply.get("status_code")) or 0
    body = reply.get("body")
    body = (decode_object(body) or {}) if isinstance(body, str) else as_object(body)
    error = body.get("error") or content.get("error")
    if not error and (status_code == HTTP_OK or body.get("choices") or body.get("output")):
        return _find_endpoint(body, endpoint).read(key, body)
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

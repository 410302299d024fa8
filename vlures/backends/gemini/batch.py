"""Gemini's Batch API and the files it reads from: its calls as the batch driver needs them.

Sources: google-genai 3.6 and the guide to the Batch API (2026-11). Calls go through the SDK's asynchronous client,
which can be stopped in the middle of one; uploads through its synchronous one, in threads, because the other reads a
file's parts in the event loop.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from google import genai
from google.genai import types
from google.genai.errors import APIError, ClientError

from vlures.backends import MOST_CONNECTIONS
from vlures.backends.batch.client import BatchState, Lifetimes
from vlures.backends.batch.shards import Line, ShardFile
from vlures.backends.clients import Bounded, BoundedAsync, client_options
from vlures.backends.gemini.batch_errors import Errors, UnreadableReply, read_refusal
from vlures.backends.gemini.content import build_content, split_content
from vlures.backends.gemini.errors import PROVIDER
from vlures.backends.gemini.facts import ADDRESS
from vlures.backends.gemini.results import read_batch, read_result_line
from vlures.backends.gemini.versions import ApiVersion
from vlures.backends.lenient_json import as_text
from vlures.backends.replies import (
    LONGEST_CALL_S,
    LONGEST_CREATION_S,
    PROGRESS_WINDOW_S,
    Download,
    while_moving,
    within,
)
from vlures.backends.threads import in_daemon_thread
from vlures.errors import Retry
from vlures.records import Request, Response

MOST_LINES = 50_000
"""No limit is documented; larger jobs are advised against, and are lost as a whole when they expire."""
MOST_OPERATION_BYTES = 64_000_000
"""Of a reply about an operation, which may itself hold the answers of a small batch."""
MOST_BYTES = 1_900_000_000
"""An input file may have 2 GB: https://ai.google.dev/gemini-api/docs/batch-api"""
BATCHES_A_PAGE = 100
"""Without a page size the list has been seen empty: https://github.com/googleapis/python-genai/issues/1250"""

WAITS_S = {"connect": 30.0, "write": PROGRESS_WINDOW_S, "read": PROGRESS_WINDOW_S, "pool": PROGRESS_WINDOW_S}
"""How long a connection may stay silent. The limit of a whole call is separate. As the SDK's own time-out these would
also go to the server, as the longest time that it may take for any call."""

KEPT_CONNECTIONS = 100
LOST_UPLOAD = frozenset({400, 404, 409, 410, 416})
"""Statuses of a part that does not follow what the server has: the whole upload must start again."""


class _Client(BoundedAsync):
    most_bytes = MOST_OPERATION_BYTES


class Operation(types.Operation):
    """A batch as an operation. The SDK's own batch object lacks the error, the counts, and whether it is done."""

    def __init__(self, name: str, content: object = None) -> None:
        self.name = name
        self.content = content

    @classmethod
    def from_api_response(cls, api_response: object, is_vertex_ai: bool = False) -> Operation:  # noqa: ARG003
        return cls("", api_response)


class GeminiBatch:
    """The Batch API's calls. key and base_url: of the provider, or of the server that replaces it."""

    provider = PROVIDER
    lifetimes = Lifetimes(batch=timedelta(hours=48), input=timedelta(hours=48), results=timedelta(weeks=6))
    needs_trial = False

    def __init__(
        self,
        key: str,
        host: str | None,
        version: ApiVersion,
        model: str,
        *,
        account: str,
        summary: bool,
        keep_think_tags: bool = False,
        timeout_s: float | None = None,
        connections: int = MOST_CONNECTIONS,
    ) -> None:
        """host: the address without a version; None: Google's own. account: its name in sentences and journals.
        summary: ask for a summary of the model's thinking. keep_think_tags: leave thinking in the text. timeout_s: of a
        call that moves no file, if shorter than usual."""
        self.account = account
        # The SDK warns of every state of a batch that is newer than itself.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"google\.genai\._common")
        self._key = key
        self._host = host or ADDRESS
        self._version = version
        self._connections = connections
        self._clients: dict[str, genai.Client] = {}
        self._call_s = min(timeout_s or LONGEST_CALL_S, LONGEST_CALL_S)
        self._creation_s = min(timeout_s or LONGEST_CREATION_S, LONGEST_CREATION_S)
        self._model = model
        self._summary = summary
        self._keep_think_tags = keep_think_tags

    @property
    def _sdk(self) -> genai.Client:
        """The client for the version that is current, made on first use."""
        version = self._version.current
        if version not in self._clients:
            limits = httpx2.Limits(
                max_connections=self._connections, max_keepalive_connections=min(self._connections, KEPT_CONNECTIONS)
            )
            way = client_options(self._host)
            verify = way["verify"]
            options = types.HttpOptions(
                base_url=self._host,
                api_version=version,
                client_args={"verify": verify},
                async_client_args={"verify": verify, "ssl": verify},  # else the SDK reads certificates itself
                retry_options=types.HttpRetryOptions(attempts=1),  # a retried creation would be a second paid batch
                httpx_client=Bounded(**way, limits=limits, event_hooks={"request": [_limit_waits]}),
                httpx_async_client=_Client(**way, limits=limits, event_hooks={"request": [_limit_waits_async]}),
            )
            self._clients[version] = genai.Client(vertexai=False, api_key=self._key, http_options=options)
        return self._clients[version]

    # The form of a line

    def end_trial(self, outcome: Response) -> bool:  # noqa: ARG002 (its form is documented)
        return False

    async def place_images(self, requests: Iterable[Request]) -> None:
        """Nothing: the lines themselves hold the images."""

    def write_line(self, request: Request) -> Line:
        """The names inside `request` are those of the REST API, as in a live call. The guide's examples have some of
        them in snake case (`generation_config`); both are accepted, as in all JSON made from protocol buffers:
        https://protobuf.dev/programming-guides/json/#field-names. Names that only the SDK has are refused:
        https://github.com/UKGovernmentBEIS/inspect_ai/pull/3273"""
        content = build_content(request, summary=self._summary)
        line = split_content({"key": request.key, "request": content}, request.image)
        if line.tail is None:
            return Line(line.head + b"\n", None)
        return Line(line.head, line.tail + b"\n")

    # The calls

    async def upload(self, file: ShardFile) -> str:
        """Stream a shard in parts of 8 MB. Cancelled, this closes the file, which ends the thread."""

        version, sdk = self._version.current, self._sdk

        def send() -> types.File:
            file.seek(0)  # the SDK would continue from where an earlier attempt stopped
            return sdk.files.upload(file=file, config=types.UploadFileConfig(mime_type="jsonl", display_name=file.name))

        with Errors():
            try:
                uploaded = await while_moving(lambda: file.bytes_read, in_daemon_thread(send))
            except (asyncio.CancelledError, TimeoutError):
                file.close()
                raise
            except ClientError as error:
                if not file.tell() and self._version.take_older(version, error.code, str(error.message)):
                    return await self.upload(file)
                if file.tell() and error.code in LOST_UPLOAD:
                    raise Retry(f"the upload broke off ({error.message})", code="upload") from error
                raise
            self._version.prove()
            return _read_name(uploaded)

    async def create(self, file_id: str, tag: str) -> BatchState:
        """Create a batch. Where the provider refuses for now, or has lost the file, the state says so and has no id."""
        config = types.CreateBatchJobConfig(display_name=tag)
        version = self._version.current
        creation = self._sdk.aio.batches.create(model=self._model, src=file_id, config=config)
        with Errors(creating=True):
            try:
                job = await within(self._creation_s, creation)
            except APIError as error:
                if (refusal := read_refusal(error)) is not None:
                    return refusal
                if self._version.take_older(version, error.code, str(error.message)):
                    return await self.create(file_id, tag)
                raise
            return _begun(_read_name(job))

    async def find(self, tag: str) -> tuple[BatchState, ...]:
        """Page by page: the SDK's own iteration stops at an empty page."""
        found: list[BatchState] = []
        with Errors():
            listing = self._sdk.aio.batches.list(config=types.ListBatchJobsConfig(page_size=BATCHES_A_PAGE))
            pages = await within(self._call_s, listing)
            while True:
                found += [_begun(_read_name(job)) for job in pages.page if job.display_name == tag]
                try:
                    await within(self._call_s, pages.next_page())
                except IndexError:
                    return tuple(found)

    async def status(self, batch_id: str) -> BatchState:
        with Errors():
            operation = await within(self._call_s, self._sdk.aio.operations.get(Operation(batch_id)))
            return read_batch(batch_id, operation.content)

    async def cancel(self, batch_id: str) -> None:
        """A 400 means that it has ended already."""
        with Errors():
            try:
                await within(self._call_s, self._sdk.aio.batches.cancel(name=batch_id))
            except ClientError as error:
                if error.code not in (400, 409):
                    raise

    async def download(self, file_id: str, path: Path, most_bytes: int) -> None:
        with Errors(downloading=True), Download(path, most_bytes) as download:
            await while_moving(download.tell, self._sdk.aio.files.download(file=file_id, destination=download))

    async def delete(self, file_id: str) -> None:
        """The names of result files are too long for a deletion, so these stay for their six weeks:
        https://github.com/googleapis/python-genai/issues/1759"""
        with Errors():
            await within(self._call_s, self._sdk.aio.files.delete(name=file_id))

    def read_line(self, line: bytes) -> Response | None:
        return read_result_line(line, keep_think_tags=self._keep_think_tags)

    async def close(self) -> None:
        for sdk in self._clients.values():
            sdk.close()
            await sdk.aio.aclose()


def _limit_waits(request: Any) -> None:
    request.extensions["timeout"] = WAITS_S


async def _limit_waits_async(request: Any) -> None:
    _limit_waits(request)


def _begun(name: str) -> BatchState:
    return BatchState(name, "created", ended=False)


def _read_name(reply: types.File | types.BatchJob) -> str:
    name = as_text(reply.name)
    if name is None:
        raise UnreadableReply("a reply without a name")
    return name

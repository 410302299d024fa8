"""What OpenAI's wire looks like: a request's body, the batch calls, a result line, how an error reads.

Sources: the SDK's own reference texts (openai 3.54), the Batch guide and the vision guide of 2026-09.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final, TypeVar, cast

import msgspec
import openai
from openai import AsyncOpenAI, OpenAI

from vlures.backends import Backend, Observer
from vlures.backends.batch import BatchDriver, BatchPolicy, BatchState, JobProblem
from vlures.backends.patience import Patience
from vlures.backends.shards import Line, ShardFile
from vlures.backends.wire import as_count, as_object, as_objects, as_seconds, as_speech, as_text, decode_object
from vlures.config import RunConfig, find_address, find_key
from vlures.errors import InDoubt, NotFound, Retry, VluresError
from vlures.records import Failure, Parameters, Request, Response, Status, Usage

T = TypeVar("T")

PROVIDER = "OpenAI"
ENDPOINT: Final = "/v1/chat/completions"
MOST_LINES = 50_000
HTTP_OK = 200
TAG = "vlures"
"""The key of our tag in a batch's metadata."""

PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "max_output_tokens": "max_completion_tokens",
    "seed": "seed",
}
"""Ours → theirs. `max_tokens` is refused by today's models. `image_detail` stands beside the picture instead."""

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
STATUSES: dict[str, Status] = {"stop": "ok", "length": "truncated", "content_filter": "refused"}
_PICTURE = "\x00"


def connect_batch(
    config: RunConfig,
    environment: Mapping[str, str],
    sandbox_url: str | None,
    observer: Observer,
    _: Callable[[], bool],
) -> Backend:
    """OpenAI's Batch API over chat completions."""
    client = OpenAIBatch(client_options(config, environment, sandbox_url))
    policy = BatchPolicy(
        most_lines=min(config.batch_size, MOST_LINES),
        most_bytes=config.batch_bytes,
        max_attempts=config.max_attempts,
        longest_poll_s=config.poll_s,
        doubt_patience_s=config.doubt_patience_s,
        ask_changed_again=config.stale == "redo",
        forget_lost=config.forget_lost,
    )
    patience = Patience(PROVIDER, config.retry_budget_s, config.first_contact_s, observer.say)
    return BatchDriver(client, policy, patience, observer)


def client_options(config: RunConfig, environment: Mapping[str, str], sandbox_url: str | None) -> dict[str, Any]:
    """Options of the SDK's clients, which never retry by themselves: a retried creation would be a second paid batch.

    Raises UsageError if there is no key. The sandbox is not shown a real one.
    """
    key = "sandbox" if sandbox_url else find_key(environment, "OPENAI_API_KEY")
    return {
        "api_key": key,
        "base_url": f"{sandbox_url}/openai/v1" if sandbox_url else find_address(config, environment, "OPENAI_BASE_URL"),
        "organization": environment.get("OPENAI_ORG_ID"),
        "project": environment.get("OPENAI_PROJECT_ID"),
        "max_retries": 0,
    }


def build_body(request: Request, picture: str) -> dict[str, Any]:
    """The body of a chat completion. picture: the image in base64."""
    image_url = {"url": f"data:{request.image.mime_type};base64,{picture}"}
    if "image_detail" in request.parameters:
        image_url["detail"] = request.parameters["image_detail"]
    return {
        "model": request.model,
        "messages": [
            {"role": "system", "content": request.prompt.system},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": request.prompt.user},
                    {"type": "image_url", "image_url": image_url},
                ],
            },
        ],
        **translate_parameters(request.parameters),
    }


def translate_parameters(parameters: Parameters) -> dict[str, Any]:
    return {PARAMETERS[key]: value for key, value in parameters.items() if key in PARAMETERS}


async def in_daemon_thread(call: Callable[[], T]) -> T:
    """The call's result from a thread that nobody waits for when the program ends, as asyncio's own are waited for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error else done.set_result(cast("T", result))

    def work() -> None:
        result, failure = None, None
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 (handed over to whoever waits)
            failure = error
        with suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=work, daemon=True).start()
    return await done


class OpenAIBatch:
    """The Batch API's calls, as the batch driver needs them."""

    provider = PROVIDER

    def __init__(self, options: Mapping[str, Any]) -> None:
        """options: of the SDK's clients."""
        self._client = AsyncOpenAI(**options)
        self._uploader = OpenAI(**options)

    def write_line(self, request: Request) -> Line:
        line = {"custom_id": request.key, "method": "POST", "url": ENDPOINT, "body": build_body(request, _PICTURE)}
        # A NUL right before the end of a string marks the picture's place: an article is never last in its string.
        head, tail = msgspec.json.encode(line).split(b'base64,\\u0000"')
        return Line(head + b"base64,", b'"' + tail + b"\n")

    async def upload(self, file: ShardFile) -> str:
        """Stream a shard, in a thread of its own: the SDK sends a file in pieces of 64 KB, and a piece costs an event
        loop many times what it costs a thread. Cancelled, it closes the file, which ends the thread."""
        with _Errors():
            try:
                uploaded = await in_daemon_thread(
                    lambda: self._uploader.files.create(file=(file.name, cast("IO[bytes]", file)), purpose="batch")
                )
            except asyncio.CancelledError:
                file.close()
                raise
            return read_file_id(uploaded)

    async def create(self, file_id: str, tag: str) -> BatchState:
        with _Errors(creating=True):
            batch = await self._client.batches.create(
                input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h", metadata={TAG: tag}
            )
            return read_batch(batch)

    async def find(self, tag: str) -> BatchState | None:
        with _Errors():
            async for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get(TAG) == tag:
                    return read_batch(batch)
        return None

    async def status(self, batch_id: str) -> BatchState:
        with _Errors():
            return read_batch(await self._client.batches.retrieve(batch_id))

    async def download(self, file_id: str, path: Path) -> None:
        with _Errors():
            async with self._client.files.with_streaming_response.content(file_id) as reply:
                await reply.stream_to_file(path)

    def read_line(self, line: bytes) -> Response | None:
        return read_result_line(line)

    async def close(self) -> None:
        await self._client.close()
        self._uploader.close()


class UnreadableReply(ValueError):
    """A reply of status 200 that is not what was asked for."""


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
    )


def _batch_error(error: Mapping[str, Any]) -> str:
    where = f" (line {error['line']})" if error.get("line") else ""
    return f"{error.get('code')}: {error.get('message')}{where}"


def read_result_line(line: bytes) -> Response | None:
    """What a line of an output or error file says of its request; None if nothing can be made of it.

    Failures come in two shapes: an API error in `response.body.error`, or `response: null` with `error`.
    """
    content = decode_object(line) or {}
    key = as_text(content.get("custom_id"))
    if key is None:
        return None
    reply = content.get("response")
    if not isinstance(reply, dict):
        return Response(key, "failed", error=_line_failure(content.get("error"), 0))
    status_code = as_count(reply.get("status_code")) or 0
    body = reply.get("body")
    body = (decode_object(body) or {}) if isinstance(body, str) else as_object(body)
    error = body.get("error") or content.get("error")
    if not error and (status_code == HTTP_OK or body.get("choices")):
        return read_completion(key, body)
    return Response(key, "failed", error=_line_failure(error, status_code))


def _line_failure(error: Any, status_code: int) -> Failure:
    known = as_object(error)
    code = str(known.get("code") or known.get("type") or status_code or "no code")
    message = str(known.get("message") or (error if isinstance(error, str) else "") or "no reason was given")
    transient = (
        status_code in (0, 408, 409, 429) or status_code >= 500 or code in ("batch_expired", "rate_limit_exceeded")
    ) and code != "insufficient_quota"
    return Failure(f"{status_code} {code}" if status_code else code, message, transient)


def read_completion(key: str, body: Mapping[str, Any]) -> Response:
    """A chat completion as a response: text only if the model spoke."""
    choice = next(iter(as_objects(body.get("choices"))), {})
    message = as_object(choice.get("message"))
    finish_reason = as_text(choice.get("finish_reason"))
    content = message.get("content")
    text = as_speech(as_text(content) or "".join(as_text(part.get("text")) or "" for part in as_objects(content)))
    refusal = as_text(message.get("refusal"))
    heard = Response(
        key,
        "failed",
        text=text,
        finish_reason=finish_reason,
        model=as_text(body.get("model")),
        usage=_read_usage(body.get("usage")),
        response_id=as_text(body.get("id")),
    )
    status = STATUSES.get(finish_reason or "")
    if refusal or status == "refused":
        return replace(heard, status="refused", text=refusal or text)
    if status == "truncated":
        advice = "The allowance of tokens was used up before any text; raise max_output_tokens."
        return replace(heard, status="truncated", error=None if text else Failure("no text", advice))
    if text and (status == "ok" or finish_reason is None):
        return replace(heard, status="ok")
    what = f"finish reason {finish_reason!r}" if choice else "an answer without choices"
    error = Failure("empty answer", f"No text came ({what}).", transient=status == "ok" or not choice)
    return replace(heard, text=None, error=error)


def _read_usage(usage: Any) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    return Usage(
        input_tokens=as_count(usage.get("prompt_tokens")),
        output_tokens=as_count(usage.get("completion_tokens")),
        cached_tokens=as_count(as_object(usage.get("prompt_tokens_details")).get("cached_tokens")),
        thinking_tokens=as_count(as_object(usage.get("completion_tokens_details")).get("reasoning_tokens")),
    )


class _Errors:
    """Turns the SDK's exceptions into what the drivers know.

    creating: a lost reply, or a server error, leaves open whether a batch was made.
    """

    def __init__(self, *, creating: bool = False) -> None:
        self._creating = creating

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, openai.APIStatusError):
            raise self._of_status(error) from error
        if isinstance(error, openai.APIConnectionError):
            raise self._of_connection(error) from error
        # A stream that breaks off raises the HTTP package's own error, a body that is no JSON the parser's.
        unreadable = isinstance(error, openai.OpenAIError | json.JSONDecodeError | UnreadableReply)
        if unreadable or type(error).__module__.startswith("httpx"):
            if self._creating:
                raise InDoubt(str(error)) from error
            raise Retry(f"the reply could not be read ({error})", code="unreadable reply") from error

    def _of_connection(self, error: openai.APIConnectionError) -> Exception:
        if isinstance(error.__cause__, VluresError):
            return error.__cause__  # a picture that changed while a shard was read from it
        cause = str(error.__cause__ or error)
        never_sent = type(error.__cause__).__name__ in ("ConnectError", "ConnectTimeout", "PoolTimeout")
        if self._creating and not never_sent:
            return InDoubt(cause or "connection lost")
        return Retry(cause or "connection lost", code="connection", reached=not never_sent)

    def _of_status(self, error: openai.APIStatusError) -> Exception:
        said = f"{error.status_code} {_message(error)}"
        if error.status_code == 404:
            return NotFound(said)
        if error.status_code in (401, 403):
            return VluresError(f"OpenAI refuses the key: {said} Check OPENAI_API_KEY and its project, then run again.")
        if error.status_code == 429 and error.code == "insufficient_quota":
            return VluresError(
                f"OpenAI's account has no credit left: {said} Add credit, then run the same command again."
            )
        if self._creating and (error.status_code in (408, 409) or error.status_code >= 500):
            return InDoubt(said)
        if error.status_code in (408, 409, 429) or error.status_code >= 500:
            return Retry(said, code=str(error.status_code), after_s=_retry_after(error), everyone=True)
        if error.status_code == 413 or "too large" in said.lower():
            return VluresError(f"OpenAI finds a batch's file too large: {said} Lower --batch-bytes, then run again.")
        return VluresError(f"OpenAI refuses the request: {said} Mend what it names, then run again.")


def _message(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    text = " ".join(str(message or error.message).split())[:400]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _retry_after(error: openai.APIStatusError) -> float | None:
    """Seconds that the server asks to wait, from `retry-after-ms` or `Retry-After` (seconds or a date)."""
    headers = error.response.headers
    milliseconds = as_seconds(headers.get("retry-after-ms", ""))
    return milliseconds / 1000 if milliseconds is not None else as_seconds(headers.get("retry-after", ""))

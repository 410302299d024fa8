"""What OpenAI's errors mean: those of calls around batches and files, and those of live answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import openai

from vlures.backends.day_quota import describe_reset, is_day_quota, spent_for_today
from vlures.backends.lenient_json import as_count, as_object, as_seconds, as_text
from vlures.backends.openai.facts import FACTS
from vlures.backends.openai.hints import hint_at_setup
from vlures.backends.openai.keys import NO_KEY
from vlures.backends.replies import Redirected, TooLarge, is_ours, is_refused_for_size, name_mishap
from vlures.errors import FileTooLarge, InDoubt, NotFound, Retry, VluresError
from vlures.records import Failure, Response

PROVIDER = FACTS.title


HTTP_OK = 200
NOT_IMPLEMENTED = 501
LOST_ANSWER_RETRIES = 4
"""Of a reply that began: its answer may have been charged each time."""
LARGE_ANSWER_RETRIES = 1

NO_CREDIT = frozenset(
    {
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
    }
)
"""Codes (the first is a type, too) of a 429 for which waiting does not help:
https://learn.microsoft.com/microsoft-cloud/dev/dev-proxy/concepts/openai-insufficient-quota"""


class UnreadableReply(ValueError):
    """A reply of status 200 without the expected content."""


class Errors:
    """Turns whatever a call raises into the drivers' exceptions: the SDK's by their content, those of other libraries
    as a reply that could not be read.

    creating: a lost reply, or a server error, leaves open whether a batch was made. passing: exceptions to let through.
    image: the file that is uploaded.
    """

    def __init__(
        self,
        *,
        creating: bool = False,
        passing: type[BaseException] | None = None,
        image: Path | None = None,
    ) -> None:
        self._creating = creating
        self._passing = passing
        self._image = image

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or is_ours(error) or (self._passing is not None and isinstance(error, self._passing)):
            return
        if isinstance(error, Redirected) and not self._creating:
            raise VluresError(str(error)) from error
        if isinstance(error, openai.APIStatusError):
            raise self._of_status(error) from error
        if isinstance(error, openai.APIConnectionError):
            raise self._of_connection(error) from error
        if self._creating:
            raise InDoubt(name_mishap(error)) from error
        if isinstance(error, TimeoutError):
            raise Retry(name_mishap(error), code="timeout") from error
        limit = LARGE_ANSWER_RETRIES if isinstance(error, TooLarge) else LOST_ANSWER_RETRIES
        reason = f"the reply could not be read ({name_mishap(error)})"
        raise Retry(reason, code="unreadable reply", limit=limit) from error

    def _of_connection(self, error: openai.APIConnectionError) -> Exception:
        if isinstance(error.__cause__, VluresError):
            return error.__cause__  # an image that changed while a shard was read from it
        cause = str(error.__cause__ or error).replace(" ssl:default", "")  # aiohttp says it of plain HTTP, too
        never_sent = _was_never_sent(error.__cause__)
        if self._creating and not never_sent:
            return InDoubt(cause or "connection lost")
        if type(_innermost(error)).__name__ == "ClientPayloadError":
            return Retry(cause or "the reply broke off", code="cut reply", limit=LOST_ANSWER_RETRIES)
        return Retry(cause or "connection lost", code="connection", reached=not never_sent)

    def _of_status(self, error: openai.APIStatusError) -> Exception:
        said = f"{error.status_code} {_message(error)}"
        if error.status_code == 404 and self._image:
            return VluresError(
                f"OpenAI takes no images as files at that address: {said} Check the base URL, or leave out "
                "--image-transport file, then run again."
            )
        if error.status_code == 404:
            return NotFound(said)
        if error.status_code in (401, 403):
            has_key = error.request.headers.get("authorization", "") != f"Bearer {NO_KEY}"
            return _refuse_key(said, has_key=has_key)
        if _has_no_credit(error.status_code, as_text(error.code), as_text(error.type)):
            return VluresError(
                f"OpenAI's account has no credit left: {said} Add credit, then run the same command again."
            )
        if error.status_code == 429 and is_day_quota(as_object(error.body), error.response.headers):
            asked_s = asked_wait(error.response.headers)
            return spent_for_today(said, describe_reset(as_object(error.body), error.response.headers, asked_s))
        odd = error.status_code < 400 or error.status_code >= 500
        if self._creating and (odd or error.status_code in (408, 409)):
            return InDoubt(said, asked_wait(error.response.headers))
        if odd or error.status_code in (408, 409, 429):
            return Retry(said, code=str(error.status_code), after_s=asked_wait(error.response.headers))
        if self._image:
            return VluresError(
                f"OpenAI refuses {self._image} as a file: {said} Replace the image or leave out --image-transport "
                "file, then run again."
            )
        if is_refused_for_size(error.status_code, said):
            return FileTooLarge(f"OpenAI finds a batch's file too large: {said}")
        return VluresError(f"OpenAI refuses the request: {said} Correct what it names, then run again.")


def _innermost(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _was_never_sent(cause: BaseException | None) -> bool:
    """Whether there was never a connection, so that the server cannot have acted."""
    inner = cause.__cause__ if cause else None
    if type(inner).__module__.startswith("aiohttp"):
        # Over aiohttp the SDK also calls a connection that broke off a ConnectTimeout; aiohttp's exception is below.
        names = {kind.__name__ for kind in type(inner).__mro__}
        return not names.isdisjoint({"ClientConnectorError", "ConnectionTimeoutError"})
    return type(cause).__name__ in ("ConnectError", "ConnectTimeout", "PoolTimeout")


def _message(error: openai.APIStatusError) -> str:
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    text = " ".join(str(message or error.message).split())[:400]
    return text if text.endswith((".", "!", "?")) else f"{text}."


def asked_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait, from `retry-after-ms` or `Retry-After` (seconds or a date)."""
    milliseconds = as_seconds(headers.get("retry-after-ms", ""))
    return milliseconds / 1000 if milliseconds is not None else as_seconds(headers.get("retry-after", ""))


def _has_no_credit(status: int, *words: str | None) -> bool:
    """Whether an error of this status, code and type is about money. DeepSeek and OpenRouter use 402:
    https://api-docs.deepseek.com/quick_start/error_codes"""
    return status == 402 or (status == 429 and not NO_CREDIT.isdisjoint(words))


def read_live_error(
    status: int,
    error: Mapping[str, object],
    headers: Mapping[str, str],
    *,
    model: str,
    official: bool,
    has_key: bool = True,
) -> Retry | VluresError | Failure:
    """What an error of a live answer means: wait and retry, stop the run, or fail this one request.

    error: the `error` object of the body, or what replaces it. official: the server is OpenAI's own, whose 404 is about
    the model; a server that only speaks its language may mean anything by it. has_key: a key was sent.
    """
    message = " ".join(str(error.get("message") or error.get("detail") or "no reason was given").split())[:400]
    message = message if message.endswith((".", "!", "?")) else f"{message}."
    words = [as_text(error.get(name)) or "" for name in ("code", "type")]
    code = next((word for word in words if word and not word.isdecimal()), "")  # some repeat the status here
    said = f"{status} {message}"
    if status == 401 or (status == 403 and official):
        return _refuse_key(said, has_key=has_key)
    if status == 404 and "file" not in message.lower():
        hint = hint_at_setup(message, official=official) or "Choose another with --model."
        return VluresError(f"{model} is not available at that address: {said} {hint}")
    if _has_no_credit(status, *words):
        return VluresError(f"OpenAI's account has no credit left: {said} Add credit, then run the same command again.")
    after_s = asked_wait(headers)
    if status == 429 and is_day_quota(error, headers):
        return spent_for_today(said, describe_reset(error, headers, after_s))
    if status == 429:
        return Retry(said, code="429", after_s=after_s, signal="overload" if code == "resource_unavailable" else "rate")
    if status < 400 and status != HTTP_OK:
        return Retry(
            f"the reply could not be read (its status is {said})", code="unreadable reply", limit=LOST_ANSWER_RETRIES
        )
    if status in (408, 409) or (status >= 500 and status != NOT_IMPLEMENTED):
        return Retry(said, code=str(status), after_s=after_s, signal="overload" if status in (503, 529) else None)
    return Failure(f"{status} {code}".strip(), message)


def _refuse_key(said: str, *, has_key: bool) -> VluresError:
    if not has_key:
        return VluresError(
            f"The server wants a key, and OPENAI_API_KEY is not set: {said} Put it into .env or the environment, then "
            "run again."
        )
    return VluresError(f"OpenAI refuses the key: {said} Check OPENAI_API_KEY and its project, then run again.")


STATUS_OF = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "too_many_requests": 429,
    "overloaded_error": 529,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "invalid_request_error": 400,
    "unsupported_parameter": 400,
    "server_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
}
"""Codes and types of errors → the status that such an error usually has."""
_NO_SUCH_PATH = re.compile(
    r"unexpected endpoint|no such (endpoint|route)|unknown (endpoint|route|path)|invalid url \((get|post)\b", re.I
)
"""LM Studio says the first: https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/618. OpenAI says the last;
without the method it may be about an image's address."""


def status_within(error: Mapping[str, object]) -> int | None:
    """The status that an error in a reply of status 200 stands for; None if it says nothing that tells. Some gateways
    have begun to answer before the error, and some servers never send another status."""
    for name in ("code", "status", "status_code"):
        if (status := as_count(error.get(name))) in range(400, 600):
            return status
    if _NO_SUCH_PATH.search(as_text(error.get("message")) or ""):
        return 404
    words = [as_text(error.get(name)) or "" for name in ("code", "type")]
    return next((STATUS_OF[word.lower()] for word in words if word.lower() in STATUS_OF), None)


WITHHELD = frozenset(
    {
        "invalid_prompt",
        "content_filter",
        "content_policy_violation",
        "image_content_policy_violation",
        "moderation_blocked",
    }
)
"""Error codes by which a provider's filters refuse a request. Asking again would change nothing."""


def read_failure(key: str, failure: Failure) -> Response:
    """The response for a request that ended in an error: refused by the provider's filters, or failed."""
    refused = failure.code.rpartition(" ")[2] in WITHHELD
    return Response(key, "refused" if refused else "failed", error=failure)


def error_of(body: object) -> Mapping[str, object]:
    """The error object in a body. Servers that only speak OpenAI's language put it in several places."""
    content = as_object(body)
    inner = content.get("error")
    return as_object(inner) or ({"message": inner} if isinstance(inner, str) else content)

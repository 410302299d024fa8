"""What errors of calls around Gemini's batches and files mean to the batch driver."""

from __future__ import annotations

import re

from google.genai.errors import APIError

from vlures.backends.batch.client import BatchState, JobProblem
from vlures.backends.gemini.errors import read_error
from vlures.backends.replies import BAD_REQUEST, Redirected, is_ours, is_refused_for_size, name_mishap
from vlures.errors import FileTooLarge, InDoubt, NotFound, Retry, VluresError
from vlures.records import Failure

NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout"})

_FILE_GONE = re.compile(r"\bfile\b.*\b(may not exist|does not exist|not found|cannot be found|expired|deleted)\b", re.I)
_FILE_NOT_READY = re.compile(r"\bfile\b.*\bnot in an active state\b", re.I)
_ASKS_FOR_A_PACE = re.compile(r"PerMinute|retryDelay|Please retry in", re.I)


class UnreadableReply(ValueError):
    """A reply of status 200 without the expected content."""


class Errors:
    """Turns whatever a call raises into the driver's exceptions: the SDK's by their content, those of other libraries
    as a reply that could not be read.

    creating: a lost reply, or a server error, leaves open whether a batch was made. downloading: a refused file may not
    exist yet.
    """

    def __init__(self, *, creating: bool = False, downloading: bool = False) -> None:
        self._creating = creating
        self._downloading = downloading

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or is_ours(error):
            return
        if isinstance(error, Redirected) and not self._creating:
            raise VluresError(str(error)) from error
        if isinstance(error, APIError):
            raise self._of_status(error) from error
        if type(error).__module__.startswith("httpx"):
            raise self._of_connection(error) from error
        if self._creating:
            raise InDoubt(f"the reply could not be read: {name_mishap(error)}") from error
        if isinstance(error, TimeoutError):
            raise Retry(name_mishap(error), code="timeout") from error
        # The SDK fails in many ways over what is not JSON, or not the expected JSON.
        raise Retry(f"the reply could not be read ({name_mishap(error)})", code="unreadable reply") from error

    def _of_connection(self, error: BaseException | None) -> Exception:
        cause = str(error) or type(error).__name__
        never_sent = type(error).__name__ in NOT_SENT
        if self._creating and not never_sent:
            return InDoubt(cause)
        return Retry(cause, code="connection", reached=not never_sent)

    def _of_status(self, error: APIError) -> Exception:
        said = _said(error)
        if error.code == 404 and not self._creating:
            return NotFound(said)
        if self._downloading and (error.code == 409 or (error.code in (400, 403) and _FILE_GONE.search(said))):
            return NotFound(said)
        if self._creating and (error.code in (408, 409, 499) or not 400 <= error.code < 500):
            return InDoubt(said, _asked_wait(error))
        if error.code in (409, 499):
            return Retry(said, code=str(error.code))
        if not self._creating and is_refused_for_size(error.code, said):
            return FileTooLarge(f"Gemini finds a batch's file too large: {said}")
        outcome = read_error(error.code, str(error.status or ""), error.details, error.response.headers)
        if isinstance(outcome, Failure):
            return VluresError(f"Gemini refuses the request: {said} Correct what it names, then run again.")
        return outcome


def read_refusal(error: APIError) -> BatchState | None:
    """A creation that was refused for now, as a batch that could not begin; None for every other error.

    A full queue (too many tokens enqueued, or a hundred batches under way) is a 429 that names neither a rate nor a
    day's quota: https://github.com/googleapis/python-genai/issues/1901. A file that no longer exists is a 403, in words
    that leave open whether it belongs to someone else.
    """
    problem: JobProblem | None = None
    said = _said(error)
    if error.code == 429:
        outcome = read_error(error.code, str(error.status or ""), error.details, error.response.headers)
        if isinstance(outcome, Retry) and outcome.after_s is None and not _ASKS_FOR_A_PACE.search(str(error.details)):
            problem = "queue full"
    elif error.code in (400, 403, 404):
        problem = find_file_problem(said)
    return BatchState("", "refused", ended=True, problem=problem, reason=said) if problem else None


def find_file_problem(message: str) -> JobProblem | None:
    """The problem of a batch's input file that a refusal tells of, if any. Files live for 48 hours."""
    if _FILE_NOT_READY.search(message):
        return "file not visible"
    if _FILE_GONE.search(message):
        return "file gone"
    return "too large" if is_refused_for_size(BAD_REQUEST, message) else None


def _asked_wait(error: APIError) -> float | None:
    outcome = read_error(error.code, str(error.status or ""), error.details, error.response.headers)
    return outcome.after_s if isinstance(outcome, Retry) else None


def _said(error: APIError) -> str:
    text = " ".join(str(error.message or error.status or "no reason was given").split())[:400]
    return f"{error.code} {text}" if text.endswith((".", "!", "?")) else f"{error.code} {text}."

"""The status of a whole reply, once its words and its ending are read: the same for all providers and modes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vlures.backends.endings import Ending
from vlures.backends.lenient_json import as_object, as_text
from vlures.backends.thinking import join_thoughts, split_text
from vlures.errors import Retry
from vlures.records import Failure, Note, Response

EMPTY, BROKEN, BLANK = "empty answer", "broken answer", "blank result"
EMPTY_ANSWER_RETRIES = 2
WORDLESS_RETRIES = 1
"""Of an answer whose words all came as thinking: it may be long, and is charged each time."""
BROKEN_ANSWER_RETRIES = 4
"""Of a reply that began: its answer may have been charged each time."""

NO_ROOM = "The allowance of tokens was used up before any text; raise max_output_tokens or lower the thinking."
ALL_THINKING = (
    "All words came as thinking, and are kept as `reasoning`; turn thinking off (--reasoning-effort, --thinking-level, "
    "or the server's own switch), or raise max_output_tokens or the server's context."
)
WORDLESS = "All words came as thinking; turn thinking off, or raise max_output_tokens or the server's context."
_LONGEST_TROUBLE = 400


def judge_reply(
    heard: Response,
    ending: Ending,
    *,
    refusal: str | None = None,
    trouble: str = "",
    keep_think_tags: bool = False,
    try_again: bool = True,
) -> Response:
    """A reply with its status. An answer has text only if the model spoke.

    heard: with all text that is not thinking by its place in the reply. refusal: in the model's words. trouble: what
    the provider says about a broken end. try_again: whether asking again may help where no text came.
    """
    if not keep_think_tags:
        heard = _take_thinking_out(heard)
    if refusal or ending == "withheld":
        return replace(heard, status="refused", text=refusal or heard.text)
    if ending == "broken":
        said = f"The answer broke off (finish reason {heard.finish_reason!r}){f': {trouble}' if trouble else '.'}"
        return replace(heard, status="failed", text=None, error=Failure(BROKEN, said, transient=True))
    if ending == "cut":
        return replace(heard, status="truncated", error=None if heard.text else Failure("no text", NO_ROOM))
    if heard.text:
        return _note(replace(heard, status="ok"), "unknown end") if ending == "unknown" else replace(heard, status="ok")
    what = f"finish reason {heard.finish_reason!r}"
    why = f" {WORDLESS}" if heard.reasoning else f" {trouble}" if trouble else ""
    error = Failure(EMPTY, f"No text came ({what}).{why}", transient=try_again)
    return replace(heard, status="failed", text=None, error=error)


def _take_thinking_out(heard: Response) -> Response:
    split = split_text(heard.text)
    if not split.tagged:
        return replace(heard, text=split.answer)
    reasoning = join_thoughts((heard.reasoning, split.thinking))
    return _note(replace(heard, text=split.answer, reasoning=reasoning), "think tags")


def _note(response: Response, note: Note) -> Response:
    return replace(response, notes=(*(response.notes or ()), note))


def is_wordless(response: Response) -> bool:
    """Whether it failed because all its words came as thinking."""
    return response.error is not None and response.error.code == EMPTY and bool(response.reasoning)


def most_retries(failed: Response) -> int | None:
    """How often one run may ask again after such a reply, which may be charged each time; None: no limit of its own."""
    code = failed.error.code if failed.error else ""
    if code == EMPTY:
        return WORDLESS_RETRIES if failed.reasoning else EMPTY_ANSWER_RETRIES
    return BROKEN_ANSWER_RETRIES if code == BROKEN else None


def raise_transient(response: Response) -> Response:
    """The response, unless asking again may help: then raises Retry with the reply that came."""
    if response.error is None or response.status != "failed" or not response.error.transient:
        return response
    limit = most_retries(response) or BROKEN_ANSWER_RETRIES
    raise Retry(response.error.message, code=response.error.code, limit=limit, heard=response)


def blank_result(key: str) -> Response:
    """The response for a line of a batch's results that names a request and says nothing about it."""
    said = "The line for it in the batch's results holds neither an answer nor an error."
    return Response(key, "failed", error=Failure(BLANK, said, transient=True))


def is_blank(response: Response) -> bool:
    """Whether the response is a blank result."""
    return response.error is not None and response.error.code == BLANK


def describe_trouble(error: Any) -> str:
    """A gateway's own words about an error inside a reply of status 200: code and message, in one line."""
    content = as_object(error)
    words = [content.get("code"), as_text(content.get("message")) or as_text(content.get("type")) or as_text(error)]
    said = " ".join(" ".join(str(word) for word in words if word not in (None, "")).split())[:_LONGEST_TROUBLE]
    return said if not said or said.endswith((".", "!", "?")) else f"{said}."

"""What Gemini's errors mean. Sources: google-genai 3.4, the API's pages on rate limits and errors (2026-11)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vlures.backends.day_quota import is_day_quota, spent_for_today
from vlures.backends.gemini.facts import FACTS
from vlures.backends.lenient_json import as_object, as_objects, as_seconds, as_text
from vlures.errors import Retry, VluresError
from vlures.records import Failure

PROVIDER = FACTS.title

_NO_CREDIT = re.compile(r"\bcredits are depleted\b", re.IGNORECASE)
"""Formerly a 429, now a 402: https://discuss.ai.google.dev/t/183654"""


def read_error(code: int, status: str, details: Any, headers: Mapping[str, str]) -> Retry | VluresError | Failure:
    """What an error of the API means: wait and retry, stop the run, or fail this one request."""
    error = as_object(as_object(details).get("error", details))
    message = " ".join(str(error.get("message") or status or "no reason was given").split())[:400].rstrip(".") + "."
    said = f"{code} {message}"
    notes = as_objects(error.get("details"))
    reasons = {as_text(note.get("reason")) for note in notes}
    if code in (401, 403) or "API_KEY_INVALID" in reasons:
        return VluresError(f"Gemini refuses the key: {said} Check GOOGLE_API_KEY or GEMINI_API_KEY, then run again.")
    if code == 404:
        return VluresError(
            f"Gemini does not know the model: {said} Choose another with --model, or check the base URL."
        )
    if code == 402 or _NO_CREDIT.search(message):
        return VluresError(f"Gemini's account has no credit left: {said} Add credit, then run the same command again.")
    if status == "FAILED_PRECONDITION":
        return VluresError(f"Gemini cannot be used as it is set up: {said}")
    # A daily 429 also carries a short retryDelay, so the quota's name is looked at first.
    if code == 429 and (is_day_quota(error, {}) or "limit: 0" in message):
        return spent_for_today(said, f"at midnight Pacific time{_next_pacific_midnight()}")
    # 409 is ABORTED, which google/rpc/code.proto says to retry.
    if code in (408, 409, 429) or not 400 <= code < 500:
        signal: Literal["rate", "overload"] | None = "rate" if code == 429 else "overload" if code == 503 else None
        return Retry(said, code=str(code), after_s=_asked_wait(notes, headers), signal=signal)
    return Failure(f"{code} {status}".strip(), message)


def _asked_wait(notes: list[dict[str, Any]], headers: Mapping[str, str]) -> float | None:
    """The longer of RetryInfo and Retry-After, in seconds."""
    asked = [headers.get("retry-after", ""), *(as_text(note.get("retryDelay")) or "" for note in notes)]
    waits = [seconds for seconds in map(as_seconds, asked) if seconds is not None]
    return max(waits, default=None)


def _next_pacific_midnight() -> str:
    try:
        pacific = datetime.now(ZoneInfo("America/Los_Angeles"))
    except ZoneInfoNotFoundError:
        return ""
    midnight = (pacific + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    return f" ({midnight.astimezone(UTC):%Y-%m-%d %H:%M} UTC)"

"""A quota of requests or tokens a day that is used up: waiting minutes does not help, so the run ends with the time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from vlures.backends.lenient_json import as_object, as_objects, as_seconds, as_text
from vlures.errors import Incomplete

_PER_DAY = re.compile(
    r"per[\s_-]?(1[\s_-])?day|\bdaily\b[\w\s-]{0,40}\b(limit|quota|allowance|cap)\b"
    r"|\b(limit|quota)\b[\w\s-]{0,20}\bfor today\b|\b[RTI]PD\b|/\s?day\b|\ba day\b|\b24[\s-]?h(ou)?r?s?\b|ByDay\b",
    re.IGNORECASE,
)
"""Seen: `Requests per day (RPD)` (OpenAI), `free-models-per-day` (OpenRouter), `GenerateRequestsPerDayPerProject…`
(Gemini), `tokens per day (TPD)` (Groq), `UserByModelByDay` (GitHub), `100 per 1 day` (slowapi), `daily request
limit`."""
_RESET_HEADER = re.compile(r"(x-)?rate-?limit-reset(-requests|-tokens)?(-day|-daily)?", re.IGNORECASE)
_IN_WORDS = re.compile(
    r"\b(?:again|retry|resets?|renewed|available) in ((?:\d+(?:\.\d+)?(?:d|h|ms|m|s))+)", re.IGNORECASE
)
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:\d+ms)?", re.IGNORECASE)
EPOCH_S = 1_000_000_000.0
EPOCH_MS = 1_000_000_000_000.0
SHORTEST_DAY = timedelta(hours=1)
"""A quota whose reset is no further away is one of minutes."""
LONGEST_DAY = timedelta(days=2)
"""A reset that is later than this is misread."""


def is_day_quota(error: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
    """Whether a refusal (429) is about a day: its message, code, type or quota names one, or the reset that it names is
    far away."""
    now = datetime.now(UTC)
    if any(_PER_DAY.search(words) for words in _words(error)):
        return True
    moment = find_reset(error, headers, now)
    return moment is not None and moment - now >= SHORTEST_DAY


def _words(error: Mapping[str, Any]) -> Iterator[str]:
    for name in ("message", "code", "type", "detail"):
        yield as_text(error.get(name)) or ""
    for note in as_objects(error.get("details")):
        for broken in as_objects(note.get("violations")):
            yield as_text(broken.get("quotaId")) or ""
    yield as_text(as_object(error.get("metadata")).get("raw")) or ""


def find_reset(error: Mapping[str, Any], headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the quota is renewed, by the reply's headers, by those that a gateway has put into the error's metadata
    (https://openrouter.ai/docs/api-reference/limits), or by the message's own words; the latest of several. None if
    nothing says so."""
    passed_on = as_object(as_object(error.get("metadata")).get("headers"))
    said = {name.lower(): str(value) for name, value in (*headers.items(), *passed_on.items())}
    values = [value for name, value in said.items() if _tells_reset(name, said)]
    values += [match[1] for match in _IN_WORDS.finditer(as_text(error.get("message")) or "")]
    moments = [moment for value in values if (moment := read_moment(value.strip(), now))]
    return max(moments, default=None)


def _tells_reset(name: str, headers: Mapping[str, str]) -> bool:
    """Whether a header tells the reset of a quota that is used up. OpenAI sends those of its other quotas, too."""
    match = _RESET_HEADER.fullmatch(name)
    return match is not None and headers.get(name.replace("reset", "remaining"), "0").strip() in ("0", "0.0")


def read_moment(value: str, now: datetime) -> datetime | None:
    """A moment from a header: seconds or milliseconds since the epoch, seconds from now, `17h4m3.5s`, or a date. None
    for anything else, and for one that has passed or is further away than LONGEST_DAY."""
    try:
        number = float(value)
    except ValueError:
        seconds = as_seconds(value) if _DURATION.fullmatch(value) is None else _read_duration(value)
    else:
        since_epoch = number / 1000 if number >= EPOCH_MS else number
        seconds = since_epoch - now.timestamp() if since_epoch >= EPOCH_S else number
    if seconds is None or not 0 < seconds <= LONGEST_DAY.total_seconds():
        return None
    return now + timedelta(seconds=seconds)


def _read_duration(value: str) -> float | None:
    match = _DURATION.fullmatch(value)
    if match is None or not value:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + seconds


def spent_for_today(said: str, renewed: str) -> Incomplete:
    """The end of a run. said: the provider's words. renewed: when, as `at …`; empty if unknown."""
    return Incomplete(
        f"The day's quota of this model is used up: {said} It is renewed {renewed or 'later'}; run the same command "
        "again then, it continues from here."
    )


def describe_reset(error: Mapping[str, Any], headers: Mapping[str, str], after_s: float | None) -> str:
    """When a quota is renewed, as `at 2026-11-30 00:00 UTC`; empty if nothing says so. after_s: the wait that the reply
    asks for."""
    now = datetime.now(UTC)
    moment = find_reset(error, headers, now) or (now + timedelta(seconds=after_s) if after_s else None)
    return f"at {moment:%Y-%m-%d %H:%M} UTC" if moment else ""

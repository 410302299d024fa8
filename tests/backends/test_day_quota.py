"""A quota of a day, and when it is renewed, in the spellings of several providers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from vlures.backends.day_quota import find_reset, is_day_quota, read_moment

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "words",
    [
        "Rate limit reached for gpt-6-luna on requests per day (RPD): Limit 200, Used 200, Requested 1.",
        "Rate limit exceeded: free-models-per-day",
        "Tokens per day limit exceeded",
        "Rate limit reached on tokens per day (TPD): Limit 500000",
        "You have reached your daily request limit.",
        "The daily free quota is used up",
        "Limit for today is reached",
        "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
        "More than 1000 requests/day",
        "limit: 50 requests per 24 hours",
        "50 requests/24hr",
        "Rate limit exceeded: 100 per 1 day",
        "Rate limit of 50 per 86400s exceeded for UserByModelByDay. Please wait 3661 seconds before retrying.",
    ],
)
def test_a_day_is_recognised(words: str) -> None:
    assert is_day_quota({"message": words}, {})


@pytest.mark.parametrize(
    "words",
    [
        "Rate limit reached on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again in 20s.",
        "Rate limit reached on tokens per min (TPM). Please try again in 350ms.",
        "Too many requests, please slow down.",
        "The model is overloaded today.",
        "GenerateRequestsPerMinutePerProjectPerModel",
        "Rate limit exceeded: 100 per 1 minute",
        "Rate limit of 10 per 60s exceeded for UserByModelByMinute. Please wait 8 seconds before retrying.",
    ],
)
def test_a_minute_is_no_day(words: str) -> None:
    assert not is_day_quota({"message": words}, {"x-ratelimit-reset-requests": "20s"})


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("1796083200", timedelta(days=1) - timedelta(hours=12)),  # midnight, in seconds since the epoch
        ("1796083200000", timedelta(hours=12)),
        ("3600", timedelta(hours=1)),
        ("17h4m0s", timedelta(hours=17, minutes=4)),
        ("7m12s", timedelta(minutes=7, seconds=12)),
        ("8.64s", timedelta(seconds=8.64)),
        ("1d2h", timedelta(hours=26)),
        ("350ms", None),
        ("0", None),
        ("-5", None),
        ("1", timedelta(seconds=1)),
        ("nan", None),
        ("inf", None),
        ("1e300", None),
        ("", None),
        ("soon", None),
        ("99999999999999", None),
        ("1700000000", None),  # long ago
        ("90d", None),
    ],
)
def test_a_moment_is_read_or_left_out(value: str, wait: timedelta | None) -> None:
    moment = read_moment(value, NOW)
    assert (moment - NOW if moment else None) == wait


@pytest.mark.parametrize(
    ("error", "headers", "wait"),
    [
        ({"message": "Please try again in 7h12m3s."}, {}, timedelta(hours=7, minutes=12, seconds=3)),
        ({"metadata": {"headers": {"X-RateLimit-Reset": "1796083200000"}}}, {}, timedelta(hours=12)),
        ({}, {"x-ratelimit-reset-requests": "2h0m0s", "x-ratelimit-remaining-requests": "0"}, timedelta(hours=2)),
        ({}, {"x-ratelimit-reset-requests": "2h0m0s", "x-ratelimit-remaining-requests": "12"}, None),
        ({"metadata": {"headers": ["X-RateLimit-Reset"]}}, {"date": "1796083200"}, None),
        ({"message": None, "metadata": "x"}, {}, None),
    ],
)
def test_the_reset_is_found(error: Mapping[str, Any], headers: Mapping[str, str], wait: timedelta | None) -> None:
    moment = find_reset(error, headers, NOW)
    assert (moment - NOW if moment else None) == wait

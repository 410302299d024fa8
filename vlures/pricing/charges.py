"""The presumed cost of sending a request once, in billionths of a dollar."""

from __future__ import annotations

from vlures.pricing.ledger import to_nano
from vlures.pricing.prices import Price, cost
from vlures.records import Response, Usage

MOST_INPUT, MOST_OUTPUT = 10_000_000, 1_000_000
"""Tokens that no request of ours can exceed with any model: five times the longest contexts and answers of 2026."""
MOST_TIMES = 40
"""A usage is believed up to this multiple of its reservation: a model without an allowance may write 128,000 tokens
where at most 4,096 were expected."""

REPLIES = frozenset(
    {
        *("empty answer", "broken answer", "blank result", "no text", "unreadable reply", "cut reply"),
        *("error in a reply", "lost"),
    }
)
"""Codes of failures that may have been charged: the reply was not an answer, or was counted but never arrived."""
NEVER_CHARGED = frozenset({"file gone", "not created"})
UNTOUCHED = frozenset({503, 529})
"""Statuses, besides 4xx, that say the server did not process the request."""


def charge_of(usage: Usage | None, price: Price, reservation: int | None) -> int | None:
    """By the reported usage; None if there was none, or it is impossible."""
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    if not (0 <= usage.input_tokens <= MOST_INPUT and 0 <= usage.output_tokens <= MOST_OUTPUT):
        return None
    if usage.input_tokens == 0:  # every request has texts
        return None
    nano = to_nano(cost(usage, price, usage.cache_write_tokens))
    return None if reservation and nano > MOST_TIMES * reservation else nano


def may_be_charged(response: Response) -> bool:
    """Whether a response without usage may have cost something: all may, except what the provider certainly rejected.

    Lines of batches that failed without usage are not charged: https://community.openai.com/t/1385608
    """
    code = response.error.code if response.error is not None else None
    if response.status in ("ok", "truncated") or code is None or code in REPLIES:
        return True
    return response.job is None and may_cost(code)


def may_cost(code: str) -> bool:
    """Whether a live call that failed with this code may have cost something."""
    if code in NEVER_CHARGED:
        return False
    status = int(word) if (word := code.partition(" ")[0]).isdecimal() and len(word) == 3 else None
    if status is None:
        return True
    return status not in UNTOUCHED and (status >= 500 or status == 408)

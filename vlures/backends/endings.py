"""How an answer ended, by its provider's finish reason. Gateways mix the vocabularies of several providers, spell them
as they like, and invent new words; so each provider's table is read first, and an unlisted word by its parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

Ending = Literal["done", "cut", "withheld", "broken", "unknown"]
"""done: by itself. cut: the token limit, or the context, was used up. withheld: the model or a filter refused. broken:
the server or the connection failed half way. unknown: anything else, tool calls included."""

LONGEST_WORD = 100

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PREFIX = re.compile(r"^(finish|stop|end)_?reason_")

_PARTS: tuple[tuple[Ending, str], ...] = (
    ("unknown", r"tools?_|function_|tool$|function$"),
    (
        "withheld",
        r"safety|unsafe|(content_?)?filter|sensitive|refus|recitation|block|prohibit|spii|pii|policy|moderat|guardrail"
        r"|model_armor|violat|copyright|jailbreak|flagged|censor|harm|disallow|inappropriate",
    ),
    ("broken", r"rate_?limit|quota|time_?out|timed_out|deadline"),
    (
        "cut",
        r"\w*length|max|truncat|context|limit|tokens?_?limit|tokens|too_long|incomplete|unfinished|partial|budget|cut_?off",
    ),
    (
        "broken",
        r"error|err$|abort|fail|network|overload|insufficient|unavailable|interrupt|disconnect|exception|upstream"
        r"|exhausted|cancel|kill|preempt|crash|reset|lost|throttl|busy|connection|evict|shutdown|out_of_memory|oom",
    ),
    ("done", r"null$|none$|stop|eos|eot|eom|end(ed)?(_|$)|complete|done|finish|success|succeeded|normal|natural"),
)
"""Read in this order: `rate_limit` is no token limit, `stop_error` no stop. A part matches only where a word begins."""


def read_word(value: Any) -> str | None:
    """A finish reason as text, whatever its JSON type; None where there is none."""
    if value is None or value == "" or isinstance(value, str):
        return value[:LONGEST_WORD] if value else None
    return str(value)[:LONGEST_WORD]


def read_ending(word: str | None, table: Mapping[str, Ending]) -> Ending:
    """The meaning of a finish reason. table: the provider's own words, in lower case with underscores."""
    if word is None:
        return "done"
    plain = re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", word.strip()).lower()).strip("_")
    name = _PREFIX.sub("", plain)
    for known in (plain, name):
        if known in table:
            return table[known]
    if not word.strip():
        return "done"
    return next((ending for ending, parts in _PARTS if re.search(rf"(?:^|_)(?:{parts})", name)), "unknown")

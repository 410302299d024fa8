"""Names of accounts that may be stored and shown."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

SANDBOX_ACCOUNT = "the sandbox"
"""Of a run with --sandbox, whose sandbox has another address in every process."""
FINGERPRINT_DIGITS = 8


def describe_account(address: str, names: Mapping[str, str | None]) -> str:
    """`https://api.openai.com/v1 (project p, key 1a2b3c4d)`: the same words for the same account.

    names: what tells accounts at that address apart, where it is set. Only a fingerprint of `key` is shown, and the
    address without user, password and query.
    """
    shown = {name: fingerprint(value) if name == "key" else value for name, value in names.items() if value}
    inner = ", ".join(f"{name} {value}" for name, value in shown.items())
    return f"{_without_secrets(address)} ({inner})" if inner else _without_secrets(address)


def fingerprint(key: str) -> str:
    """Digits that tell a key from others and reveal nothing of it."""
    return hashlib.sha256(key.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def _without_secrets(address: str) -> str:
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip("/") or address

"""Keys and addresses from the environment and `.env`. No key, and no address with a password, is ever written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from vlures.errors import UsageError


def read_environment(directory: Path | None = None) -> dict[str, str]:
    """The environment, over the `.env` file of the directory (by default the current one)."""
    path = (directory or Path.cwd()) / ".env"
    try:
        from_file = dotenv_values(path) if path.is_file() else {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}); correct or remove it.") from error
    return {**{key: value for key, value in from_file.items() if value is not None}, **os.environ}


def find_key(environment: Mapping[str, str], *names: str) -> str:
    """The first API key that is set.

    Raises UsageError, which never shows the key, if none is set or it is not one.
    """
    for name in names:
        key = environment.get(name, "").strip()
        if key:
            if not re.fullmatch(r"[!-~]+", key):
                raise UsageError(f"{name} cannot be a key: it contains blanks or non-ASCII characters. Copy it again.")
            return key
    raise UsageError(
        f"There is no {' or '.join(names)}; put one into .env or the environment, or rehearse with --sandbox."
    )


def find_address(base_url: str | None, environment: Mapping[str, str], name: str) -> str | None:
    """The provider's address if it is not the usual one: the option's, or the environment's under `name`.

    Raises UsageError if it is not an address.
    """
    address = base_url or environment.get(name) or None
    if address is not None:
        check_address(address, "The base URL" if base_url else name)
    return address


def check_address(address: str, place: str) -> None:
    """Raises UsageError, which shows no secret, for a text that is not an address, or that contains a password or a
    key: it would be written into run.json, logs and errors."""
    if not _is_address(address):
        raise UsageError(
            f"The base URL {hide_secrets(address)!r} is not an address; write it as http://host:port/path."
        )
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise UsageError(
            f"{place} contains a user name or a password; leave them out, and put the server's key into .env or the "
            "environment."
        )
    if "?" in address or "#" in address:
        raise UsageError(
            f"{place} contains a query (what follows the {'?' if '?' in address else '#'}); leave it out, and put a "
            "key into .env or the environment."
        )


def hide_secrets(address: str) -> str:
    """A would-be address, without what precedes an @ or follows its path: that may be a password or a key."""
    return re.sub(r"[?#].*", "?…", re.sub(r"^(\w+://)?.*@", r"\1…@", address, flags=re.DOTALL), flags=re.DOTALL)


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0 and " " not in text
    except ValueError:
        return False

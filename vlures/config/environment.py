"""Keys and addresses from the environment and `.env`. No key, and no address with a password, is ever written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from vlures.config.env_file import find_line, read_env_file
from vlures.errors import UsageError

ENV_FILE = ".env"


def read_environment(directory: Path | None = None) -> dict[str, str]:
    """The environment, over the `.env` file of the directory (by default the current one), unless a value is blank.

    Raises UsageError for a file that cannot be read, naming the line.
    """
    path = (directory or Path.cwd()) / ENV_FILE
    from_file = read_env_file(path) if path.is_file() else {}
    set_here = {name: value for name, value in os.environ.items() if value.strip() or name not in from_file}
    return {**from_file, **set_here}


def find_value(environment: Mapping[str, str], name: str) -> str:
    """A variable's value; "" where it is not set, blank, or nothing but quotation marks, as a file that was filled in
    for a shell leaves it."""
    value = environment.get(name, "").strip()
    return value if value.strip("'\"\u201c\u201d\u2018\u2019 ") else ""


def find_key(environment: Mapping[str, str], *names: str) -> str:
    """The first API key that is set.

    Raises UsageError, which never shows the key, if none is set or it is not one.
    """
    for name in names:
        if key := find_value(environment, name):
            if re.fullmatch(r"[!-~]+", key) and key[0] not in "'\"":
                return key
            reason = "is in quotation marks" if key[0] in "'\"" else "contains blanks or non-ASCII characters"
            raise UsageError(f"{describe_place(name)} cannot be a key: it {reason}. Copy it again.")
    raise UsageError(
        f"{' or '.join(names)} is not set; put it into .env or the environment, or rehearse with --sandbox."
    )


def describe_place(name: str) -> str:
    """A variable and, where the `.env` file sets it, the line: `OPENAI_API_KEY (.env line 2)`."""
    line = None if os.environ.get(name, "").strip() else find_line(Path.cwd() / ENV_FILE, name)
    return name if line is None else f"{name} ({ENV_FILE} line {line})"


def find_address(base_url: str | None, environment: Mapping[str, str], name: str | None) -> str | None:
    """The provider's address if it is not the usual one: the option's, or the environment's under `name`, if it has
    a variable. A blank one is none.

    Raises UsageError if it is not an address.
    """
    if given := (base_url or "").strip():
        check_address(given, "The base URL")
        return given
    found = find_value(environment, name) if name else ""
    if name and found:
        check_address(found, describe_place(name))
    return found or None


def check_address(address: str, place: str) -> None:
    """Raises UsageError, which shows no secret, for a text that is not an address, or that contains a password or a
    key: it would be written into run.json, logs and errors."""
    if not _is_address(address):
        raise UsageError(
            f"{place} is {hide_secrets(address)!r}, which is not an address; write it as http://host:port/path."
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

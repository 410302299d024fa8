"""Whether only its owner can read the file that holds the keys."""

from __future__ import annotations

import os
import re
from pathlib import Path

from dotenv import dotenv_values

OTHERS_MAY_READ = 0o044
_SECRET = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)


def describe_open_keys(directory: Path | None = None) -> str | None:
    """A sentence if others can read the directory's `.env` (default: the current one) and it holds a key; else None."""
    path = (directory or Path.cwd()) / ".env"
    try:
        if os.name != "posix" or not path.is_file() or not path.stat().st_mode & OTHERS_MAY_READ:
            return None
        values = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError):
        return None  # reading a key from it will report that
    names = [name for name, value in values.items() if value and _SECRET.search(name)]
    if not names:
        return None
    return (
        f"Others on this machine can read {path.name}, which holds {names[0]}; make it yours alone: "
        f"chmod 600 {path.name}"
    )

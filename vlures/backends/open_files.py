"""How many files and connections this process may have open, and how many of them may be connections."""

from __future__ import annotations

import errno
import os
from contextlib import suppress

RESERVE = 12
"""For short-lived files: an image that is read, a host name's look-up, certificates, a result file."""
SPENT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
UNKNOWN_LIMIT = 512
"""Where the system does not tell: the number of handles that Windows lets a program wait for at once."""


def raise_limit(wanted: int) -> int:
    """Let this process open so many files, or as many as the system allows; returns that number."""
    try:
        import resource
    except ImportError:  # Windows
        return UNKNOWN_LIMIT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft in (unlimited, -1) or soft >= wanted:
        return wanted if soft in (unlimited, -1) else soft
    highest = wanted if hard in (unlimited, -1) else min(wanted, hard)
    with suppress(OSError, ValueError):  # some systems have another limit behind this one
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        return highest
    return soft


def count_open() -> int:
    """How many files are open now."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        with suppress(OSError):
            return len(os.listdir(folder))  # noqa: PTH208
    return 32


def fit(wanted: int, limit: int, opened: int) -> int:
    """How many connections may be open besides the files that are: at least one."""
    return max(1, min(wanted, limit - opened - RESERVE))


def is_shortage(error: BaseException | None) -> bool:
    """Whether the cause of an exception is that this machine has no room for one more connection or file."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in SPENT:
            return True
        error = error.__cause__ or error.__context__
    return False
